/** What must be right about the input of a batch: all that is wrong is told at once, line by line, before anything runs. */
import type { Flaw } from './support/bad-lines.js';
import {
  BatchClient,
  type BatchErrorReply,
  type BatchReply,
  chat,
  chats,
  toJsonl,
} from './support/batch-client.js';
import { type BadLine, BatchLines, type BatchLinesOptions } from './support/batch-lines.js';
import { type JobReply, TestBaton } from './support/test-baton.js';

const LINE_LIMIT = 2 ** 20;
const MOST_LINES = 3000;
const MOST_SHOWN = 1000;

let baton: TestBaton;
let batches: BatchClient;

beforeAll(async () => {
  baton = await TestBaton.start({ env: { BATCH_MAX_LINES: String(MOST_LINES), WORKER_CONCURRENCY: '50' } });
  batches = new BatchClient(baton);
});

afterAll(() => baton.stop());

/** What must be told of a line: all of it but the wording. */
function toldOf({ line, code, param }: BadLine): unknown {
  return { line, code, param, message: expect.stringMatching(/^\w.{9,}\.$/s) };
}

async function jobsOf(batch: BatchReply): Promise<JobReply[]> {
  const { body } = await baton.request('GET', `/v1/jobs?batch_id=${batch.id}&limit=100`);
  return body['data'] as JobReply[];
}

/** The batch of some input, once it has ended. */
async function ended(input: string | Buffer, fields: Record<string, unknown> = {}): Promise<BatchReply> {
  return batches.run({ input_file_id: await batches.upload(input), ...fields });
}

/** A line of exactly so many bytes. */
function lineOfLength(bytes: number, customId = 'long'): string {
  const [line = ''] = toJsonl([chat(customId, 'sim/echo', { user: '' })]).split('\n');
  return line.replace('"user":""', `"user":"${'x'.repeat(bytes - line.length)}"`);
}

describe('a batch with bad lines', () => {
  it.each<[string, Partial<BatchLinesOptions>]>([
    ['lines that end with LF', {}],
    [
      'lines that end with CRLF, a byte order mark and no last end',
      { lineEnd: '\r\n', byteOrderMark: true, endsLast: false },
    ],
    ['blank lines among them', { blankShare: 0.3 }],
    ['blank lines with CRLF', { blankShare: 0.3, lineEnd: '\r\n' }],
  ])('fails before anything runs, and tells every one of them by number and code: %s', async (_, how) => {
    const input = new BatchLines({ seed: 11, requests: 200, badShare: 0.3, ...how });
    expect(new Set(input.bad.map(({ flaw }) => flaw)).size).toBe(24);
    const batch = await ended(await input.bytes());
    expect(batch).toMatchObject({
      status: 'failed',
      in_progress_at: null,
      output_file_id: null,
      error_file_id: null,
      completed_at: null,
      failed_at: expect.any(Number),
    });
    expect(batch.errors).toEqual({ object: 'list', total: input.bad.length, data: input.bad.map(toldOf) });
    expect(batch.usage.total_tokens).toBe(0);
    expect(await jobsOf(batch)).toEqual([]);
    expect(await batches.results(batch.id)).toEqual([]);
  });

  it('runs the good ones if it accepts that, and keeps the bad ones in the error file', async () => {
    const input = new BatchLines({ seed: 12, requests: 150, badShare: 0.2, blankShare: 0.1 });
    const batch = await ended(await input.bytes(), { accept_invalid_lines: true });
    expect(batch).toMatchObject({ status: 'completed', failed_at: null, accept_invalid_lines: true });
    expect(batch.errors).toEqual({ object: 'list', total: input.bad.length, data: input.bad.map(toldOf) });
    expect(batch.request_counts).toEqual({
      total: 150,
      completed: input.good.length,
      failed: input.bad.length,
      in_progress: 0,
      cancelled: 0,
      expired: 0,
    });
    const { output, errors } = await batches.files(batch);
    const answered = output.map((each) => ({ line: each.baton.line, customId: each.custom_id }));
    expect(answered.sort((a, b) => a.line - b.line)).toEqual(input.good);
    expect([...errors].sort((a, b) => a.baton.line - b.baton.line)).toEqual(
      input.bad.map(({ line, code, customId }) => ({
        id: expect.stringMatching(/^batch_req_/),
        custom_id: customId,
        response: null,
        error: { code, message: expect.any(String) },
        baton: expect.objectContaining({ job_id: null, line, served_by: null, attempts: 0 }),
      })),
    );
    expect(new Set([...output, ...errors].map(({ id }) => id)).size).toBe(150);
  });

  it('fails although it accepts bad lines, if there is no good one', async () => {
    const flaws: Flaw[] = ['cut json', 'wrong url'];
    const input = new BatchLines({ seed: 13, requests: 9, badShare: 1, flaws });
    const bytes = await input.bytes();
    const bad = bytes.subarray(bytes.indexOf('\n') + 1); // all but the first line, which is good
    const batch = await ended(bad, { accept_invalid_lines: true });
    expect(batch).toMatchObject({
      status: 'failed',
      errors: { total: 8 },
      request_counts: { total: 8, failed: 8 },
    });
    expect(await jobsOf(batch)).toEqual([]);
  });

  it('tells the first thousand, and how many there are', async () => {
    const flaws: Flaw[] = ['wrong method', 'no model', 'cut json'];
    const input = new BatchLines({ seed: 14, requests: 2500, badShare: 0.6, flaws });
    expect(input.bad.length).toBeGreaterThan(MOST_SHOWN);
    const { errors } = await ended(await input.bytes());
    expect(errors?.total).toBe(input.bad.length);
    expect(errors?.data).toEqual(input.bad.slice(0, MOST_SHOWN).map(toldOf));
  });

  it('turns the later of two lines with the same custom_id away, however far apart they are', async () => {
    const requests = chats(2500, 'sim/echo');
    const again = [chat('r-0', 'sim/echo'), chat('r-1200', 'sim/echo'), chat('r-1200', 'sim/echo')];
    const { errors } = await ended(toJsonl([...requests, ...again]));
    const found = (errors?.data ?? []).map(({ line, code }: BatchErrorReply) => [line, code]);
    expect(found).toEqual([2501, 2502, 2503].map((line) => [line, 'duplicate_custom_id']));
  });
});

