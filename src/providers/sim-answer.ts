/** What the simulation says, in the shapes of OpenAI's endpoints. All of it says of itself that it is simulated. */
import { createHash } from 'node:crypto';
import { objectsOf, type JsonObject } from './json.js';

export interface SimCall {
  /** The endpoint without `/v1`. */
  readonly path: string;
  readonly model: string;
  readonly body: JsonObject;
  readonly attemptId: string;
  /** Which attempt of its job this is, from 0. */
  readonly attemptIndex: number;
}

/** An HTTP reply, after a while; or none, where the connection was lost. */
export interface SimReply {
  readonly status: number;
  /** A text is sent as it is, an object as JSON. */
  readonly body?: string | JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
  readonly delayMs?: number;
  /** Set if there comes no reply at all. */
  readonly lost?: SimLoss;
}

/** How a call ends without a reply, in egress's words. */
export interface SimLoss {
  readonly kind: 'timeout' | 'aborted' | 'connect' | 'reset';
  readonly sent: boolean;
  readonly message: string;
}

/** Answers with the last words of the user. */
export function answerLast(call: SimCall): SimReply {
  return { status: 200, body: answerBody(call, { text: say(call, `answers: ${lastWords(call.body)}`) }) };
}

/** An error in OpenAI's shape. */
export function refusal(status: number, code: string, call: SimCall, words: string): SimReply {
  return {
    status,
    body: { error: { message: say(call, words), type: code, param: null, code }, simulated: true },
  };
}

/** A sentence with the simulated model at its head. */
export function say(call: SimCall, words: string): string {
  return `(simulated) sim/${call.model} ${words}`;
}

/** What an answer says: nothing at all where it has neither text nor refusal. */
export interface Said {
  readonly text?: string;
  readonly refusal?: string;
  /** True if it was cut at the output limit. */
  readonly isCut?: boolean;
}

/** An answer of the call's endpoint, in OpenAI's shape; tokens are counted as a quarter of the characters. */
export function answerBody(call: SimCall, said: Said): JsonObject {
  const input = tokensOf(JSON.stringify(call.body.messages ?? call.body.input ?? call.body.prompt ?? ''));
  const output = tokensOf(said.text ?? said.refusal ?? '');
  const body = (BODIES[call.path] ?? chatBody)(call, said);
  const [inputName, outputName] =
    call.path === '/responses' ? ['input_tokens', 'output_tokens'] : ['prompt_tokens', 'completion_tokens'];
  const outputTokens = call.path === '/embeddings' ? {} : { [outputName]: output };
  const total = call.path === '/embeddings' ? input : input + output;
  return {
    ...body,
    model: call.model,
    created: Math.floor(Date.now() / 1000),
    simulated: true,
    usage: { [inputName]: input, ...outputTokens, total_tokens: total, simulated: true },
  };
}

const BODIES: Readonly<Record<string, (call: SimCall, said: Said) => JsonObject>> = {
  '/embeddings': ({ body }, { text }) => ({
    object: 'list',
    data: text === undefined ? [] : embeddings(body.input),
  }),
  '/completions': (call, { text, refusal: refused, isCut }) => {
    const finish_reason = refused === undefined ? finishOf(isCut) : 'refusal';
    const choice = { index: 0, text: text ?? '', logprobs: null, finish_reason };
    const choices = text === undefined && refused === undefined ? [] : [choice];
    return { id: `cmpl-${call.attemptId}`, object: 'text_completion', choices };
  },
  '/responses': responseBody,
};

function chatBody(call: SimCall, { text = '', refusal: refused, isCut }: Said): JsonObject {
  const message = {
    role: 'assistant',
    content: refused === undefined ? text : null,
    refusal: refused ?? null,
  };
  const choice = { index: 0, message, logprobs: null, finish_reason: finishOf(isCut) };
  return { id: `chatcmpl-${call.attemptId}`, object: 'chat.completion', choices: [choice] };
}

function responseBody(call: SimCall, { text = '', refusal: refused, isCut = false }: Said): JsonObject {
  const part =
    refused === undefined
      ? { type: 'output_text', text, annotations: [] }
      : { type: 'refusal', refusal: refused };
  const status = isCut ? 'incomplete' : 'completed';
  const item = { type: 'message', id: `msg_${call.attemptId}`, status, role: 'assistant', content: [part] };
  return {
    id: `resp_${call.attemptId}`,
    object: 'response',
    status,
    error: null,
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    output: [item],
  };
}

function finishOf(isCut = false): string {
  return isCut ? 'length' : 'stop';
}

function lastWords(body: JsonObject): string {
  const fromMessages = (list: unknown) =>
    textOf(objectsOf(list).findLast((message) => message.role === 'user')?.content);
  return fromMessages(body.messages) || fromMessages(body.input) || textOf(body.input) || textOf(body.prompt);
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return objectsOf(content)
    .map((part) => (typeof part.text === 'string' ? part.text : ''))
    .join('');
}

/** A small vector for each input, the same for the same text. */
function embeddings(input: unknown): JsonObject[] {
  const inputs = Array.isArray(input) ? input : [input];
  return inputs.map((one, index) => {
    const digest = createHash('sha256')
      .update(JSON.stringify(one) ?? '')
      .digest();
    const embedding = Array.from(digest.subarray(0, 8), (byte) => byte / 127.5 - 1);
    return { object: 'embedding', index, embedding };
  });
}

function tokensOf(text: string): number {
  return Math.ceil(text.length / 4);
}
