/** A part: a model's server that answers every call, and counts them: at once, or below `/after/N` after N milliseconds. */
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

const AFTER = /^\/after\/(\d+)\//;

let calls = 0;
const server = createServer((request, response) => {
  const delayMs = Number(AFTER.exec(request.url ?? '')?.[1] ?? 0);
  const give = (): void => void response.writeHead(200, HEADERS).end(ANSWER);
  request.resume().once('end', () => {
    calls += 1;
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
};
export type Upstream = typeof commands;

answer<Upstream>(commands);
