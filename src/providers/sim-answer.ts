/** What the simulation says, in the shapes of OpenAI's endpoints. All of it says of itself that it is simulated. */
import { createHash } from 'node:crypto';
import { objectsOf, type JsonObject } from './json.js';

export interface SimCall {
  /** The endpoint without `/v1`. */
  readonly path: string;
  readonly model: string;
  readonly body: JsonObject;
  readonly attemptId: string;
}

export interface SimReply {
  readonly status: number;
  /** A text is sent as it is, an object as JSON. */
  readonly body?: string | JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
  readonly delayMs?: number;
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

/** A good answer of the call's endpoint, in OpenAI's shape; tokens are counted as a quarter of the characters. */
export function answerBody(call: SimCall, said: { text?: string; refusal?: string }): JsonObject {
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
