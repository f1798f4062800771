/** A part: the users of a Baton, over HTTP connections that are kept. */
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
}

const IDLE_WAIT_SECONDS = 30;

/** Submits the jobs, each with these headers; gives how long each reply took, in milliseconds. Throws at another status. */
async function submitAll(usage: Usage, headers: Record<string, string>, status: number): Promise<number[]> {
  const pool = new Pool(usage.url, { connections: usage.connections, pipelining: 1 });
  const request = {
    method: 'POST' as const,
    path: '/v1/jobs',
    headers: { authorization: `Bearer ${usage.key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ request: requestBody(usage.model) }),
  };
  const tookMs: number[] = [];
  let begun = 0;
  const user = async (): Promise<void> => {
    while (begun < usage.jobs) {
      begun += 1;
      const startedMs = performance.now();
      const reply = await pool.request(request);
      const text = await reply.body.text();
      if (reply.statusCode !== status) throw new Error(`${reply.statusCode} instead of ${status}: ${text}`);
      tookMs.push(performance.now() - startedMs);
    }
  };
  try {
    await Promise.all(Array.from({ length: usage.connections }, user));
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
};
export type Client = typeof commands;

answer<Client>(commands);
