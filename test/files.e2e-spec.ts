/** Files as OpenAI has them, with the official client and with bytes of our own: uploaded, listed, read in ranges, deleted, expired. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import OpenAI, { NotFoundError, toFile } from 'openai';
import { FileSweeper } from '../src/batches/file-sweeper.js';
import { FilesRepository } from '../src/batches/files.repository.js';
import { Blobs } from '../src/storage/blobs.js';
import { type Database, openDatabase } from '../src/storage/database.js';
import { newUuid, toPublicId, toUuid } from '../src/storage/ids.js';
import { PostgresBlobs } from '../src/storage/postgres-blobs.js';
import { S3Blobs } from '../src/storage/s3-blobs.js';
import { S3Server } from './support/s3-server.js';
import { type Reply, TestBaton } from './support/test-baton.js';

const MIB = 1024 * 1024;
const MAX_BYTES = 3 * MIB;

let baton: TestBaton;
let db: Database;
let client: OpenAI;

beforeAll(async () => {
  // Without the worker nothing is swept but by the tests.
  baton = await TestBaton.start({ env: { ROLES: 'api', FILE_MAX_BYTES: String(MAX_BYTES) } });
  db = openDatabase(baton.database.url, () => undefined);
  client = clientOf(baton);
});
afterAll(async () => {
  await db.destroy();
  await baton.stop();
});
afterEach(async () => {
  await sql`delete from batches`.execute(db);
  await sql`delete from files`.execute(db);
  await sql`delete from blob_chunks`.execute(db);
});

function clientOf({ url, key }: TestBaton): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
}

async function sweep(blobs = new Blobs(new PostgresBlobs(db), null)): Promise<void> {
  await new FileSweeper(new FilesRepository(db), blobs).sweep();
}

/** Rows of files and of their bytes. */
async function kept(): Promise<{ files: number; pieces: number }> {
  const { rows } = await sql<{ files: number; pieces: number }>`
    select (select count(*) from files) as files, (select count(*) from blob_chunks) as pieces`.execute(db);
  return rows[0] ?? { files: NaN, pieces: NaN };
}

function uuidOf(id: string): string {
  return toUuid('file', id) ?? '';
}

type Field = readonly [name: string, value: string | Blob, filename?: string];

const FILE: Field = ['file', new Blob(['{"a":1}\n']), 'in.jsonl'];

async function upload(fields: readonly Field[], to = baton): Promise<Reply> {
  const form = new FormData();
  for (const [name, value, filename] of fields) {
    if (typeof value === 'string') form.append(name, value);
    else form.append(name, value, filename);
  }
  const reply = await fetch(`${to.url}/v1/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${to.key}` },
    body: form,
  });
  const text = await reply.text();
  return { status: reply.status, headers: reply.headers, text, body: JSON.parse(text) as Reply['body'] };
}

async function uploaded(text = '0123456789', filename = 'in.jsonl'): Promise<string> {
  const file = await client.files.create({
    file: await toFile(Buffer.from(text), filename),
    purpose: 'batch',
  });
  return file.id;
}

