import type { NamedModel } from '../policies/named-models.service.js';
import type { ModelDto } from './models.dto.js';

/** A model or a policy as it is shown. */
export function toModel({ id, model, policy }: NamedModel): ModelDto {
  const { modalities, tools, jsonSchema, contextWindow, maxOutputTokens } = model?.facts ?? {};
  return {
    id,
    object: 'model',
    created: policy === null ? 0 : Math.floor(policy.createdAt.getTime() / 1000),
    owned_by: model?.provider ?? 'baton',
    context_window: contextWindow ?? null,
    max_output_tokens: maxOutputTokens ?? null,
    input_usd_per_mtok: model?.prices.inputUsdPerMtok ?? null,
    output_usd_per_mtok: model?.prices.outputUsdPerMtok ?? null,
    cached_input_usd_per_mtok: model?.prices.cachedInputUsdPerMtok ?? null,
    cache_write_usd_per_mtok: model?.prices.cacheWriteUsdPerMtok ?? null,
    modalities: modalities === undefined ? null : [...modalities],
    tools: tools ?? null,
    json_schema: jsonSchema ?? null,
    endpoints: model?.endpoints == null ? null : [...model.endpoints],
    policy:
      policy === null
        ? null
        : { version: policy.version, description: policy.description, models: [...policy.models] },
  };
}
