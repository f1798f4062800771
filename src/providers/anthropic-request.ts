/** A chat request as the body of Anthropic's Messages API. Source: its API reference, "Create a message", and "Extended thinking". */
import { toAnthropicSchema } from './anthropic-schema.js';
import { findLostTurn, toMessages } from './anthropic-turns.js';
import { whyNotOthers, type AnswerFormat, type ChatRequest, type FunctionTool } from './chat-request.js';
import type { JsonObject } from './json.js';

/** What of the request has no place in Anthropic's body, as a sentence that names the field; null if nothing is lost. */
export function findLoss(request: ChatRequest): string | null {
  return (
    findLostTurn(request.turns) ??
    findLostSampling(request) ??
    findLostThinking(request) ??
    findLostFormat(request.format) ??
    whyNotOthers(request.others)
  );
}

/**
 * The body.
 * @param name the model's name at Anthropic, which tells how it is made to think and how much it can write
 */
export function toAnthropicBody(request: ChatRequest, name: string): JsonObject {
  const { instructions, tools, stop, user } = request;
  const maxTokens = request.maxTokens ?? defaultMaxTokens(name);
  const { thinking, effort } = toThinking(request.reasoningEffort, name, maxTokens);
  const outputConfig = { ...(effort === null ? {} : { effort }), ...toFormat(request.format) };
  return {
    model: name,
    max_tokens: maxTokens,
    ...(instructions.length === 0 ? {} : { system: instructions.map((text) => ({ type: 'text', text })) }),
    messages: toMessages(request.turns),
    ...(tools.length === 0 ? {} : { tools: tools.map(toTool), ...toToolChoice(request) }),
    ...(stop.length === 0 ? {} : { stop_sequences: stop }),
    ...ownSampling(request),
    ...(thinking === null ? {} : { thinking }),
    ...(Object.keys(outputConfig).length === 0 ? {} : { output_config: outputConfig }),
    ...(user === null ? {} : { metadata: { user_id: user } }),
  };
}

function findLostSampling(request: ChatRequest): string | null {
  const { n, temperature, topP, stop } = request;
  if (n !== 1) return `it gives one answer to a request (\`n\` is ${n})`;
  if (temperature !== null && (temperature < 0 || temperature > 1))
    return `its temperatures go from 0 to 1 (\`temperature\` is ${temperature})`;
  const own = ownSampling(request);
  if ('temperature' in own && 'top_p' in own) return 'it takes either `temperature` or `top_p`';
  if (topP !== null && (topP < 0 || topP > 1)) return `\`top_p\` is ${topP}, not from 0 to 1`;
  if (stop.some((text) => text.trim() === '')) return 'it takes no `stop` that is only blanks';
  // A seed is a promise only as far as it goes at OpenAI too, but who sets one counts on it: answers would silently differ.
  if (request.seed !== null) return 'it has no `seed`';
  if (request.topLogprobs !== null) return 'it tells no `logprobs`';
  if (request.frequencyPenalty !== null) return 'it has no `frequency_penalty`';
  return request.presencePenalty === null ? null : 'it has no `presence_penalty`';
}

/** How tokens are drawn, where it differs from what both APIs do anyway: 1 leaves out nothing, and newer models take nothing else. */
function ownSampling({ temperature, topP, topK }: ChatRequest): JsonObject {
  return {
    ...(temperature === null || temperature === 1 ? {} : { temperature }),
    ...(topP === null || topP === 1 ? {} : { top_p: topP }),
    ...(topK === null ? {} : { top_k: topK }),
  };
}

/** A model that thinks draws freely and chooses its tools itself: Anthropic refuses anything else. */
function findLostThinking(request: ChatRequest): string | null {
  if (request.reasoningEffort === null || request.reasoningEffort === 'none') return null;
  const [sampling] = Object.keys(ownSampling(request));
  if (sampling !== undefined) return `with a \`reasoning_effort\` it takes no \`${sampling}\``;
  const isForced = request.toolChoice === 'required' || typeof request.toolChoice === 'object';
  return isForced && request.toolChoice !== null
    ? 'with a `reasoning_effort` it takes no `tool_choice` that forces a call'
    : null;
}