describe('The official client', () => {
  test('uploads a file and gets it back, byte for byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 2_000_000 }, (_, at) => (at * 31 + (at >> 8)) & 0xff));
    const before = Math.floor(Date.now() / 1000) - 1;
    const file = await client.files.create({
      file: await toFile(bytes, 'in.jsonl'),
      purpose: 'batch',
      expires_after: { anchor: 'created_at', seconds: 3600 },
    });
    expect(file).toEqual({
      id: expect.stringMatching(/^file-[0-9A-HJKMNP-TV-Z]{26}$/),
      object: 'file',
      bytes: 2_000_000,
      created_at: expect.any(Number),
      expires_at: file.created_at + 3600,
      filename: 'in.jsonl',
      purpose: 'batch',
      status: 'processed',
      status_details: null,
    });
    expect(file.created_at).toBeGreaterThanOrEqual(before);
    expect(await client.files.retrieve(file.id)).toEqual(file);
    expect(await client.files.waitForProcessing(file.id)).toEqual(file);
    const content = await client.files.content(file.id);
    expect(Buffer.from(await content.arrayBuffer()).equals(bytes)).toBe(true);
    expect(content.headers.get('content-type')).toBe('application/octet-stream');
  });

  test('uploads what it does not hold as a whole, in chunks', async () => {
    async function* lines() {
      for (let line = 0; line < 50_000; line++) yield Buffer.from(`{"line":${line}}\n`);
      await delay(1);
    }
    const file = await client.files.create({
      file: OpenAI.toStreamingFile(lines(), 'lines.jsonl'),
      purpose: 'user_data',
    });
    const text = await (await client.files.content(file.id)).text();
    expect(text.split('\n')).toHaveLength(50_001);
    expect(file).toMatchObject({ bytes: Buffer.byteLength(text), filename: 'lines.jsonl' });
    // A month.
    expect(Number(file.expires_at) - file.created_at).toBe(2_592_000);
  });

  test('lists files in either order, in pages, and by purpose', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(await uploaded());
    const other = await client.files.create({ file: await toFile(Buffer.from('x'), 'x'), purpose: 'evals' });
    const pageThrough = async (query: OpenAI.FileListParams) => {
      const found: string[] = [];
      for await (const file of client.files.list(query)) found.push(file.id);
      return found;
    };
    const all = [...ids, other.id];
    expect(await pageThrough({ limit: 2, order: 'asc' })).toEqual(all);
    expect(await pageThrough({ limit: 4 })).toEqual(all.toReversed());
    expect(await pageThrough({})).toEqual(all.toReversed());
    expect(await pageThrough({ purpose: 'evals' })).toEqual([other.id]);
    const { body } = await baton.request('GET', `/v1/files?order=asc&limit=2&after=${ids[1]}`);
    expect(body).toMatchObject({ object: 'list', first_id: ids[2], last_id: ids[3], has_more: true });
  });

  test('deletes a file, which is gone at once, and its bytes soon after', async () => {
    const id = await uploaded();
    expect(await client.files.delete(id)).toEqual({ id, object: 'file', deleted: true });
    for (const ask of [
      () => client.files.retrieve(id),
      () => client.files.content(id),
      () => client.files.delete(id),
    ]) {
      const error: unknown = await ask().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(NotFoundError);
      expect(error).toMatchObject({ code: 'not_found', param: 'id', type: 'not_found_error' });
    }
    expect((await client.files.list()).data).toEqual([]);
    expect(await kept()).toEqual({ files: 1, pieces: 1 });
    await sweep();
    expect(await kept()).toEqual({ files: 0, pieces: 0 });
  });
});

