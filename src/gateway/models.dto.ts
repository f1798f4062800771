/** The current version of a policy, as far as it helps to choose one. */
export class ModelPolicyDto {
  version: number;
  description: string | null;
  /** What its steps name, in their order. */
  models: string[];
}

/** Something that a request may name as its `model`, in OpenAI's shape, and what helps to choose. */
export class ModelDto {
  /** `provider/model`, or `policy/name`. */
  id: string;
  object: 'model';
  /** Unix seconds at which a policy's current version was made; 0 for a model, of which it is not known. */
  created: number;
  /** The provider; `baton` for a policy. */
  owned_by: string;
  /** The most tokens that request and answer may have together; null, here and below, if it is not known. */
  context_window: number | null;
  /** The most tokens that one answer may have. */
  max_output_tokens: number | null;
  /** US dollars for a million tokens; where that grows with the length of the request, for a short one. */
  input_usd_per_mtok: number | null;
  output_usd_per_mtok: number | null;
  /** Of input that comes from the provider's cache. */
  cached_input_usd_per_mtok: number | null;
  /** Of input that is written to the provider's cache. */
  cache_write_usd_per_mtok: number | null;
  /** What it takes in. */
  modalities: ('text' | 'image' | 'audio' | 'file')[] | null;
  tools: boolean | null;
  json_schema: boolean | null;
  /** The endpoints that it serves. */
  endpoints: string[] | null;
  /** Null for a model. */
  policy: ModelPolicyDto | null;
}

/** All of them, in the order of ids. */
export class ModelListDto {
  object: 'list';
  data: ModelDto[];
}
