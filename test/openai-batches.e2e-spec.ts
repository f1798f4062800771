/** OpenAI's own client, as it is, against a Baton: each of its calls for files and batches, its paging and its classes of errors. */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { BatchClient, chat, chats, idsOf, type ResultLine, toJsonl } from './support/batch-client.js';
import { openaiClient } from './support/openai-client.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { TestBaton } from './support/test-baton.js';
import { fail, hang } from './support/upstream-behaviours.js';

const MOST_ACTIVE = 3;
const NOBODYS = '00000000000000000000000000';

let upstream: ScriptedUpstream;
let baton: TestBaton;
let batches: BatchClient;
let openai: OpenAI;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    env: { BATCH_MAX_ACTIVE: String(MOST_ACTIVE), WORKER_CONCURRENCY: '20' },
    file: { providers: { a: { base_url: upstream.url, api_key: 'key-of-a', protect: false } } },
  });
  batches = new BatchClient(baton);
  openai = openaiClient(baton);
  upstream.script('stuck', hang());
  upstream.script('bad', fail(400, 'No.'));
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

async function upload(jsonl: string, name = 'input.jsonl'): Promise<OpenAI.FileObject> {
  return openai.files.create({ file: await OpenAI.toFile(Buffer.from(jsonl), name), purpose: 'batch' });
}

async function create(jsonl: string, more: Partial<OpenAI.BatchCreateParams> = {}): Promise<OpenAI.Batch> {
  const { id } = await upload(jsonl);
  return openai.batches.create({
    input_file_id: id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    ...more,
  });
}

/** The batch once it has ended, as the client sees it. */
async function ended(id: string): Promise<OpenAI.Batch> {
  await batches.ended(id);
  return openai.batches.retrieve(id);
}

async function linesOf(fileId: string | undefined): Promise<ResultLine[]> {
  const text = await (await openai.files.content(fileId ?? '')).text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ResultLine);
}