describe('An upload', () => {
  test.each<[string, Field[]]>([
    ['with the file first', [FILE, ['purpose', 'batch']]],
    ['with the file last', [['purpose', 'batch'], FILE]],
    [
      'with everything',
      [['expires_after[seconds]', '2592000'], FILE, ['purpose', 'batch'], ['expires_after[anchor]', 'created_at']],
    ],
  ])('is taken %s', async (_name, fields) => {
    expect(await upload(fields)).toMatchObject({ status: 200, body: { bytes: 8, filename: 'in.jsonl' } });
  }); // prettier-ignore

  test.each(['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'])(
    'may be for %s',
    async (purpose) => {
      expect((await upload([FILE, ['purpose', purpose]])).body).toMatchObject({ purpose });
    },
  );

  test('keeps its name, whatever letters it has', async () => {
    const name = 'ключ %1 😀.jsonl';
    const { body } = await upload([['file', new Blob(['x']), name], ['purpose', 'batch']]); // prettier-ignore
    expect(body['filename']).toBe(name);
    const { headers } = await baton.request('GET', `/v1/files/${String(body['id'])}/content`);
    expect(headers.get('content-disposition')).toBe(
      `attachment; filename="____ _1 _.jsonl"; filename*=UTF-8''${encodeURIComponent(name)}`,
    );
  });

  test('may be empty', async () => {
    const { body } = await upload([['file', new Blob([]), 'empty'], ['purpose', 'batch']]); // prettier-ignore
    expect(body).toMatchObject({ bytes: 0 });
    const content = await baton.request('GET', `/v1/files/${String(body['id'])}/content`);
    expect([content.status, content.text, content.headers.get('content-length')]).toEqual([200, '', '0']);
  });

  test.each<[string, Field[], number, string, string | null]>([
    ['no file', [['purpose', 'batch']], 400, 'missing_field', 'file'],
    ['a text for a file', [['file', '{}'], ['purpose', 'batch']], 400, 'invalid_value', 'file'],
    ['two files', [FILE, FILE, ['purpose', 'batch']], 400, 'invalid_value', 'file'],
    ['a file of another name', [['data', new Blob(['x']), 'x'], ['purpose', 'batch']], 400, 'unknown_field', 'data'],
    ['no purpose', [FILE], 400, 'missing_field', 'purpose'],
    ['an unknown purpose', [FILE, ['purpose', 'fun']], 400, 'invalid_value', 'purpose'],
    ['a purpose of our own', [FILE, ['purpose', 'batch_output']], 400, 'invalid_value', 'purpose'],
    ['a purpose as a file', [['purpose', new Blob(['batch']), 'x']], 400, 'invalid_value', 'purpose'],
    ['two purposes', [FILE, ['purpose', 'batch'], ['purpose', 'batch']], 400, 'invalid_value', 'purpose'],
    ['an unknown field', [FILE, ['purpose', 'batch'], ['pupose', 'x']], 400, 'unknown_field', 'pupose'],
    ['a wrong anchor', [FILE, ['purpose', 'batch'], ['expires_after[anchor]', 'now'], ['expires_after[seconds]', '3600']], 400, 'invalid_value', 'expires_after[anchor]'],
    ['no anchor', [FILE, ['purpose', 'batch'], ['expires_after[seconds]', '3600']], 400, 'missing_field', 'expires_after[anchor]'],
    ['no seconds', [FILE, ['purpose', 'batch'], ['expires_after[anchor]', 'created_at']], 400, 'missing_field', 'expires_after[seconds]'],
    ['too few seconds', [FILE, ['purpose', 'batch'], ['expires_after[anchor]', 'created_at'], ['expires_after[seconds]', '3599']], 400, 'invalid_value', 'expires_after[seconds]'],
    ['too many seconds', [FILE, ['purpose', 'batch'], ['expires_after[anchor]', 'created_at'], ['expires_after[seconds]', '2592001']], 400, 'invalid_value', 'expires_after[seconds]'],
    ['half a second', [FILE, ['purpose', 'batch'], ['expires_after[anchor]', 'created_at'], ['expires_after[seconds]', '3600.5']], 400, 'invalid_value', 'expires_after[seconds]'],
    ['a name that is too long', [['file', new Blob(['x']), 'x'.repeat(256)], ['purpose', 'batch']], 400, 'invalid_value', 'file'],
    ['a byte too many', [['file', new Blob(['x'.repeat(MAX_BYTES + 1)]), 'x'], ['purpose', 'batch']], 413, 'file_too_large', 'file'],
  ])('with %s is refused, and leaves nothing', async (_name, fields, status, code, param) => {
    const reply = await upload(fields);
    expect([reply.status, reply.body]).toEqual([
      status,
      { error: { code, param, type: 'invalid_request_error', message: expect.stringMatching(/\S\.$/) } },
    ]);
    expect(reply.headers.get('x-request-id')).toMatch(/^req_/);
    expect(await kept()).toEqual({ files: 0, pieces: 0 });
  }); // prettier-ignore

  test('of just the limit is taken', async () => {
    const reply = await upload([['file', new Blob(['x'.repeat(MAX_BYTES)]), 'x'], ['purpose', 'batch']]); // prettier-ignore
    expect(reply).toMatchObject({ status: 200, body: { bytes: MAX_BYTES } });
  });

  test('that is no form is refused', async () => {
    const reply = await baton.request('POST', '/v1/files', { purpose: 'batch' });
    expect(reply).toMatchObject({ status: 415, body: { error: { code: 'unsupported_media_type' } } });
    expect(reply.body.error?.['message']).toContain('multipart/form-data');
  });

  const headOf = (key: string) =>
    `POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n` +
    'content-type: multipart/form-data; boundary=b\r\ncontent-length: 100000000\r\n\r\n';

  test('with a wrong key is refused before its body is read', async () => {
    const socket = connect(Number(new URL(baton.url).port), '127.0.0.1');
    socket.write(headOf('wrong'));
    const [reply] = (await new Promise((resolve) => socket.once('data', (data) => resolve([String(data)])))) as [string]; // prettier-ignore
    expect(reply).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
  });

  test('whose client goes away leaves nothing', async () => {
    const socket = connect(Number(new URL(baton.url).port), '127.0.0.1');
    const start = '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n';
    socket.write(headOf(baton.key) + start + 'x'.repeat(MIB));
    while ((await kept()).pieces === 0) await delay(20);
    expect((await client.files.list()).data).toEqual([]);
    socket.destroy();
    while ((await kept()).files > 0) await delay(20);
    expect(await kept()).toEqual({ files: 0, pieces: 0 });
  });
});

