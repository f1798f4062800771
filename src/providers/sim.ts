/**
 * The built-in provider: an upstream inside the process that speaks OpenAI's wire format, for a first try without a key, for dry
 * runs and for tests. Every answer says that it is simulated. It must never look like a real model's answer, nor cost anything.
 */
import { createHash } from 'node:crypto';
import type { WireReply, WireRequest } from './adapter.js';
import { at, isObject, objectsOf, parseJson, type JsonObject } from './json.js';

/** The models of `sim` by name, and what each does. */
export const SIM_MODELS: Readonly<Record<string, { readonly does: string; readonly act: Act }>> = {
  echo: { does: 'answers with the last user message', act: answerLast },
  slow: { does: 'does the same after 2 seconds', act: (call) => ({ ...answerLast(call), delayMs: 2000 }) },
  flaky: {
    does: 'fails about 3 calls of 10',
    act: (call) => (isUnlucky(call) ? failing(call) : answerLast(call)),
  },
  fail: { does: 'fails with status 500', act: failing },
  overloaded: {
    does: 'fails with status 503',
    act: (call) => refusal(503, 'overloaded_error', call, 'is overloaded'),
  },
  'rate-limited': {
    does: 'fails with status 429 and asks to wait 1 second',
    act: (call) => ({
      ...refusal(429, 'rate_limit_exceeded', call, 'has no room'),
      headers: { 'retry-after': '1' },
    }),
  },
  hang: { does: 'never answers', act: () => ({ status: 200, delayMs: Infinity }) },
  'too-long': {
    does: 'says that the request is too long',
    act: (call) => refusal(400, 'context_length_exceeded', call, 'has a context length of 0 tokens'),
  },
  filter: {
    does: 'withholds its answer',
    act: (call) => refusal(400, 'content_filter', call, 'filters everything'),
  },
  refuse: {
    does: 'answers with a refusal',
    act: (call) => ({ status: 200, body: answerBody(call, { refusal: say(call, 'refuses.') }) }),
  },
  empty: {
    does: 'answers without content',
    act: (call) => ({ status: 200, body: answerBody(call, { text: '' }) }),
  },
  malformed: {
    does: 'answers with half a JSON object',
    act: (call) => ({ status: 200, body: JSON.stringify(answerLast(call).body).slice(0, -20) }),
  },
};

/**
 * Takes the request of one call as the network would, and answers in its place. Says `timeout` or `aborted` instead of a reply
 * when one of them came first.
 */
export async function simulate(
  request: WireRequest,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<WireReply | 'timeout' | 'aborted'> {
  const body = parseJson(request.body);
  const call: SimCall = {
    path: request.url,
    model: String(at(body, 'model')),
    body: isObject(body) ? body : {},
    attemptId: request.headers['x-baton-attempt-id'] ?? '',
  };
  const { status, body: reply = '', headers, delayMs = 0 } = (findModel(call.model) ?? noSuchModel)(call);
  const ended = await pause(delayMs, timeoutMs, signal);
  if (ended !== 'done') return ended;
  return {
    status,
    headers: { 'content-type': 'application/json', 'x-request-id': `sim-${call.attemptId}`, ...headers },
    body: Buffer.from(typeof reply === 'string' ? reply : JSON.stringify(reply)),
  };
}

interface SimCall {
  /** The endpoint without `/v1`. */
  readonly path: string;
  readonly model: string;
  readonly body: JsonObject;
  readonly attemptId: string;
}

interface SimReply {
  readonly status: number;
  /** A text is sent as it is, an object as JSON. */
  readonly body?: string | JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
  readonly delayMs?: number;
}

type Act = (call: SimCall) => SimReply;

function findModel(name: string): Act | undefined {
  return Object.hasOwn(SIM_MODELS, name) ? SIM_MODELS[name]?.act : undefined;
}

function noSuchModel(call: SimCall): SimReply {
  const list = Object.keys(SIM_MODELS).map((name) => `sim/${name}`);
  return refusal(404, 'model_not_found', call, `is no model of it; there are ${list.join(', ')}`);
}

function answerLast(call: SimCall): SimReply {
  return { status: 200, body: answerBody(call, { text: say(call, `answers: ${lastWords(call.body)}`) }) };
}

function failing(call: SimCall): SimReply {
  return refusal(500, 'server_error', call, 'always fails, on purpose');
}

/** Decided by the attempt, so that a retry may be luckier and a test can count on what it got. */
function isUnlucky(call: SimCall): boolean {
  return createHash('sha256').update(call.attemptId).digest().readUInt32BE(0) / 2 ** 32 < 0.3;
}

function refusal(status: number, code: string, call: SimCall, words: string): SimReply {
  return {
    status,
    body: { error: { message: say(call, words), type: code, param: null, code }, simulated: true },
  };
}

function say(call: SimCall, words: string): string {
  return `(simulated) sim/${call.model} ${words}`;
}

/** A good answer of the call's endpoint, in OpenAI's shape; tokens are counted as a quarter of the characters. */
function answerBody(call: SimCall, said: { text?: string; refusal?: string }): JsonObject {
  const { text = null, refusal: refused = null } = said;
  const input = tokensOf(JSON.stringify(call.body.messages ?? call.body.input ?? call.body.prompt ?? ''));
  const output = tokensOf(text ?? refused ?? '');
  const common = { model: call.model, created: Math.floor(Date.now() / 1000), simulated: true };
  const chatUsage = {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    simulated: true,
  };
  switch (call.path) {
    case '/embeddings': {
      const usage = { prompt_tokens: input, total_tokens: input, simulated: true };
      return { object: 'list', ...common, data: embeddings(call.body.input), usage };
    }
    case '/completions': {
      const choice = { index: 0, text: text ?? '', logprobs: null, finish_reason: 'stop' };
      return {
        id: `cmpl-${call.attemptId}`,
        object: 'text_completion',
        ...common,
        choices: [choice],
        usage: chatUsage,
      };
    }
    case '/responses': {
      const part =
        refused === null
          ? { type: 'output_text', text, annotations: [] }
          : { type: 'refusal', refusal: refused };
      const item = {
        type: 'message',
        id: `msg_${call.attemptId}`,
        status: 'completed',
        role: 'assistant',
        content: [part],
      };
      const usage = {
        input_tokens: input,
        output_tokens: output,
        total_tokens: input + output,
        simulated: true,
      };
      return {
        id: `resp_${call.attemptId}`,
        object: 'response',
        ...common,
        status: 'completed',
        error: null,
        output: [item],
        usage,
      };
    }
    default: {
      const message = { role: 'assistant', content: text, refusal: refused };
      const choice = { index: 0, message, logprobs: null, finish_reason: 'stop' };
      return {
        id: `chatcmpl-${call.attemptId}`,
        object: 'chat.completion',
        ...common,
        choices: [choice],
        usage: chatUsage,
      };
    }
  }
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

/** Waits, but no longer than the time-out or the signal lets it. */
function pause(
  delayMs: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<'done' | 'timeout' | 'aborted'> {
  if (signal.aborted) return Promise.resolve('aborted');
  if (timeoutMs <= 0) return Promise.resolve('timeout');
  if (delayMs === 0) return Promise.resolve('done');
  return new Promise((resolve) => {
    const end = (how: 'done' | 'timeout' | 'aborted') => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(how);
    };
    const onAbort = () => end('aborted');
    const timer = setTimeout(
      () => end(delayMs <= timeoutMs ? 'done' : 'timeout'),
      Math.min(delayMs, timeoutMs, 2 ** 31 - 1),
    );
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
