/** A part: the users of a Baton or of another server, over HTTP connections that are kept. */
import { Pool } from 'undici';
import { answer } from './part.js';
import { requestBody } from './request-body.js';

/** Which Baton, and how it is used. */
export interface Usage {
  readonly url: string;
  readonly key: string;
  /** `provider/model`. */
  readonly model: string;
  readonly jobs: number;
  /** How many submit at the same time, each its next job when the last one is accepted. */
  readonly connections: number;
  /** Who is told of the end of each. */
  readonly webhookUrl?: string;
}

/** Any server, and what is sent to it how often. */
export interface Load {
  readonly url: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
  readonly jobs: number;
  readonly connections: number;
}

const IDLE_WAIT_SECONDS = 30;

/** Submits the jobs, each with these headers; as {@link sendAll}. */
async function submitAll(usage: Usage, headers: Record<string, string>, status: number): Promise<number[]> {
  const { url, key, model, webhookUrl } = usage;
  const body = {
    request: requestBody(model),
    ...(webhookUrl === undefined ? {} : { webhook_url: webhookUrl }),
  };
  return sendAll(
    { ...usage, path: '/v1/jobs', headers: { authorization: `Bearer ${key}`, ...headers }, body, url },
    status,
  );
}

/** Sends the same request so often; gives how long each reply took, in milliseconds. Throws at another status. */
async function sendAll(load: Load, status: number): Promise<number[]> {
  const pool = new Pool(load.url, { connections: load.connections, pipelining: 1 });
  const request = {
    method: 'POST' as const,
    path: load.path,
    headers: { 'content-type': 'application/json', ...load.headers },
    body: JSON.stringify(load.body),
  };
  const tookMs: number[] = [];
  let begun = 0;
  const user = async (): Promise<void> => {
    while (begun < load.jobs) {
      begun += 1;
      const startedMs = performance.now();
      const reply = await pool.request(request);
      const text = await reply.body.text();
      if (reply.statusCode !== status) throw new Error(`${reply.statusCode} instead of ${status}: ${text}`);
      tookMs.push(performance.now() - startedMs);
    }
  };
  try {
    await Promise.all(Array.from({ length: load.connections }, user));
  } finally {
    await pool.close();
  }
  return tookMs;
}

const commands = {
  /** Submits all jobs and waits for none; gives how long each submission took, in milliseconds. */
  submit: (usage: Usage): Promise<number[]> => submitAll(usage, {}, 202),
  /** Submits the jobs and waits for the end of each; gives the time from submission to result, in milliseconds. */
  run: (usage: Usage): Promise<number[]> =>
    // Baton answers 202 in place of 200 to a job that did not end in this time.
    submitAll(usage, { prefer: `wait=${IDLE_WAIT_SECONDS}` }, 200),
  /** Sends requests that are answered 200 with a result. */
  send: (load: Load): Promise<number[]> => sendAll(load, 200),
};
export type Client = typeof commands;

answer<Client>(commands);