describe('The content', () => {
  test.each<[string, Record<string, string>, number, string, Record<string, string | null>]>([
    ['whole', {}, 200, '0123456789', { 'content-length': '10', 'content-range': null }],
    ['the first bytes', { range: 'bytes=0-2' }, 206, '012', { 'content-length': '3', 'content-range': 'bytes 0-2/10' }],
    ['the last bytes', { range: 'bytes=-3' }, 206, '789', { 'content-range': 'bytes 7-9/10' }],
    ['from a byte on', { range: 'bytes=8-' }, 206, '89', { 'content-range': 'bytes 8-9/10' }],
    ['two ranges', { range: 'bytes=0-1,3-4' }, 200, '0123456789', { 'content-range': null }],
    ['a malformed range', { range: 'bytes=x' }, 200, '0123456789', { 'content-range': null }],
    ['of a changed file', { range: 'bytes=0-2', 'if-range': '"x"' }, 200, '0123456789', { 'content-range': null }],
  ])('comes %s', async (_name, headers, status, text, expected) => {
    const id = await uploaded();
    const reply = await baton.request('GET', `/v1/files/${id}/content`, undefined, headers);
    expect([reply.status, reply.text]).toEqual([status, text]);
    const wanted = { ...expected, 'accept-ranges': 'bytes', etag: `"${id}"`, 'x-content-type-options': 'nosniff' };
    for (const [name, value] of Object.entries(wanted)) {
      expect([name, reply.headers.get(name)]).toEqual([name, value]);
    }
  }); // prettier-ignore

  test('is not sent to a client that has it, nor to one that asks for the headers alone', async () => {
    const path = `/v1/files/${await uploaded()}/content`;
    const etag = (await baton.request('GET', path)).headers.get('etag') ?? '';
    const known = await baton.request('GET', path, undefined, { 'if-none-match': etag });
    expect([known.status, known.text, known.headers.get('etag')]).toEqual([304, '', etag]);
    const head = await baton.request('HEAD', path, undefined, { range: 'bytes=1-4' });
    expect([head.status, head.text, head.headers.get('content-length')]).toEqual([206, '', '4']);
  });

  test('has no bytes behind its end', async () => {
    const id = await uploaded();
    const reply = await baton.request('GET', `/v1/files/${id}/content`, undefined, { range: 'bytes=10-' });
    expect(reply).toMatchObject({ status: 416, body: { error: { code: 'range_not_satisfiable' } } });
    expect(reply.headers.get('content-range')).toBe('bytes */10');
  });

  test('is cut, not ended, when its bytes are lost in the middle', async () => {
    const id = await uploaded('x'.repeat(MAX_BYTES));
    await sql`delete from blob_chunks where start >= ${2 * MIB}`.execute(db);
    const reply = await fetch(`${baton.url}/v1/files/${id}/content`, {
      headers: { authorization: `Bearer ${baton.key}` },
    });
    expect(reply.status).toBe(200);
    await expect(reply.arrayBuffer()).rejects.toThrow();
    expect((await baton.request('GET', '/livez')).status).toBe(200);
  });
});