describe('a line', () => {
  it('may have 1 MiB and no byte more, whatever its end and what stands before it', async () => {
    for (const [before, end] of [
      ['', '\n'],
      ['', '\r\n'],
      ['', ''],
      ['\u{feff}', '\n'],
      ['\u{feff}', '\r\n'],
    ]) {
      const good = await ended(`${before}${lineOfLength(LINE_LIMIT)}${end}`);
      expect([before, end, good.status, good.errors]).toEqual([before, end, 'completed', null]);
      const bad = await ended(`${before}${lineOfLength(LINE_LIMIT + 1)}${end}`);
      expect(bad.errors?.data).toMatchObject([{ code: 'line_too_large', line: 1 }]);
    }
  });

  it('that is far too large is told as one, and the lines behind it are read', async () => {
    const lines = [
      lineOfLength(5 * LINE_LIMIT, 'a'),
      'x',
      lineOfLength(500, 'c'),
      lineOfLength(3 * LINE_LIMIT, 'd'),
    ];
    const { errors } = await ended(lines.join('\n'));
    expect((errors?.data ?? []).map(({ line, code }) => [line, code])).toEqual([
      [1, 'line_too_large'],
      [2, 'invalid_json'],
      [4, 'line_too_large'],
    ]);
  });

  it.each([
    ['a model in each line', null, 'sim/echo'],
    ['one model for all', 'sim/echo', null],
    ['a model of its own over the one for all', 'sim/fail', 'sim/echo'],
    ['a policy for all', 'policy/calm', null],
  ])('has its model from itself, else from the batch: %s', async (_, ofBatch, ofLine) => {
    await baton.request('PUT', '/v1/policies/calm', { steps: [{ model: 'sim/echo' }] });
    const input = new BatchLines({ seed: 15, requests: 3, model: ofLine });
    const batch = await ended(await input.bytes(), ofBatch === null ? {} : { model: ofBatch });
    expect(batch).toMatchObject({ status: 'completed', model: ofBatch, request_counts: { completed: 3 } });
    const { output } = await batches.files(batch);
    expect(output.map((line) => line.baton.served_by)).toEqual(['sim/echo', 'sim/echo', 'sim/echo']);
  });

  it('may name several models, a custom_id of 64 letters of any kind, and fields that nobody knows', async () => {
    const customId = '🙂'.repeat(32);
    const body = { models: ['sim/fail', 'sim/echo'], messages: [], made_up: { a: [1] } };
    const batch = await ended(toJsonl([{ custom_id: customId, body }]));
    const { output } = await batches.files(batch);
    expect(output).toMatchObject([{ custom_id: customId, baton: { served_by: 'sim/echo', attempts: 2 } }]);
    const [job] = await jobsOf(batch);
    expect((await baton.job(job?.id ?? '')).request).toEqual(body);
  });
});

describe('an input', () => {
  it.each([
    ['of no bytes', ''],
    ['of blank lines', '\n \r\n\t\n'],
    ['of a byte order mark', '\u{feff}'],
  ])('%s is an empty batch', async (_, input) => {
    expect(await ended(input)).toMatchObject({
      status: 'failed',
      errors: { total: 1, data: [{ code: 'empty_batch', line: null, param: null }] },
      request_counts: { total: 0 },
    });
  });

  it('may have as many lines as the limit says, blank ones not counted, and no more', async () => {
    const line = (index: number) => toJsonl([chat(`r-${index}`, 'sim/echo')]);
    const most = Array.from({ length: MOST_LINES }, (_, index) => `${line(index)}\n`).join('');
    const good = await batches.run({ input_file_id: await batches.upload(most) }, 90_000);
    expect(good).toMatchObject({ status: 'completed', request_counts: { completed: MOST_LINES } });
    const bad = await ended(most + line(MOST_LINES));
    expect(bad).toMatchObject({
      status: 'failed',
      errors: { data: [{ code: 'too_many_lines', line: null }] },
    });
    expect(bad.errors?.data[0]?.message).toContain(String(MOST_LINES));
    expect(await jobsOf(bad)).toEqual([]);
  }, 120_000);

  it('is bad where a request is given inline too, and the number is its place', async () => {
    const requests = [
      chat('a', 'sim/echo'),
      { custom_id: 'b' },
      7,
      chat('a', 'sim/echo'),
      chat('c', 'nobodys/x'),
    ];
    const batch = await batches.run({ requests });
    expect(batch.status).toBe('failed');
    expect((batch.errors?.data ?? []).map(({ line, code, param }) => [line, code, param])).toEqual([
      [2, 'invalid_body', 'body'],
      [3, 'invalid_json', null],
      [4, 'duplicate_custom_id', 'custom_id'],
      [5, 'unknown_model', 'body.model'],
    ]);
  });
});
