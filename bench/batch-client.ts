/** A part: who uploads files, makes batches and fetches what comes of them, over HTTP. Holds no file in memory. */
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { type BatchLinesOptions, BatchLines } from '../test/support/batch-lines.js';
import { answer } from './part.js';
import { requestBody } from './request-body.js';

/** What came of an upload. */
export interface Uploaded {
  readonly fileId: string;
  readonly bytes: number;
  /** Of the lines, how many are right. */
  readonly good: number;
  readonly tookMs: number;
}

/** A batch as it was seen at a moment. */
export interface SeenBatch {
  readonly id: string;
  readonly status: string;
  readonly output_file_id: string | null;
  readonly error_file_id: string | null;
  readonly request_counts: Readonly<Record<string, number>>;
  /** When it was seen, in milliseconds since 1970. */
  readonly seenMs: number;
}

/** A single job, as its user saw it. */
export interface SeenJob {
  readonly id: string;
  /** In milliseconds since 1970. */
  readonly submittedMs: number;
  /** From submission to the result in hand. */
  readonly tookMs: number;
}

const LOOK_EVERY_MS = 100;
const RESULT_WAIT_SECONDS = 60;
const BOUNDARY = 'baton-bench-of-batches';

let pool: Pool;
let key: string;

async function ask(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const reply = await pool.request({
    method,
    path,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await reply.body.text();
  if (reply.statusCode !== 200) throw new Error(`${method} ${path}: ${reply.statusCode}: ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}

async function runJob(model: string): Promise<SeenJob> {
  const submittedMs = Date.now();
  const startedMs = performance.now();
  const headers = { prefer: `wait=${RESULT_WAIT_SECONDS}` };
  const reply = await pool.request({
    method: 'POST',
    path: '/v1/jobs',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ request: requestBody(model) }),
  });
  const text = await reply.body.text();
  if (reply.statusCode !== 200) throw new Error(`A job was not done: ${reply.statusCode}: ${text}`);
  const { id } = JSON.parse(text) as { id: string };
  return { id, submittedMs, tookMs: performance.now() - startedMs };
}

const commands = {
  /** Says which Baton is meant from now on. */
  async open(url: string, itsKey: string): Promise<void> {
    key = itsKey;
    await (pool as Pool | undefined)?.close();
    pool = new Pool(url, { connections: 50, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  },
  /** Uploads lines that are made as they are sent. */
  async upload(options: BatchLinesOptions): Promise<Uploaded> {
    const lines = new BatchLines(options);
    const form = new CountedForm(lines);
    const startedMs = performance.now();
    const reply = await pool.request({
      method: 'POST',
      path: '/v1/files',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      },
      body: Readable.from(form, { objectMode: false }),
    });
    const text = await reply.body.text();
    if (reply.statusCode !== 200) throw new Error(`The upload was refused: ${reply.statusCode}: ${text}`);
    const { id } = JSON.parse(text) as { id: string };
    return {
      fileId: id,
      bytes: form.bytes,
      good: lines.good.length,
      tookMs: performance.now() - startedMs,
    };
  },
  /** Makes a batch of a file's lines, good ones among bad ones; gives its id. */
  async create(fileId: string): Promise<string> {
    const made = await ask('POST', '/v1/batches', {
      input_file_id: fileId,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      accept_invalid_lines: true,
    });
    return String(made['id']);
  },
  /** Asks again and again, ten times a second, until the batch is in one of these states. */
  async until(batchId: string, statuses: readonly string[]): Promise<SeenBatch> {
    for (;;) {
      const batch = (await ask('GET', `/v1/batches/${batchId}`)) as unknown as SeenBatch;
      if (statuses.includes(batch.status)) return { ...batch, seenMs: Date.now() };
      await delay(LOOK_EVERY_MS);
    }
  },
  async cancel(batchId: string): Promise<void> {
    await ask('POST', `/v1/batches/${batchId}/cancel`);
  },
  /** Asks each of these so often, one after the other; gives how long each reply took, in milliseconds. */
  async askAll(paths: readonly string[], times: number): Promise<number[]> {
    const tookMs: number[] = [];
    for (let time = 0; time < times; time += 1) {
      for (const path of paths) {
        const startedMs = performance.now();
        await ask('GET', path);
        tookMs.push(performance.now() - startedMs);
      }
    }
    return tookMs;
  },
  /** Reads a file, or a batch's results, and gives the number of its lines. */
  async countLines(path: string): Promise<number> {
    const reply = await pool.request({ method: 'GET', path, headers: { authorization: `Bearer ${key}` } });
    if (reply.statusCode !== 200) throw new Error(`GET ${path}: ${reply.statusCode}`);
    let lines = 0;
    for await (const piece of reply.body as AsyncIterable<Buffer>) {
      for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) lines += 1;
    }
    return lines;
  },
  /** Submits a job every so often, whatever became of the ones before, and waits for the results of all. */
  async runJobs(model: string, jobs: number, everyMs: number): Promise<SeenJob[]> {
    const running: Promise<SeenJob>[] = [];
    for (let job = 0; job < jobs; job += 1) {
      if (job > 0) await delay(everyMs);
      const run = runJob(model);
      // Whether it failed is asked at the end.
      run.catch(() => undefined);
      running.push(run);
    }
    return Promise.all(running);
  },
};
export type BatchClient = typeof commands;

/** The form of an upload, counting the file's bytes. */
class CountedForm implements AsyncIterable<Buffer> {
  bytes = 0;

  constructor(private readonly file: AsyncIterable<Buffer>) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const part = `--${BOUNDARY}\r\ncontent-disposition: form-data; name=`;
    const type = 'content-type: application/jsonl';
    yield Buffer.from(
      `${part}"purpose"\r\n\r\nbatch\r\n${part}"file"; filename="input.jsonl"\r\n${type}\r\n\r\n`,
    );
    for await (const piece of this.file) {
      this.bytes += piece.length;
      yield piece;
    }
    yield Buffer.from(`\r\n--${BOUNDARY}--\r\n`);
  }
}

answer<BatchClient>(commands);