describe('A file', () => {
  test.each<[string, string, number, string, string]>([
    ['GET', '/v1/files/file-1', 404, 'not_found', 'id'],
    ['GET', `/v1/files/${toPublicId('file', newUuid())}`, 404, 'not_found', 'id'],
    ['GET', `/v1/files/${toPublicId('job', newUuid())}/content`, 404, 'not_found', 'id'],
    ['DELETE', '/v1/files/x', 404, 'not_found', 'id'],
    ['GET', '/v1/files?limit=0', 400, 'invalid_value', 'limit'],
    ['GET', '/v1/files?limit=10001', 400, 'invalid_value', 'limit'],
    ['GET', '/v1/files?order=up', 400, 'invalid_value', 'order'],
    ['GET', '/v1/files?after=file-1', 400, 'invalid_value', 'after'],
    ['GET', '/v1/files?purpose=fun', 400, 'invalid_value', 'purpose'],
    ['GET', '/v1/files?status=ready', 400, 'unknown_field', 'status'],
  ])('%s %s is refused', async (method, path, status, code, param) => {
    expect(await baton.request(method, path)).toMatchObject({ status, body: { error: { code, param } } });
  });

  test('of another project is not there', async () => {
    const id = await uploaded();
    const other = newUuid();
    await sql`insert into projects (id, name) values (${other}, 'other')`.execute(db);
    await sql`update files set project_id = ${other} where id = ${uuidOf(id)}`.execute(db);
    await expect(client.files.retrieve(id)).rejects.toBeInstanceOf(NotFoundError);
    await expect(client.files.content(id)).rejects.toBeInstanceOf(NotFoundError);
    await expect(client.files.delete(id)).rejects.toBeInstanceOf(NotFoundError);
    expect((await client.files.list()).data).toEqual([]);
  });

  test('is gone at the second at which it expires, and its bytes soon after', async () => {
    const id = await uploaded();
    const other = await uploaded();
    await sql`update files set expires_at = now() where id = ${uuidOf(id)}`.execute(db);
    await expect(client.files.retrieve(id)).rejects.toBeInstanceOf(NotFoundError);
    expect((await client.files.list()).data.map((file) => file.id)).toEqual([other]);
    await sweep();
    expect(await kept()).toEqual({ files: 1, pieces: 1 });
    expect(await (await client.files.content(other)).text()).toBe('0123456789');
  });

  test('that a batch is still reading can neither be deleted nor expire', async () => {
    const id = await uploaded();
    const batch = newUuid();
    await sql`insert into batches (id, project_id, endpoint, completion_window, priority, metadata, input_file_id,
        output_expires_in, accept_invalid_lines, dedupe, expires_at)
      select ${batch}, project_id, '/v1/embeddings', '24h', 2, '{}', id, 3600, false, false, now() + interval '1 day'
      from files`.execute(db);
    expect(await baton.request('DELETE', `/v1/files/${id}`)).toMatchObject({
      status: 409,
      body: { error: { code: 'file_in_use' } },
    });
    await sql`update files set expires_at = now()`.execute(db);
    await sweep();
    expect(await kept()).toEqual({ files: 1, pieces: 1 });
    await sql`update batches set status = 'in_progress'`.execute(db);
    await sweep();
    expect(await kept()).toEqual({ files: 0, pieces: 0 });
  });

  test.each<[string, string, string, number]>([
    ['that was being uploaded when its process died', 'uploading', '2 hours 1 second', 0],
    ['that is being uploaded', 'uploading', '1 hour 50 minutes', 1],
    ['that a batch is writing', 'draft', '7 days', 1],
  ])('%s is swept as it should be', async (_name, status, age, left) => {
    const id = await uploaded();
    await sql`update files set status = ${status}, created_at = now() - ${age}::interval where id = ${uuidOf(id)}`.execute(db); // prettier-ignore
    await Promise.all([sweep(), sweep(), sweep()]);
    expect(await kept()).toEqual({ files: left, pieces: left });
    expect((await client.files.list()).data).toEqual([]);
  });
});

