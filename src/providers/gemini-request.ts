/**
 * A request for a chat completion as the body of Gemini's `generateContent`, and what such a body has no place for.
 * Source: Gemini API reference, "generateContent"; Google's page "OpenAI compatibility" for the reasoning efforts.
 */
import { whyNotOthers, type ChatRequest, type FunctionTool } from './chat-request.js';
import { toContents, whyNotTurns } from './gemini-contents.js';
import { findUnkept, toKnownWords } from './gemini-schema.js';
import type { JsonObject } from './json.js';

/** What of a request Gemini has no place for; null if it can take all of it. */
export function whyNotChat(request: ChatRequest): string | null {
  const { service_tier: tier, ...others } = request.others;
  if (tier !== undefined && !SERVICE_TIERS.includes(tier)) return '`service_tier` is none of Gemini';
  if (request.parallelToolCalls === false) return '`parallel_tool_calls` cannot be switched off there';
  if (request.reasoningEffort === 'xhigh') return '`reasoning_effort` goes no higher than `high` there';
  if (detailsOf(request).length > 1) return '`image_url.detail` must be the same for all pictures there';
  return whyNotOthers(others) ?? whyNotTurns(request.turns) ?? whyNotSchemas(request);
}

/** The body of a `generateContent` for the model of this name. */
export function toChatBody(request: ChatRequest, model: string): JsonObject {
  const { instructions, tools } = request;
  return {
    ...(instructions.length === 0
      ? {}
      : { systemInstruction: { parts: instructions.map((text) => ({ text })) } }),
    contents: toContents(request.turns, isThirdGeneration(model)),
    ...(tools.length === 0 ? {} : { tools: [{ functionDeclarations: tools.map(toDeclaration) }] }),
    ...toToolConfig(request),
    generationConfig: toGenerationConfig(request, model),
    ...(request.others.service_tier === undefined ? {} : { serviceTier: request.others.service_tier }),
  };
}

const SERVICE_TIERS: readonly unknown[] = ['flex', 'priority'];

function toGenerationConfig(request: ChatRequest, model: string): JsonObject {
  const { reasoningEffort, topLogprobs } = request;
  const [detail] = detailsOf(request);
  return {
    ...toResponseFormat(request.format),
    ...(request.n === 1 ? {} : { candidateCount: request.n }),
    ...(request.stop.length === 0 ? {} : { stopSequences: request.stop }),
    ...said({
      maxOutputTokens: request.maxTokens,
      temperature: request.temperature,
      topP: request.topP,
      topK: request.topK,
      seed: request.seed,
      frequencyPenalty: request.frequencyPenalty,
      presencePenalty: request.presencePenalty,
    }),
    ...(topLogprobs === null ? {} : { responseLogprobs: true }),
    ...(topLogprobs === null || topLogprobs === 0 ? {} : { logprobs: topLogprobs }),
    ...(reasoningEffort === null ? {} : { thinkingConfig: toThinking(reasoningEffort, model) }),
    ...(detail === undefined || detail === 'auto'
      ? {}
      : { mediaResolution: `MEDIA_RESOLUTION_${detail.toUpperCase()}` }),
  };
}

/** The fields that say something. */
function said(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function toResponseFormat(format: ChatRequest['format']): JsonObject {
  if (format.type === 'text') return {};
  const responseMimeType = 'application/json';
  if (format.type === 'json_object') return { responseMimeType };
  const { description } = format;
  const schema = toKnownWords(format.schema);
  // The description of the format has no place of its own; a schema has one.
  return { responseMimeType, responseJsonSchema: description === null ? schema : { description, ...schema } };
}

function toDeclaration({ name, description, parameters }: FunctionTool): JsonObject {
  return {
    name,
    description: description ?? '', // Gemini wants one.
    ...(parameters === null ? {} : { parametersJsonSchema: toKnownWords(parameters) }),
  };
}

function toToolConfig({ tools, toolChoice }: ChatRequest): JsonObject {
  // The mode that keeps calls to their schema, but does not force one.
  const free = tools.some((tool) => tool.strict === true) ? 'VALIDATED' : 'AUTO';
  if (toolChoice === null && free === 'AUTO') return {};
  const modes = { auto: free, none: 'NONE', required: 'ANY' } as const;
  const functionCallingConfig =
    typeof toolChoice === 'object' && toolChoice !== null
      ? { mode: 'ANY', allowedFunctionNames: [toolChoice.name] }
      : { mode: modes[toolChoice ?? 'auto'] };
  return { toolConfig: { functionCallingConfig } };
}

/** A schema that the answer must match exactly, with a keyword that Gemini would pass over. */
function whyNotSchemas({ format, tools }: ChatRequest): string | null {
  const exact = [
    ...(format.type === 'json_schema' && format.strict
      ? [{ path: 'response_format.json_schema.schema', schema: format.schema }]
      : []),
    ...tools.flatMap(({ name, parameters, strict }) =>
      strict === true && parameters !== null
        ? [{ path: `tools.${name}.parameters`, schema: parameters }]
        : [],
    ),
  ];
  const unkept = exact
    .map(({ path, schema }) => findUnkept(toKnownWords(schema), path))
    .find((found) => found !== null);
  return unkept === undefined ? null : `\`${unkept}\` is not kept to there, and the schema is \`strict\``;
}

/** The distinct details that pictures are to be looked at in; Gemini has one for a whole request. */
function detailsOf({ turns }: ChatRequest): readonly ('low' | 'high' | 'auto')[] {
  const parts = turns.flatMap((turn) => (turn.role === 'user' || turn.role === 'tool' ? turn.parts : []));
  return [...new Set(parts.flatMap((part) => (part.type === 'image' ? [part.detail] : [])))];
}

/** True for models that think in levels and want their signatures back: all but the known older ones. */
function isThirdGeneration(model: string): boolean {
  return (
    /(?:^|\/)gemini-/i.test(model) && !/(?:^|\/)gemini-(?:1|2|pro$|pro-vision$|robotics-er-1)/i.test(model)
  );
}

const BUDGETS = { minimal: 1024, low: 1024, medium: 8192, high: 24576 } as const;

/** How much to think, as Google translates it; a model that cannot do so refuses it. */
function toThinking(effort: NonNullable<ChatRequest['reasoningEffort']>, model: string): JsonObject {
  if (effort === 'none') return { thinkingBudget: 0 };
  const known = effort === 'xhigh' ? 'high' : effort; // Told by whyNotChat.
  if (!isThirdGeneration(model)) return { thinkingBudget: BUDGETS[known] };
  // The large models begin at `low`.
  return { thinkingLevel: known === 'minimal' && /-pro\b/i.test(model) ? 'low' : known };
}
