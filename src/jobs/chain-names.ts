import { ApiError } from '../http/api-error.js';

const MOST_MODELS = 20;
const LONGEST_NAME = 256;

/** The models and policies that a request names. */
export interface ChainNames {
  readonly model: string | null;
  readonly models: readonly string[];
}

/**
 * What the request names: `model`, `models`, or both (then `model` is the first). Throws an ApiError if it names them wrongly,
 * or asks for something that no job can do; its `param` begins with `request.`.
 */
export function chainNames(request: Readonly<Record<string, unknown>>): ChainNames {
  const { model, models, stream } = request;
  if (stream === true) {
    throw wrong('request.stream', 'request.stream must be left out: a job collects the whole answer.');
  }
  if (model !== undefined && !isName(model)) {
    throw wrong(
      'request.model',
      "request.model must be a model ('provider/model') or a policy ('policy/name').",
    );
  }
  if (models === undefined) return { model: model ?? null, models: [] };
  const isList = Array.isArray(models) && models.length >= 1 && models.length <= MOST_MODELS;
  if (!isList || !models.every(isName)) {
    throw wrong(
      'request.models',
      `request.models must be a list of 1 to ${MOST_MODELS} models ('provider/model'), the first of them primary.`,
    );
  }
  return { model: model ?? null, models };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME;
}

function wrong(param: string, sentence: string): ApiError {
  return new ApiError('invalid_value', sentence, { param });
}
