/** Whether a model can take a request at all, told before any call. What is not known of a model never speaks against it. */
import { type MediaNeeds, readPrompt, requestedOutput, type TokenEstimate } from './estimate-tokens.js';

/** What is known of a model; what is not known is absent. */
export interface ModelAbilities {
  /** The most tokens that request and answer may have together. */
  readonly contextWindow?: number;
  /** The most tokens that one answer may have. */
  readonly maxOutputTokens?: number;
  /** What it takes in. */
  readonly modalities?: readonly string[];
  readonly tools?: boolean;
  readonly jsonSchema?: boolean;
  /** The endpoints that it serves: `/v1/embeddings`. */
  readonly endpoints?: readonly string[];
}

/** What a request needs of a model. */
export interface RequestNeeds extends MediaNeeds {
  readonly endpoint: string;
  readonly tokens: TokenEstimate;
  /** The tokens that one answer may have at most; null if the request does not say. */
  readonly outputTokens: number | null;
  /** True if the provider is asked to cut the input where it is too long. */
  readonly mayBeCut: boolean;
  readonly tools: boolean;
  readonly jsonSchema: boolean;
}

/** An earlier model of the same job that found the request too long, and the window that it is known to have. */
export interface WindowToExceed {
  readonly model: string;
  readonly tokens: number;
}

/** The largest window among the models of a job that found its request too long; null if none has a known one. */
export function windowToExceed(tooLongFor: readonly WindowToExceed[]): WindowToExceed | null {
  const known = tooLongFor.filter(({ tokens }) => tokens > 0);
  return known.toSorted((left, right) => right.tokens - left.tokens)[0] ?? null;
}

/** Reads what a request of OpenAI's format needs; once for each job and set of overrides. The work is bounded. */
export function needsOf(body: Readonly<Record<string, unknown>>, endpoint: string): RequestNeeds {
  const { tokens, media } = readPrompt(body, endpoint);
  return {
    ...media,
    endpoint,
    tokens,
    outputTokens: requestedOutput(body),
    mayBeCut: body.truncation === 'auto',
    tools: isFilledList(body.tools) || isFilledList(body.functions),
    jsonSchema:
      typeOf(body.response_format) === 'json_schema' || typeOf(formatOf(body.text)) === 'json_schema',
  };
}

/** Why a model can't take a request, as the end of a sentence about it; null if it can, or if that is not known. */
export function whyIncompatible(
  facts: ModelAbilities,
  needs: RequestNeeds,
  windowToExceed: WindowToExceed | null,
): string | null {
  const { endpoints, modalities } = facts;
  if (endpoints !== undefined && !endpoints.includes(needs.endpoint)) {
    return `it does not serve ${needs.endpoint}, only ${endpoints.join(', ')}`;
  }
  const unfit = (
    [
      ['image', needs.images, 'images'],
      ['audio', needs.audio, 'audio'],
      ['file', needs.files, 'files'],
    ] as const
  ).find(([modality, isNeeded]) => isNeeded && modalities?.includes(modality) === false);
  if (unfit !== undefined) return `it does not take ${unfit[2]}`;
  if (needs.tools && facts.tools === false) return 'it does not take tools';
  if (needs.jsonSchema && facts.jsonSchema === false) return 'it does not answer by a JSON schema';
  return whyTooLong(facts, needs, windowToExceed);
}

function whyTooLong(
  { contextWindow, maxOutputTokens }: ModelAbilities,
  { tokens, outputTokens, mayBeCut }: RequestNeeds,
  windowToExceed: WindowToExceed | null,
): string | null {
  if (outputTokens !== null && maxOutputTokens !== undefined && outputTokens > maxOutputTokens) {
    return `its answers have at most ${inFigures(maxOutputTokens)} tokens, and ${inFigures(outputTokens)} are asked for`;
  }
  if (contextWindow === undefined) return null;
  const window = `its context window of ${inFigures(contextWindow)} tokens`;
  if (windowToExceed !== null && contextWindow <= windowToExceed.tokens) {
    return `${window} is not larger than that of ${windowToExceed.model}, which found the request too long`;
  }
  const leastInput = mayBeCut ? 0 : tokens.leastInput;
  if (leastInput + (outputTokens ?? 0) <= contextWindow) return null;
  const answer = outputTokens === null ? '' : ` and ${inFigures(outputTokens)} for the answer`;
  return `${window} is too small for a request of at least ${inFigures(leastInput)} tokens${answer}`;
}

/** A whole number with commas between the thousands. */
function inFigures(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

function isFilledList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}

function typeOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
}

function formatOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
}
