/** A part: the users of a Baton or of another server, over HTTP connections that are kept. */
import { setTimeout as delay } from 'node:timers/promises';
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
  /** How many are submitted in a second; if it is not said, as many as can be. */
  readonly perSecond?: number;
}

/** Any server, and what is sent to it how often. */
export interface Load {
  readonly url: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
  readonly jobs: number;
  readonly connections: number;
  readonly perSecond?: number;
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
  const send = async (sinceMs: number): Promise<void> => {
    const reply = await pool.request(request);
    const text = await reply.body.text();
    if (reply.statusCode !== status) throw new Error(`${reply.statusCode} instead of ${status}: ${text}`);
    tookMs.push(performance.now() - sinceMs);
  };
  try {
    await (load.perSecond === undefined ? sendInTurn(load, send) : sendAtRate(load, load.perSecond, send));
  } finally {
    await pool.close();
  }
  return tookMs;
}

type Send = (sinceMs: number) => Promise<void>;

/** Over each connection the next as soon as the one before is answered. */
async function sendInTurn(load: Load, send: Send): Promise<void> {
  let begun = 0;
  const user = async (): Promise<void> => {
    while (begun < load.jobs) {
      begun += 1;
      await send(performance.now());
    }
  };
  await Promise.all(Array.from({ length: load.connections }, user));
}

/** Each at its time, however long the others take; one that finds no free connection has begun all the same. */
async function sendAtRate(load: Load, perSecond: number, send: Send): Promise<void> {
  const startMs = performance.now();
  const sent: Promise<void>[] = [];
  for (let job = 0; job < load.jobs; job += 1) {
    const dueMs = startMs + (1_000 * job) / perSecond;
    if (dueMs > performance.now()) await delay(dueMs - performance.now());
    const one = send(dueMs);
    // Whether it failed is asked at the end.
    one.catch(() => undefined);
    sent.push(one);
  }
  await Promise.all(sent);
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
