/**
 * A request for a chat completion in a form of no provider, read out of OpenAI's body: what the adapters of other formats write
 * from. A field is either here, or known to have no effect on the answer, or told as a reason: none is lost without a word.
 * Source of the shapes: OpenAI's API reference, "Create chat completion".
 */
import { BodyFields } from './body-fields.js';
import { readMessages, type Turn } from './chat-messages.js';
import type { JsonObject } from './json.js';

/** What a caller asks for. Null is what it did not say. */
export interface ChatRequest {
  /** The system's and developer's texts before the first turn. */
  readonly instructions: readonly string[];
  readonly turns: readonly Turn[];
  readonly tools: readonly FunctionTool[];
  /** Only if there are tools. */
  readonly toolChoice: 'auto' | 'none' | 'required' | { readonly name: string } | null;
  /** Only if there are tools. */
  readonly parallelToolCalls: boolean | null;
  readonly format: AnswerFormat;
  readonly stop: readonly string[];
  /** The most tokens that the answer may have, reasoning included. */
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly topK: number | null;
  readonly seed: number | null;
  /** Never 0, which is no penalty. */
  readonly frequencyPenalty: number | null;
  /** Never 0, which is no penalty. */
  readonly presencePenalty: number | null;
  /** How many answers; 1 if it is not said. */
  readonly n: number;
  /** How many alternatives to show for each token (0: only the one that was taken); null if no log probabilities are asked for. */
  readonly topLogprobs: number | null;
  readonly reasoningEffort: ReasoningEffort | null;
  /** The caller's own id of its end user. */
  readonly user: string | null;
  /** All other fields that may have an effect: a format that has no place for one of them can't carry the request. */
  readonly others: JsonObject;
}

export interface FunctionTool {
  readonly name: string;
  readonly description: string | null;
  /** A JSON schema; null for a function without parameters. */
  readonly parameters: JsonObject | null;
  readonly strict: boolean | null;
}

/** How the answer is to be written. Without `strict` a schema is only aimed at, at OpenAI too. */
export type AnswerFormat =
  | { readonly type: 'text' }
  | { readonly type: 'json_object' }
  | {
      readonly type: 'json_schema';
      readonly name: string;
      readonly description: string | null;
      readonly schema: JsonObject;
      readonly strict: boolean;
    };

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh'] as const;
export type ReasoningEffort = (typeof EFFORTS)[number];

/** Reads the body of a chat completion; a sentence that names the field where it can't be understood. */
export function readChatRequest(body: JsonObject): ChatRequest | string {
  const problems: string[] = [];
  const fields = new BodyFields(body, '', problems);
  const { instructions, turns } = readMessages(fields);
  const request: ChatRequest = {
    instructions,
    turns,
    ...readTools(fields),
    format: readFormat(fields),
    stop: readStop(fields),
    ...readSampling(fields),
    n: fields.number('n') ?? 1,
    topLogprobs: readLogprobs(fields),
    reasoningEffort: readEffort(fields),
    user: fields.text('user'),
    others: readOthers(fields),
  };
  return problems[0] ?? request;
}

/** Names a field of {@link ChatRequest.others}, for a format that has no place for any of them; null if there is none. */
export function whyNotOthers(others: JsonObject): string | null {
  const [name] = Object.keys(others);
  return name === undefined ? null : `\`${name}\` has no counterpart there`;
}

function readSampling(fields: BodyFields) {
  const older = fields.number('max_tokens');
  return {
    maxTokens: fields.number('max_completion_tokens') ?? older,
    temperature: fields.number('temperature'),
    topP: fields.number('top_p'),
    topK: positive(fields.number('top_k')),
    seed: fields.number('seed'),
    frequencyPenalty: fields.number('frequency_penalty') || null,
    presencePenalty: fields.number('presence_penalty') || null,
  };
}

/** vLLM and SGLang say -1 or 0 for as many as there are. */
function positive(topK: number | null): number | null {
  return topK === null || topK <= 0 ? null : topK;
}

function readTools(fields: BodyFields): Pick<ChatRequest, 'tools' | 'toolChoice' | 'parallelToolCalls'> {
  const tools = fields.objects('tools').flatMap((tool) => readTool(tool) ?? []);
  const toolChoice = readToolChoice(fields);
  const parallelToolCalls = fields.boolean('parallel_tool_calls');
  if (tools.length > 0) return { tools, toolChoice, parallelToolCalls };
  if (toolChoice !== null && toolChoice !== 'auto' && toolChoice !== 'none')
    fields.problem('tool_choice', 'asks for a tool, and there are none');
  return { tools, toolChoice: null, parallelToolCalls: null };
}

