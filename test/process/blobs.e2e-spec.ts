/** Where files' bytes live: one table for both stores, on a real PostgreSQL and on a server that speaks S3. */
import { sql } from 'kysely';
import type { S3Config } from '../../src/config/config.js';
import { BlobOutage } from '../../src/storage/blob-outage.js';
import { Blobs } from '../../src/storage/blobs.js';
import { type Database, migrate, openDatabase } from '../../src/storage/database.js';
import { newUuid } from '../../src/storage/ids.js';
import { PostgresBlobs } from '../../src/storage/postgres-blobs.js';
import { S3Blobs } from '../../src/storage/s3-blobs.js';
import { bytesOf, describeBlobStore } from '../support/blob-store-cases.js';
import { S3Server } from '../support/s3-server.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, () => undefined);
  await migrate(db);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

async function keptRows(): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from blob_chunks`.execute(db);
  return rows[0]?.count ?? NaN;
}

async function all(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const found: Buffer[] = [];
  for await (const piece of pieces) found.push(piece);
  return Buffer.concat(found);
}

describe('in PostgreSQL', () => {
  let store: PostgresBlobs;
  beforeAll(() => {
    store = new PostgresBlobs(db);
  });

  describeBlobStore(() => ({ store, kept: keptRows }));

  test('pieces of any size that were written within transactions are read as one', async () => {
    const id = newUuid();
    const bytes = bytesOf(1_500_000);
    let at = 0;
    for (const length of [1, 2, 700_000, 3, 524_288, 275_706]) {
      await db.transaction().execute((trx) => store.appendAt(trx, id, at, bytes.subarray(at, at + length)));
      at += length;
    }
    expect(at).toBe(bytes.length);
    expect((await all(store.read(id, 0, at))).equals(bytes)).toBe(true);
    expect((await all(store.read(id, 2, 700_004))).equals(bytes.subarray(2, 700_004))).toBe(true);
    await store.remove(id);
  });

  test('a transaction that is rolled back leaves nothing, and no place is written twice', async () => {
    const id = newUuid();
    await store.appendAt(db, id, 0, Buffer.from('abc'));
    const second = db.transaction().execute(async (trx) => {
      await store.appendAt(trx, id, 3, Buffer.from('def'));
      await store.appendAt(trx, id, 0, Buffer.from('abc'));
    });
    await expect(second).rejects.toMatchObject({ code: '23505' });
    expect(await keptRows()).toBe(1);
    await store.remove(id);
  });

  test('a gap is seen, not passed over', async () => {
    const id = newUuid();
    await store.appendAt(db, id, 0, Buffer.from('abc'));
    await store.appendAt(db, id, 4, Buffer.from('efg'));
    await expect(all(store.read(id, 0, 7))).rejects.toThrow('from 3 on');
    await store.remove(id);
  });
});

describe('in S3', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await S3Server.start();
  });
  afterAll(() => server.stop());

  const store = (changes: Partial<S3Config> = {}) => new S3Blobs({ ...server.config, ...changes });

  describe('', () => {
    describeBlobStore(() => ({ store: store(), kept: async () => (await server.kept()).length }));
  });

  test('objects have the prefix', async () => {
    const writer = store({ prefix: 'a/b-' }).write('id');
    await writer.append(Buffer.from('x'));
    await writer.close();
    expect(await server.kept()).toContainEqual(expect.stringMatching(/\/files\/a\/b-id\W/));
    await store({ prefix: 'a/b-' }).remove('id');
    expect(await server.kept()).toEqual([]);
  });

  test.each<[string, Partial<S3Config>, RegExp]>([
    ['a wrong secret', { secretAccessKey: 'x' }, /SignatureDoesNotMatch/],
    ['an unknown key', { accessKeyId: 'x' }, /InvalidAccessKeyId/],
    ['a bucket that is not there', { bucket: 'other' }, /bucket other at http:.*NoSuchBucket/],
    [
      'a store that is away',
      { endpoint: 'http://127.0.0.1:1' },
      /at http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/,
    ],
  ])('%s is an outage that says what it is', async (_name, changes, message) => {
    const broken = store(changes);
    const writer = broken.write('id');
    const outage = { name: 'BlobOutage', message: expect.stringMatching(message) };
    await writer.append(Buffer.from('x'));
    await expect(writer.close()).rejects.toMatchObject(outage);
    expect(await writer.abort()).toBe(false);
    await expect(broken.remove('id')).rejects.toMatchObject(outage);
    await expect(all(broken.read('id', 0, 1))).rejects.toBeInstanceOf(BlobOutage);
  });
});

test('a file is read where it was written, whatever the configuration says now', () => {
  const drafts = new PostgresBlobs(db);
  const s3 = new S3Blobs({
    bucket: 'b',
    endpoint: null,
    region: 'r',
    prefix: '',
    accessKeyId: 'a',
    secretAccessKey: 's',
  });
  const [without, withS3] = [new Blobs(drafts, null), new Blobs(drafts, s3)];
  expect([without.store, withS3.store]).toEqual([drafts, s3]);
  expect([without.of('database'), withS3.of('database'), withS3.of('s3')]).toEqual([drafts, drafts, s3]);
  expect(() => without.of('s3')).toThrow('S3_BUCKET is not set');
});
