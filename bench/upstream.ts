/**
 * A part: a model's server that answers every call, and counts the answers: at once; below `/after/N` after N milliseconds; below
 * `/fails/N` with 503 to N of a hundred, always in the same order.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answer } from './part.js';

const ANSWER = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_790_000_000,
  model: 'instant',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'All work and no play. '.repeat(10) },
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 200, completion_tokens: 50, total_tokens: 250 },
});
const HEADERS = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(ANSWER) };

const FAILURE = JSON.stringify({
  error: { message: 'Down for a moment.', type: 'server_error', code: null },
});

const AFTER = /^\/after\/(\d+)\//;
const FAILS = /^\/fails\/(\d+)\//;
/** Has no divisor in common with 100: a hundred calls in a row meet each remainder once. */
const STRIDE = 37;

/** When a call came and was answered, in milliseconds since 1970, and whether with 503. */
export interface SeenCall {
  readonly cameMs: number;
  readonly answeredMs: number;
  readonly failed: boolean;
}

let calls = 0;
/** Of the calls that may fail, how many there were. */
let chances = 0;
/** Kept while it is asked for. */
let seen: SeenCall[] | null = null;
function isToFail(url: string): boolean {
  const percent = Number(FAILS.exec(url)?.[1] ?? 0);
  return percent > 0 && (chances++ * STRIDE) % 100 < percent;
}

const server = createServer((request, response) => {
  const url = request.url ?? '';
  const cameMs = Date.now();
  const delayMs = Number(AFTER.exec(url)?.[1] ?? 0);
  const give = (): void => {
    const failed = isToFail(url);
    seen?.push({ cameMs, answeredMs: Date.now(), failed });
    if (failed) {
      response.writeHead(503, { 'content-type': 'application/json' }).end(FAILURE);
      return;
    }
    calls += 1;
    response.writeHead(200, HEADERS).end(ANSWER);
  };
  request.resume().once('end', () => {
    if (delayMs === 0) give();
    else setTimeout(give, delayMs);
  });
});
// Longer than any measurement: a connection that is closed just then would be a failure of the upstream's.
server.keepAliveTimeout = 600_000;

const commands = {
  /** Starts to listen; gives the origin. */
  async listen(): Promise<string> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  },
  /** How many calls were answered so far. */
  calls: (): Promise<number> => Promise.resolve(calls),
  /** Begins to keep when calls come and are answered. */
  async watch(): Promise<void> {
    seen = [];
  },
  /** What was kept since, in the order of the answers. */
  async watched(): Promise<SeenCall[]> {
    const kept = seen ?? [];
    seen = null;
    return kept;
  },
};
export type Upstream = typeof commands;

answer<Upstream>(commands);