function findLostFormat(format: AnswerFormat): string | null {
  if (format.type === 'text') return null;
  if (format.type === 'json_object') return 'it has no JSON without a schema (`response_format`)';
  const schema = toAnthropicSchema(format.schema, format.strict);
  return typeof schema === 'string' ? `it cannot take the schema of \`response_format\`: ${schema}` : null;
}

/** The output's format. Its name is only a label; its description goes before the schema's own. */
function toFormat(format: AnswerFormat): JsonObject {
  if (format.type !== 'json_schema') return {};
  const written = toAnthropicSchema(format.schema, format.strict);
  if (typeof written === 'string') throw new Error(`a schema that cannot be carried over: ${written}`);
  const texts = [format.description, written.description].filter((text) => typeof text === 'string');
  const described = texts.length === 0 ? {} : { description: texts.join('\n') };
  return { format: { type: 'json_schema', schema: { ...written, ...described } } };
}

function toTool({ name, description, parameters, strict }: FunctionTool): JsonObject {
  return {
    name,
    ...(description === null ? {} : { description }),
    input_schema: { type: 'object', ...(parameters ?? { properties: {} }) },
    // Not strict is how it is anyway, and models from before strict tools do not know the word.
    ...(strict === true ? { strict } : {}),
  };
}

/** The choice of tools; Anthropic's default is `auto`, with calls side by side. */
function toToolChoice({ toolChoice, parallelToolCalls }: ChatRequest): JsonObject {
  if (toolChoice === 'none') return { tool_choice: { type: 'none' } };
  const oneByOne = parallelToolCalls === false ? { disable_parallel_tool_use: true } : {};
  if (toolChoice === 'required') return { tool_choice: { type: 'any', ...oneByOne } };
  if (typeof toolChoice === 'object' && toolChoice !== null)
    return { tool_choice: { type: 'tool', name: toolChoice.name, ...oneByOne } };
  return toolChoice === 'auto' || parallelToolCalls === false
    ? { tool_choice: { type: 'auto', ...oneByOne } }
    : {};
}

/**
 * The most tokens of an answer whose caller sets no limit, which Anthropic wants to be told: as many as all models of a
 * generation can write, so that an answer is cut only where it must be. An answer that is cut says so in its finish reason.
 */
function defaultMaxTokens(name: string): number {
  if (/claude-3-[57]/.test(name)) return 8192;
  return name.includes('claude-3') ? 4096 : 32_000;
}

/** The part of the tokens of an answer that older models may spend on thinking; as OpenRouter divides them. */
const BUDGET_SHARES = { minimal: 0.1, low: 0.2, medium: 0.5, high: 0.8, xhigh: 0.95 } as const;
/** Anthropic's smallest budget, in tokens. */
const MIN_BUDGET = 1024;

/** Models from before `effort`: they think within a budget of tokens. */
const BUDGETED = /claude-(?:3|(?:opus|sonnet|haiku)-4(?!-[6-9](?!\d)))/;

/** How hard the model thinks. Null leaves it to the model. */
function toThinking(
  effort: ChatRequest['reasoningEffort'],
  name: string,
  maxTokens: number,
): { thinking: JsonObject | null; effort: string | null } {
  if (effort === null) return { thinking: null, effort: null };
  if (effort === 'none') return { thinking: { type: 'disabled' }, effort: null };
  if (!BUDGETED.test(name)) {
    // `low` is the least there.
    return { thinking: { type: 'adaptive' }, effort: effort === 'minimal' ? 'low' : effort };
  }
  const budgetTokens = Math.max(MIN_BUDGET, Math.floor(maxTokens * BUDGET_SHARES[effort]));
  return { thinking: { type: 'enabled', budget_tokens: budgetTokens }, effort: null };
}
