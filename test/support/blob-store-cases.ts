/** What every store of files' bytes must do, whatever it is made of. */
import { createCipheriv, createHash } from 'node:crypto';
import type { BlobStore } from '../../src/storage/blob-store.js';
import { newUuid } from '../../src/storage/ids.js';

const KIB = 1024;
const MIB = 1024 * KIB;
/** No reader may be given more at once. */
const LARGEST_PIECE = 512 * KIB;

/** A store under test, and a look behind it. */
export interface StoreUnderTest {
  readonly store: BlobStore;
  /** How many rows or objects it keeps in all, of whole blobs and of half written ones. */
  readonly kept: () => Promise<number>;
}

/** Bytes that are nowhere the same, so that a piece in a wrong place is seen. */
export function bytesOf(length: number, seed = 1): Buffer {
  const key = Buffer.alloc(16, seed);
  return createCipheriv('aes-128-ctr', key, key).update(Buffer.alloc(length));
}

async function write(store: BlobStore, bytes: Buffer, step: number): Promise<string> {
  const id = newUuid();
  const writer = store.write(id);
  for (let at = 0; at < bytes.length; at += step) await writer.append(bytes.subarray(at, at + step));
  await writer.close();
  return id;
}

async function read(store: BlobStore, id: string, start: number, end: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of store.read(id, start, end)) {
    expect(piece.length).toBeGreaterThan(0);
    expect(piece.length).toBeLessThanOrEqual(LARGEST_PIECE);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function digest(bytes: Buffer): string {
  return `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Sizes around those of a row, a window and a part; and in what steps they are written. */
const SIZES: ReadonlyArray<readonly [size: number, step: number]> = [
  [0, 1],
  [1, 1],
  [LARGEST_PIECE - 1, 1000],
  [LARGEST_PIECE, LARGEST_PIECE],
  [LARGEST_PIECE + 1, 64 * KIB],
  [2 * MIB, 65_521],
  [8 * MIB - 1, 64 * KIB],
  [8 * MIB, 64 * KIB],
  [8 * MIB + 1, 100_000],
  [17 * MIB + 3, 9 * MIB],
];

const SIZE = 3 * MIB + 5;
const RANGES: ReadonlyArray<readonly [start: number, end: number]> = [
  [0, 0],
  [0, 2],
  [SIZE - 1, SIZE],
  [LARGEST_PIECE - 1, LARGEST_PIECE],
  [LARGEST_PIECE, LARGEST_PIECE + 1],
  [LARGEST_PIECE - 1, LARGEST_PIECE + 1],
  [1, SIZE - 1],
  [2 * MIB - 7, 2 * MIB + 7],
  [700_000, 2_900_000],
];

/** The table that all stores run. */
export function describeBlobStore(open: () => StoreUnderTest): void {
  test.each(SIZES)('%d bytes written %d at a time come back as they were', async (size, step) => {
    const { store } = open();
    const bytes = bytesOf(size);
    const id = await write(store, bytes, step);
    expect(digest(await read(store, id, 0, size))).toBe(digest(bytes));
    await store.remove(id);
  });

  test('any range comes back alone', async () => {
    const { store } = open();
    const bytes = bytesOf(SIZE);
    const id = await write(store, bytes, 64 * KIB);
    for (const [start, end] of RANGES) {
      const range = await read(store, id, start, end);
      expect([start, end, digest(range)]).toEqual([start, end, digest(bytes.subarray(start, end))]);
    }
    await store.remove(id);
  });

  test('two blobs that are written at once do not mix', async () => {
    const { store } = open();
    const [one, other] = [bytesOf(9 * MIB, 2), bytesOf(9 * MIB, 3)];
    const ids = await Promise.all([write(store, one, 300_000), write(store, other, 200_000)]);
    expect(digest(await read(store, ids[0], 0, one.length))).toBe(digest(one));
    expect(digest(await read(store, ids[1], 0, other.length))).toBe(digest(other));
    await Promise.all(ids.map((id) => store.remove(id)));
  });

  test('a reader may stop in the middle', async () => {
    const { store } = open();
    const id = await write(store, bytesOf(SIZE), MIB);
    let pieces = 0;
    for await (const piece of store.read(id, 0, SIZE)) {
      pieces += Math.sign(piece.length);
      if (pieces === 2) break;
    }
    expect(pieces).toBe(2);
    await store.remove(id);
  });

  test('what is not there cannot be read', async () => {
    const { store } = open();
    await expect(read(store, newUuid(), 0, 10)).rejects.toThrow();
    const id = await write(store, bytesOf(10), 10);
    await expect(read(store, id, 5, 11)).rejects.toThrow();
    await store.remove(id);
  });

  test('a removed blob leaves nothing, and may be removed again', async () => {
    const { store, kept } = open();
    const id = await write(store, bytesOf(40 * MIB), MIB);
    expect(await kept()).toBeGreaterThan(0);
    await store.remove(id);
    expect(await kept()).toBe(0);
    await store.remove(id);
    await store.remove(newUuid());
  });

  test('an aborted blob leaves nothing', async () => {
    const { store, kept } = open();
    for (const size of [0, 10, 20 * MIB]) {
      const writer = store.write(newUuid());
      await writer.append(bytesOf(size));
      expect([size, await writer.abort(), await kept()]).toEqual([size, true, 0]);
    }
  });

  test('a blob whose writer is gone can be removed by others', async () => {
    const { store, kept } = open();
    const id = newUuid();
    await store.write(id).append(bytesOf(20 * MIB));
    expect(await kept()).toBeGreaterThan(0);
    await store.remove(id);
    expect(await kept()).toBe(0);
  });
}