/** What a call of the client is refused with. Throws if it is not. */
async function refusal(call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error: unknown = await call.then(
    (value) => new Error(`It was not refused: ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  if (error instanceof OpenAI.APIError) return error;
  throw error;
}

describe('the client makes a batch', () => {
  it('of a file, waits for its end, and reads the answers', async () => {
    const file = await upload(toJsonl(chats(25, 'sim/echo')), 'my requests.jsonl');
    expect(file).toMatchObject({
      object: 'file',
      purpose: 'batch',
      filename: 'my requests.jsonl',
      status: 'processed',
    });
    const made = await openai.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { order: '17' },
    });
    expect(made).toMatchObject({
      object: 'batch',
      status: 'validating',
      input_file_id: file.id,
      metadata: { order: '17' },
    });
    const batch = await ended(made.id);
    expect(batch).toMatchObject({
      id: made.id,
      status: 'completed',
      request_counts: { total: 25, completed: 25, failed: 0 },
      error_file_id: null,
    });
    expect(batch.usage?.total_tokens).toBe(
      (batch.usage?.input_tokens ?? 0) + (batch.usage?.output_tokens ?? 0),
    );
    const lines = await linesOf(batch.output_file_id);
    expect(idsOf(lines)).toEqual(idsOf(chats(25, '')));
    for (const { id, response, error } of lines) {
      expect(id).toMatch(/^batch_req_/);
      expect([response?.status_code, error]).toEqual([200, null]);
      const body = response?.body as unknown as OpenAI.ChatCompletion;
      expect(body.choices[0]?.message.content).toContain('sim/echo answers');
    }
    const output = await openai.files.retrieve(batch.output_file_id ?? '');
    expect(output).toMatchObject({ object: 'file', purpose: 'batch_output', status: 'processed' });
    expect(output.bytes).toBe(Buffer.byteLength(await (await openai.files.content(output.id)).text()));
  });

  it('of a file on disk, as its documentation shows, with fields that are null', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'baton-client-'));
    const path = join(folder, 'batchinput.jsonl');
    await writeFile(path, toJsonl(chats(3, 'sim/echo')));
    const file = await openai.files.create({ file: createReadStream(path), purpose: 'batch' });
    await rm(folder, { recursive: true });
    expect(file.filename).toBe('batchinput.jsonl');
    const { id } = await openai.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: null,
    });
    expect(await ended(id)).toMatchObject({
      status: 'completed',
      metadata: {},
      request_counts: { completed: 3 },
    });
  });

  it('and its outputs are kept for as long as it says, and 30 days otherwise', async () => {
    for (const seconds of [3600, 2_592_000, null]) {
      const more =
        seconds === null ? {} : { output_expires_after: { anchor: 'created_at' as const, seconds } };
      const { id } = await create(toJsonl([chat('good', 'sim/echo'), chat('bad', 'a/bad')]), more);
      const batch = await ended(id);
      for (const fileId of [batch.output_file_id, batch.error_file_id]) {
        const file = await openai.files.retrieve(fileId ?? '');
        expect((file.expires_at ?? 0) - file.created_at).toBe(seconds ?? 2_592_000);
      }
    }
  });

  it('once, however often it sends it with the same key', async () => {
    const { id: file } = await upload(toJsonl([chat('a', 'sim/echo')]));
    const send = (metadata: Record<string, string>) =>
      openai.batches
        .create(
          { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h', metadata },
          { headers: { 'Idempotency-Key': 'client-1' } },
        )
        .withResponse();
    const first = await send({});
    await ended(first.data.id);
    const again = await send({});
    expect(again.data).toEqual(first.data);
    expect(again.response.headers.get('idempotent-replayed')).toBe('true');
    const mismatch = await refusal(send({ other: 'body' }));
    expect(mismatch).toBeInstanceOf(OpenAI.UnprocessableEntityError);
    expect(mismatch).toMatchObject({ status: 422, code: 'idempotency_mismatch' });
  });

  it('with lines that are wrong, and learns of each of them', async () => {
    const batch = await ended((await create('{"custom_id": "a"}\nnot json\n')).id);
    expect(batch).toMatchObject({
      status: 'failed',
      failed_at: expect.any(Number),
      errors: { object: 'list' },
    });
    expect(batch.errors?.data?.map(({ line, code }) => [line, code])).toEqual([
      [1, 'invalid_method'],
      [2, 'invalid_json'],
    ]);
  });

  it('of which every line fails, and finds them in the error file', async () => {
    const batch = await ended((await create(toJsonl(chats(3, 'a/bad')))).id);
    expect(batch).toMatchObject({ status: 'completed', output_file_id: null, request_counts: { failed: 3 } });
    const lines = await linesOf(batch.error_file_id);
    expect(lines.map((line) => line.response?.status_code)).toEqual([400, 400, 400]);
  });

  it('and cancels it', async () => {
    const { id } = await create(toJsonl([chat('a', 'sim/echo'), ...chats(5, 'a/stuck')]));
    await batches.until(id, (batch) => batch.request_counts.completed === 1);
    expect(['cancelling', 'cancelled']).toContain((await openai.batches.cancel(id)).status);
    const batch = await ended(id);
    expect(batch).toMatchObject({
      status: 'cancelled',
      cancelled_at: expect.any(Number),
      request_counts: { completed: 1 },
    });
    expect(idsOf(await linesOf(batch.output_file_id))).toEqual(['a']);
    const errors = await linesOf(batch.error_file_id);
    expect(errors.map((line) => line.error?.code)).toEqual(
      Array.from({ length: 5 }, () => 'batch_cancelled'),
    );
  });
});

describe('the client lists', () => {
  it('batches page by page, each once, newest first', async () => {
    const made: string[] = [];
    for (let i = 0; i < 7; i++) made.push((await batches.run({ requests: chats(1, 'sim/echo') })).id);
    const seen: string[] = [];
    for await (const batch of openai.batches.list({ limit: 2 })) {
      expect(batch.object).toBe('batch');
      seen.push(batch.id);
    }
    expect(seen.slice(0, 7)).toEqual(made.toReversed());
    expect(new Set(seen).size).toBe(seen.length);
    const page = await openai.batches.list({ limit: 3 });
    expect([page.data.length, page.has_more, page.hasNextPage()]).toEqual([3, true, true]);
    expect((await page.getNextPage()).data.map(({ id }) => id)).toEqual(seen.slice(3, 6));
    const last = await openai.batches.list({ after: seen.at(-1) ?? '' });
    expect([last.data, last.hasNextPage()]).toEqual([[], false]);
  });

  it('files page by page, each once, by purpose and in either order', async () => {
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.push((await upload(`${i}\n`)).id);
    const seen: string[] = [];
    for await (const file of openai.files.list({ limit: 2, purpose: 'batch' })) seen.push(file.id);
    expect(seen.slice(0, 5)).toEqual(made.toReversed());
    expect(new Set(seen).size).toBe(seen.length);
    const oldest: string[] = [];
    for await (const file of openai.files.list({ limit: 3, purpose: 'batch', order: 'asc' }))
      oldest.push(file.id);
    expect(oldest).toEqual(seen.toReversed());
    for await (const file of openai.files.list({ purpose: 'batch_output' }))
      expect(file.purpose).toBe('batch_output');
  });
});

describe('the client handles a file', () => {
  it('uploads, retrieves, reads and deletes it', async () => {
    const text = `${'naïve € 🙂 '.repeat(20_000)}\n`;
    const file = await upload(text);
    expect(await openai.files.retrieve(file.id)).toEqual(file);
    expect(await openai.files.waitForProcessing(file.id)).toEqual(file);
    expect(file.bytes).toBe(Buffer.byteLength(text));
    const content = await openai.files.content(file.id);
    expect(await content.text()).toBe(text);
    expect(await openai.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
    expect(await refusal(openai.files.retrieve(file.id))).toBeInstanceOf(OpenAI.NotFoundError);
    expect(await refusal(openai.files.content(file.id))).toBeInstanceOf(OpenAI.NotFoundError);
    expect(await refusal(openai.files.delete(file.id))).toBeInstanceOf(OpenAI.NotFoundError);
  });

  it('that ends by itself at the time it says', async () => {
    const file = await openai.files.create({
      file: await OpenAI.toFile(Buffer.from('x'), 'x.jsonl'),
      purpose: 'batch',
      expires_after: { anchor: 'created_at', seconds: 3600 },
    });
    expect((file.expires_at ?? 0) - file.created_at).toBe(3600);
  });
});

describe('the client meets its own', () => {
  it('NotFoundError for what is not there', async () => {
    for (const call of [
      () => openai.batches.retrieve(`batch_${NOBODYS}`),
      () => openai.batches.cancel('batch_x'),
      () => openai.files.retrieve(`file-${NOBODYS}`),
      () => openai.files.content('file-x'),
    ]) {
      const error = await refusal(call());
      expect(error).toBeInstanceOf(OpenAI.NotFoundError);
      expect(error).toMatchObject({ status: 404, code: 'not_found', type: 'not_found_error' });
      expect(error.requestID).toMatch(/^req_/);
    }
  });

  it('BadRequestError for what is wrong', async () => {
    const file = await upload('x');
    const base = {
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    } as const;
    const wrong: [Partial<OpenAI.BatchCreateParams>, string][] = [
      [{ endpoint: '/v1/videos' }, 'endpoint'],
      [{ completion_window: '25 hours' as '24h' }, 'completion_window'],
      [{ output_expires_after: { anchor: 'created_at', seconds: 1 } }, 'output_expires_after.seconds'],
    ];
    for (const [fields, param] of wrong) {
      const error = await refusal(openai.batches.create({ ...base, ...fields }));
      expect(error).toBeInstanceOf(OpenAI.BadRequestError);
      expect(error).toMatchObject({ status: 400, code: 'invalid_value', param });
    }
    const nothing = openai.files.create({
      file: await OpenAI.toFile(Buffer.from('x'), 'x'),
      purpose: 'poetry' as 'batch',
    });
    expect(await refusal(nothing)).toBeInstanceOf(OpenAI.BadRequestError);
    expect(await refusal(openai.batches.list({ limit: 1000 }))).toBeInstanceOf(OpenAI.BadRequestError);
  });

  it('AuthenticationError for a wrong key', async () => {
    const stranger = openaiClient({ url: baton.url, key: 'wrong' });
    const file = await OpenAI.toFile(Buffer.from('x'), 'x.jsonl');
    for (const call of [
      () => stranger.batches.list(),
      () => stranger.files.list(),
      () => stranger.batches.retrieve(`batch_${NOBODYS}`),
      () => stranger.files.create({ file, purpose: 'batch' }),
    ]) {
      const error = await refusal(call());
      expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' });
    }
  });

  it('ConflictError for what is too late, and does not try it again', async () => {
    const { id } = await batches.run({ requests: chats(1, 'sim/echo') });
    const patient = openai.withOptions({ maxRetries: 2 });
    const error = await refusal(patient.batches.cancel(id));
    expect(error).toBeInstanceOf(OpenAI.ConflictError);
    expect(error).toMatchObject({ status: 409, code: 'batch_not_running' });
    expect(error.headers?.get('x-should-retry')).toBe('false');
  });

  it('RateLimitError when too many batches have not ended, and gets through once it may', async () => {
    const open = [];
    for (let i = 0; i < MOST_ACTIVE; i++) open.push(await create(toJsonl([chat('a', 'a/stuck')])));
    const jsonl = toJsonl([chat('late', 'sim/echo')]);
    const error = await refusal(create(jsonl));
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error).toMatchObject({ status: 429, type: 'rate_limit_error' });
    expect(Number(error.headers?.get('retry-after'))).toBeGreaterThanOrEqual(1);
    const { id: input } = await upload(jsonl);
    // The client waits as long as it is told, and tries again by itself.
    const patient = openai.withOptions({ maxRetries: 5 });
    const late = patient.batches.create({
      input_file_id: input,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    for (const { id } of open) await openai.batches.cancel(id);
    expect(await ended((await late).id)).toMatchObject({ status: 'completed' });
    for (const { id } of open) await ended(id);
  });
});
