/** A part: what Baton is held against. BullMQ and one HTTP call for each job, with nothing written down. */
import { type ConnectionOptions, Queue, Worker } from 'bullmq';
import { Pool } from 'undici';
import { answer } from './part.js';
import { requestBody } from './request-body.js';

export interface BareSetup {
  readonly redisUrl: string;
  readonly upstreamUrl: string;
  readonly concurrency: number;
}

const QUEUE = 'bare';
const DATA = requestBody('instant');
const PATH = '/v1/chat/completions';
const OPTIONS = { removeOnComplete: true, removeOnFail: true };

let setup: BareSetup;
let connection: ConnectionOptions;
let queue: Queue;
let calls: Pool;
/** Whether a model that fails at times is asked first. */
let isFlaky = false;
/** Resolves with the seconds from the first job's start to the last one's end. */
let drained: Promise<number>;

async function statusOf(path: string, data: unknown): Promise<number> {
  const reply = await calls.request({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(data),
  });
  await reply.body.text();
  return reply.statusCode;
}

async function callUpstream(data: unknown): Promise<void> {
  if (isFlaky && (await statusOf(`/fails/30${PATH}`, data)) === 200) return;
  const status = await statusOf(PATH, data);
  if (status !== 200) throw new Error(`The upstream answered ${status}`);
}

async function startWorker(onJob: () => void): Promise<Worker> {
  const process = (job: { data: unknown }): Promise<void> => {
    onJob();
    return callUpstream(job.data);
  };
  const worker = new Worker(QUEUE, process, { connection, concurrency: setup.concurrency });
  await worker.waitUntilReady();
  return worker;
}

async function drain(worker: Worker, jobs: number, firstMs: () => number): Promise<number> {
  let left = jobs;
  await new Promise<void>((resolve, reject) => {
    worker.on('completed', () => {
      left -= 1;
      if (left === 0) resolve();
    });
    worker.on('failed', (_job, error) => reject(error));
  });
  const seconds = (performance.now() - firstMs()) / 1000;
  await worker.close();
  return seconds;
}

const commands = {
  async open(asked: BareSetup): Promise<void> {
    setup = asked;
    connection = { url: asked.redisUrl, maxRetriesPerRequest: null };
    queue = new Queue(QUEUE, { connection });
    await queue.waitUntilReady();
    calls = new Pool(asked.upstreamUrl, { connections: asked.concurrency, pipelining: 1 });
  },
  /** Adds jobs, as many at a time as the concurrency says. */
  async add(jobs: number): Promise<void> {
    let begun = 0;
    const producer = async (): Promise<void> => {
      while (begun < jobs) {
        begun += 1;
        await queue.add('job', DATA, OPTIONS);
      }
    };
    await Promise.all(Array.from({ length: setup.concurrency }, producer));
  },
  /** Starts a worker that runs so many jobs; if it is flaky, it asks a model first of which three calls of ten fail. */
  async work(jobs: number, flaky: boolean): Promise<void> {
    isFlaky = flaky;
    let firstMs: number | undefined;
    const worker = await startWorker(() => (firstMs ??= performance.now()));
    drained = drain(worker, jobs, () => firstMs ?? 0);
    // Whether it failed is asked for by `drained`.
    drained.catch(() => undefined);
  },
  /** Waits for that worker's last job; gives the seconds from its first job's start. */
  drained: (): Promise<number> => drained,
};
export type BareBullmq = typeof commands;

answer<BareBullmq>(commands);
