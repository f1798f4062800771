/** A large file goes through a Baton that holds no more of it than a few pieces, in either direction. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { BatonProcess, cleanUpBatons } from '../support/baton-process.js';
import { bytesOf } from '../support/blob-store-cases.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

jest.setTimeout(180_000);

const MIB = 1024 * 1024;
const SIZE = 200 * MIB;
const SMALL = 32 * MIB;
const PIECE = bytesOf(MIB);
const KEY = 'a-key-for-the-memory-test';

let database: TestDatabase;
let baton: BatonProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  baton = await BatonProcess.start({
    env: { DATABASE_URL: database.url, ROLES: 'api', BATON_ADMIN_KEY: KEY },
  });
});
afterAll(async () => {
  await cleanUpBatons();
  await database.drop();
});

/** The process's memory now. */
function residentMib(): number {
  const [, kib = 'NaN'] =
    /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${baton.pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}

/** The most memory that it had while `work` ran. */
async function peakOf(work: () => Promise<unknown>): Promise<number> {
  let most = residentMib();
  const timer = setInterval(() => (most = Math.max(most, residentMib())), 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return most;
}

async function* form(size: number): AsyncGenerator<Buffer> {
  yield Buffer.from('--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n');
  yield Buffer.from('--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n');
  for (let sent = 0; sent < size; sent += PIECE.length) yield PIECE;
  yield Buffer.from('\r\n--b--\r\n');
}

/** Uploads without holding the file here either; answers the file's id. */
async function upload(size: number): Promise<string> {
  const reply = await fetch(`${baton.url}/v1/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'multipart/form-data; boundary=b' },
    body: form(size),
    duplex: 'half',
  } as RequestInit);
  const text = await reply.text();
  expect([reply.status, text]).toEqual([200, expect.stringContaining(`"bytes":${size}`)]);
  return (JSON.parse(text) as { id: string }).id;
}

/** The digest of the content. */
async function downloaded(id: string): Promise<{ length: number; sha256: string }> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    let length = 0;
    request(
      `${baton.url}/v1/files/${id}/content`,
      { headers: { authorization: `Bearer ${KEY}` } },
      (reply) => {
        reply.on('data', (chunk: Buffer) => {
          length += chunk.length;
          hash.update(chunk);
        });
        reply.on('end', () => resolve({ length, sha256: hash.digest('hex') }));
        reply.on('error', reject);
      },
    )
      .on('error', reject)
      .end();
  });
}

test('200 MB are uploaded and downloaded in flat memory', async () => {
  // What a small file takes, in code that is loaded now and in garbage until it is collected, a large one may take too.
  let small = '';
  const smallUp = await peakOf(async () => (small = await upload(SMALL)));
  const smallDown = await peakOf(() => downloaded(small));
  let large = '';
  const up = await peakOf(async () => (large = await upload(SIZE)));
  let content: unknown;
  const down = await peakOf(async () => (content = await downloaded(large)));
  const hash = createHash('sha256');
  for (let at = 0; at < SIZE; at += PIECE.length) hash.update(PIECE);
  expect(content).toEqual({ length: SIZE, sha256: hash.digest('hex') });
  expect(up - smallUp).toBeLessThanOrEqual(100);
  expect(down - smallDown).toBeLessThanOrEqual(50);
});