function readTool(tool: BodyFields): FunctionTool | null {
  if (tool.text('type') !== 'function') {
    tool.problem('type', 'is not `function`, the only type of tool that can be translated');
    return null;
  }
  const definition = tool.object('function');
  const name = definition?.text('name') ?? '';
  tool.end();
  if (definition === null || name === '') {
    tool.problem('function.name', 'is missing');
    return null;
  }
  const read = {
    name,
    description: definition.text('description'),
    parameters: definition.json('parameters'),
    strict: definition.boolean('strict'),
  };
  definition.end();
  return read;
}

function readToolChoice(fields: BodyFields): ChatRequest['toolChoice'] {
  const choice = fields.take('tool_choice');
  if (choice === undefined) return null;
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice;
  const named = typeof choice === 'object' ? fields.object('tool_choice') : null;
  const chosen = named?.text('type') === 'function' ? named.object('function') : null;
  const name = chosen?.text('name');
  chosen?.end();
  named?.end();
  if (typeof name === 'string' && name !== '') return { name };
  fields.problem('tool_choice', 'is none of `auto`, `none`, `required` and one named function');
  return null;
}

function readFormat(fields: BodyFields): AnswerFormat {
  const format = fields.object('response_format');
  if (format === null) return { type: 'text' };
  const type = format.text('type');
  const definition = format.object('json_schema');
  format.end();
  if (type === 'text' || type === 'json_object') return { type };
  const schema = definition?.json('schema') ?? null;
  if (type !== 'json_schema' || definition === null || schema === null) {
    fields.problem('response_format', 'is none of `text`, `json_object` and `json_schema` with a schema');
    return { type: 'text' };
  }
  const read = {
    type,
    name: definition.text('name') ?? 'answer',
    description: definition.text('description'),
    schema,
    strict: definition.boolean('strict') ?? false,
  } as const;
  definition.end();
  return read;
}

function readStop(fields: BodyFields): string[] {
  const stop = fields.take('stop') ?? [];
  const list: readonly unknown[] = Array.isArray(stop) ? stop : [stop];
  const texts = list.filter((each) => typeof each === 'string');
  if (texts.length !== list.length) fields.problem('stop', 'is neither a text nor a list of texts');
  return texts;
}

function readLogprobs(fields: BodyFields): number | null {
  const isAsked = fields.boolean('logprobs') ?? false;
  const alternatives = fields.number('top_logprobs');
  return isAsked ? (alternatives ?? 0) : null;
}

function readEffort(fields: BodyFields): ReasoningEffort | null {
  const effort = fields.text('reasoning_effort');
  const known = EFFORTS.find((each) => each === effort);
  if (effort !== null && known === undefined)
    fields.problem('reasoning_effort', `is none of ${EFFORTS.join(', ')}`);
  return known ?? null;
}

/**
 * Fields that change nothing in the answer: notes for OpenAI's own store and watch, hints for its cache and its speed, and how
 * the answer is sent, since Baton always takes it whole. `model` is the chain's.
 */
const WITHOUT_EFFECT = [
  'model',
  'models',
  'metadata',
  'store',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'prediction',
  'stream',
  'stream_options',
];

/** What the fields that are looked at here say when they say nothing. */
const DEFAULTS: Readonly<Record<string, readonly string[]>> = {
  logit_bias: ['{}'],
  modalities: ['["text"]'],
  service_tier: ['"auto"', '"default"'],
  verbosity: ['"medium"'],
  functions: ['[]'],
  function_call: ['"auto"', '"none"'],
  // Of providers that speak OpenAI's format with fields of their own.
  min_p: ['0'],
  repetition_penalty: ['1'],
  transforms: ['[]'],
  usage: ['{"include":true}', '{"include":false}'], // OpenRouter is asked to tell the cost.
};

function readOthers(fields: BodyFields): JsonObject {
  fields.ignore(WITHOUT_EFFECT);
  const others = Object.entries(fields.rest());
  return Object.fromEntries(
    others.filter(([name, value]) => {
      const defaults = Object.hasOwn(DEFAULTS, name) ? DEFAULTS[name] : undefined;
      return !defaults?.includes(JSON.stringify(value));
    }),
  );
}