test('a Baton that stops waits its grace for uploads and downloads, then cuts them and leaves nothing half done', async () => {
  // More than a connection takes in before anybody reads.
  const id = await uploaded('x');
  await new PostgresBlobs(db).appendAt(db, uuidOf(id), 1, Buffer.alloc(40 * MIB));
  await sql`update files set bytes = ${40 * MIB + 1}`.execute(db);
  const stopping = await TestBaton.start({
    database: baton.database,
    env: { ROLES: 'api', SHUTDOWN_GRACE_MS: '500' },
  });
  const key = `authorization: Bearer ${stopping.key}\r\n`;
  const port = Number(new URL(stopping.url).port);
  // Neither sends nor reads any further.
  const sender = connect(port, '127.0.0.1');
  const answer = new Promise<string>((resolve) => sender.once('data', (data) => resolve(String(data))));
  sender.write(
    `POST /v1/files HTTP/1.1\r\nhost: x\r\n${key}content-type: multipart/form-data; boundary=b\r\n` +
      'content-length: 100000000\r\n\r\n' +
      `--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n${'x'.repeat(MIB)}`,
  );
  const reader = connect(port, '127.0.0.1');
  let read = 0;
  reader.on('error', () => undefined).on('data', (data) => (read += data.length));
  const ended = new Promise((resolve) => reader.once('close', resolve));
  reader.write(`GET /v1/files/${id}/content HTTP/1.1\r\nhost: x\r\n${key}\r\n`);
  reader.once('data', () => reader.pause());
  while ((await kept()).files < 2) await delay(20);
  const start = performance.now();
  await stopping.stop();
  expect(performance.now() - start).toBeGreaterThan(400);
  expect(performance.now() - start).toBeLessThan(5000);
  expect(await answer).toMatch(/^HTTP\/1\.1 503 [^]*shutting_down/);
  reader.resume();
  await ended;
  expect(read).toBeLessThan(40 * MIB);
  expect((await kept()).files).toBe(1);
});

describe('In an S3-compatible store', () => {
  let server: S3Server;
  let stored: TestBaton;
  beforeAll(async () => {
    server = await S3Server.start();
  });
  afterAll(() => server.stop());
  afterEach(() => stored.stop());

  async function startWith(env: Record<string, string>): Promise<OpenAI> {
    stored = await TestBaton.start({ database: baton.database, env: { ROLES: 'api', ...env } });
    return clientOf(stored);
  }

  test('files are kept, read and removed; those from before stay where they are', async () => {
    const before = await uploaded('in the database');
    const s3Client = await startWith(server.env);
    const text = 'in the bucket '.repeat(1_000_000);
    const file = await s3Client.files.create({ file: await toFile(Buffer.from(text), 'a'), purpose: 'batch' });
    expect((await kept()).pieces).toBe(1);
    expect(await (await s3Client.files.content(file.id)).text()).toBe(text);
    expect(await (await s3Client.files.content(before)).text()).toBe('in the database');
    const range = { range: 'bytes=-11' };
    expect((await stored.request('GET', `/v1/files/${file.id}/content`, undefined, range)).text).toBe('the bucket ');

    // Who is not told of the bucket says so, and serves the rest.
    const blind = await baton.request('GET', `/v1/files/${file.id}/content`);
    expect(blind).toMatchObject({ status: 503, body: { error: { code: 'storage_unavailable' } } });
    expect(await (await client.files.content(before)).text()).toBe('in the database');

    await s3Client.files.delete(file.id);
    await s3Client.files.delete(before);
    await sweep();
    // The sweep that cannot reach the one has removed the other.
    expect(await kept()).toEqual({ files: 1, pieces: 0 });
    expect(await server.kept()).not.toEqual([]);
    await sweep(new Blobs(new PostgresBlobs(db), new S3Blobs(server.config)));
    expect([await kept(), await server.kept()]).toEqual([{ files: 0, pieces: 0 }, []]);
  }); // prettier-ignore

  test('that is away, nothing is accepted, and Baton starts and serves all the same', async () => {
    const awayClient = await startWith({ ...server.env, S3_ENDPOINT: 'http://127.0.0.1:1' });
    const reply = await upload([FILE, ['purpose', 'batch']], stored);
    expect(reply).toMatchObject({ status: 503, body: { error: { code: 'storage_unavailable' } } });
    expect(reply.headers.get('retry-after')).toBe('1');
    expect((await awayClient.files.list()).data).toEqual([]);
    // What may be there is not forgotten.
    expect(await kept()).toEqual({ files: 1, pieces: 0 });
  });
});
