/** What an answer says, read the same from every endpoint's shape: its text, what else is in it, why it stopped. */
import type { Endpoint } from './adapter.js';
import { at, isObject, objectsOf, type JsonObject } from './json.js';

/** One choice of an answer, or all of it where there are no choices. */
export interface AnswerPart {
  /** What to call it, at the head of a sentence. */
  readonly name: string;
  /** Without the model's reasoning. */
  readonly text: string;
  /** True if the model asks the caller to run a tool first: then the text, if any, is not the answer yet. */
  readonly callsTool: boolean;
  /** True if there is something that was asked for and is not text: a picture, speech, an embedding. */
  readonly hasOther: boolean;
  /** In OpenAI's words, as for chat completions; null if it is not said. */
  readonly finishReason: string | null;
}

/** The parts of a parsed answer; at least one, which is empty if the answer is. */
export function readParts(endpoint: Endpoint, body: unknown): readonly AnswerPart[] {
  if (endpoint === '/v1/responses') return [readResponse(body)];
  const field = endpoint === '/v1/embeddings' ? 'data' : 'choices';
  const items = objectsOf(at(body, field));
  const read = READ[endpoint];
  return (items.length === 0 ? [{}] : items).map((item, index) => ({
    name: items.length > 1 ? `\`${field}[${index}]\` of the answer` : 'The answer',
    ...read(item),
  }));
}

type Read = (item: JsonObject) => Omit<AnswerPart, 'name'>;

const READ: Readonly<Record<Exclude<Endpoint, '/v1/responses'>, Read>> = {
  '/v1/chat/completions': ({ message, finish_reason }) => ({
    text: textOf(at(message, 'content')),
    callsTool: objectsOf(at(message, 'tool_calls')).length > 0 || isObject(at(message, 'function_call')),
    hasOther: isObject(at(message, 'audio')) || objectsOf(at(message, 'images')).length > 0,
    finishReason: toFinishReason(finish_reason),
  }),
  '/v1/completions': ({ text, finish_reason }) => ({
    text: textOf(text),
    callsTool: false,
    hasOther: false,
    finishReason: toFinishReason(finish_reason),
  }),
  // A list of numbers, or base64.
  '/v1/embeddings': ({ embedding }) => ({
    text: '',
    callsTool: false,
    hasOther: (Array.isArray(embedding) || typeof embedding === 'string') && embedding.length > 0,
    finishReason: null,
  }),
};

/** Items of a response that wait for the caller; other calls (a web search) are run by the provider. */
const CALLERS_ITEMS: readonly unknown[] = [
  'function_call',
  'custom_tool_call',
  'computer_call',
  'local_shell_call',
  'shell_call',
  'apply_patch_call',
  'mcp_approval_request',
];

function readResponse(body: unknown): AnswerPart {
  const items = objectsOf(at(body, 'output'));
  const callsTool = items.some(({ type }) => CALLERS_ITEMS.includes(type));
  const incomplete = at(body, 'incomplete_details', 'reason');
  const finished = callsTool ? 'tool_calls' : 'stop';
  return {
    name: 'The answer',
    text: items.map(({ content }) => textOf(content)).join(''),
    callsTool,
    hasOther: items.some(({ type, result }) => type === 'image_generation_call' && result !== null),
    finishReason: at(body, 'status') === 'completed' ? finished : toFinishReason(incomplete),
  };
}

/** What providers say in place of OpenAI's words: the Responses API, Together, Mistral. */
const FINISH_REASONS: Readonly<Record<string, string>> = {
  max_output_tokens: 'length',
  eos: 'stop',
  model_length: 'length',
};

function toFinishReason(value: unknown): string | null {
  if (typeof value !== 'string' || value === '') return null;
  return Object.hasOwn(FINISH_REASONS, value) ? (FINISH_REASONS[value] ?? value) : value;
}

/** Of a text, or of parts of which some are text. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return objectsOf(content)
    .map(({ type, text }) => (typeof text === 'string' && TEXT_TYPES.includes(type) ? text : ''))
    .join('');
}

const TEXT_TYPES: readonly unknown[] = ['text', 'output_text'];
