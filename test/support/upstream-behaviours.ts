/** What a scripted upstream can do with one call: each behaviour writes (or does not write) one reply. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

/** One call as the upstream saw it. */
export interface UpstreamCall {
  readonly path: string;
  readonly model: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The parsed body; null if it was not a JSON object. */
  readonly body: Readonly<Record<string, unknown>> | null;
  readonly atMs: number;
}

export type Behaviour = (call: UpstreamCall, response: ServerResponse) => void | Promise<void>;

type Headers = Readonly<Record<string, string | number>>;

const JSON_TYPE = { 'content-type': 'application/json' };

/** Answers with this status and body; an object is sent as JSON, text and bytes as they are. */
export function reply(status: number, body: unknown = '', headers: Headers = JSON_TYPE): Behaviour {
  return (_call, response) => {
    const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
    response.writeHead(status, headers).end(isRaw ? body : JSON.stringify(body));
  };
}

/** Answers with an error in OpenAI's shape. */
export function fail(status: number, message = 'It failed.', headers: Headers = {}): Behaviour {
  const body = { error: { message, type: 'error', param: null, code: null } };
  return reply(status, body, { ...JSON_TYPE, ...headers });
}

/** Answers any of the four endpoints well, with usage of 12 tokens in and 5 out. */
export function answer(text = 'Hello.'): Behaviour {
  return (call, response) =>
    reply(200, goodBody(call, text), { ...JSON_TYPE, 'x-request-id': 'up-1' })(call, response);
}

/** Answers well for all calls but this share of them, which fail; which ones is decided by a hash of the key. */
export function flaky(
  ratio: number,
  failure: Behaviour,
  keyOf: (call: UpstreamCall) => string = (call) => String(call.headers['x-baton-attempt-id']),
): Behaviour {
  return (call, response) => {
    const share = createHash('sha256').update(keyOf(call)).digest().readUInt32BE(0) / 2 ** 32;
    return (share < ratio ? failure : answer())(call, response);
  };
}

/** Does as the other behaviour, but only after a while. */
export function after(latencyMs: number, then: Behaviour): Behaviour {
  return async (call, response) => {
    await delay(latencyMs, undefined, { ref: false });
    if (!response.destroyed) await then(call, response);
  };
}

/** Never answers. */
export function hang(): Behaviour {
  return () => undefined;
}

/** Sends the headers at once, and then a good answer so slowly that it never ends in time. */
export function drip(bytesPerSecond = 20): Behaviour {
  return (call, response) => {
    const text = JSON.stringify(goodBody(call, 'slow '.repeat(1000)));
    response.writeHead(200, JSON_TYPE);
    let at = 0;
    const timer = setInterval(() => response.write(text[at++ % text.length]), 1000 / bytesPerSecond);
    response.on('close', () => clearInterval(timer));
  };
}

/** Resets the connection (TCP RST) before any byte of the reply. */
export function resetBeforeHeaders(): Behaviour {
  return (_call, response) => void response.socket?.resetAndDestroy();
}

/** Resets the connection after the headers and the beginning of the body. */
export function resetAfterHeaders(): Behaviour {
  return (_call, response) => {
    response
      .writeHead(200, JSON_TYPE)
      .write('{"id":"chatcmpl-1","choices":[', () => response.socket?.resetAndDestroy());
  };
}

/** Announces more bytes than it sends, then closes in good order. */
export function truncated(headers: Headers = {}): Behaviour {
  return (_call, response) => {
    const head = { ...JSON_TYPE, 'content-length': 1000, ...headers };
    response.writeHead(200, head).write('{"id":"chatcmpl-1"', () => response.socket?.end());
  };
}

/** Ends a chunked body without its last chunk. */
export function cutChunked(): Behaviour {
  return (_call, response) => {
    response.writeHead(200, JSON_TYPE).write('{"id":"chatcmpl-1"', () => response.socket?.end());
  };
}

/** Sends bytes that are not HTTP. */
export function garbage(): Behaviour {
  return (_call, response) => void response.socket?.end('\u0000\u0001 this is not HTTP at all\r\n\r\n');
}

/** Streams a body of this many bytes, made up as it goes; announced in the headers or not. */
export function huge(bytes: number, isAnnounced = false): Behaviour {
  return async (_call, response) => {
    response.writeHead(200, isAnnounced ? { ...JSON_TYPE, 'content-length': bytes } : JSON_TYPE);
    const chunk = Buffer.alloc(64 * 1024, ' ');
    for (let left = bytes; left > 0 && !response.destroyed; left -= chunk.length) {
      if (!response.write(left < chunk.length ? chunk.subarray(0, left) : chunk)) await drained(response);
    }
    response.end();
  };
}

/** A small compressed body that would be this many megabytes if it were inflated: many gzip members in a row, which is one gzip file. */
export function gzipBomb(inflatedMb: number): Behaviour {
  const member = gzipSync(Buffer.alloc(2 ** 20, ' '));
  const bomb = Buffer.concat(Array.from({ length: inflatedMb }, () => member));
  return reply(200, bomb, { ...JSON_TYPE, 'content-encoding': 'gzip' });
}

/** A good answer with this many extra headers. */
export function manyHeaders(count: number): Behaviour {
  return (call, response) => {
    for (let index = 0; index < count; index++) response.setHeader(`x-filler-${index}`, 'some value');
    return answer()(call, response);
  };
}

/** The body of a good answer of the call's endpoint. */
export function goodBody(call: Pick<UpstreamCall, 'path' | 'model'>, text: string): Record<string, unknown> {
  const { path, model } = call;
  const chatUsage = { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 };
  if (path.endsWith('/embeddings')) {
    const data = [{ object: 'embedding', index: 0, embedding: [0.25, -0.5] }];
    return { object: 'list', model, data, usage: { prompt_tokens: 12, total_tokens: 12 } };
  }
  if (path.endsWith('/responses')) {
    const content = [{ type: 'output_text', text, annotations: [] }];
    const output = [{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content }];
    const usage = { input_tokens: 12, output_tokens: 5, total_tokens: 17 };
    return { id: 'resp_1', object: 'response', status: 'completed', error: null, model, output, usage };
  }
  if (path.endsWith('/chat/completions')) {
    const choice = { index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' };
    return {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model,
      choices: [choice],
      usage: chatUsage,
    };
  }
  const choices = [{ index: 0, text, finish_reason: 'stop' }];
  return { id: 'cmpl-1', object: 'text_completion', created: 1, model, choices, usage: chatUsage };
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

/** Bears this many calls at once, and refuses what is more; `peak` is the most that were ever underway, `refused` counts. */
export function bearing(
  most: () => number,
  then: Behaviour,
  refusal: Behaviour = fail(429, 'Too many calls at once.'),
) {
  const seen = { peak: 0, refused: 0, served: 0 };
  let underway = 0;
  const behaviour: Behaviour = async (call, response) => {
    if (underway >= most()) {
      seen.refused += 1;
      return refusal(call, response);
    }
    underway += 1;
    seen.peak = Math.max(seen.peak, underway);
    try {
      await then(call, response);
      seen.served += 1;
    } finally {
      underway -= 1;
    }
  };
  return { behaviour, seen };
}
