import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeLock } from './embedded-lock.js';

describe('takeLock', () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'baton-lock-'));
    path = join(folder, 'baton.lock');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const stale: ReadonlyArray<[string, string]> = [
    ['a process that has ended', '{"pid":999999999,"start":"some boot 1"}'],
    ['an earlier process with an id that is used again', `{"pid":${process.pid},"start":"some boot 1"}`],
    ['a writer that the power failed on', '{"pi'],
    ['nobody', ''],
  ];

  it.each(stale)('is taken over from %s', async (_, content) => {
    await writeFile(path, content);
    expect((await takeLock(path)).taken).toBe(true);
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ pid: process.pid });
  });

  it('names the living process that has it', async () => {
    await takeLock(path);
    expect(await takeLock(path)).toEqual({ taken: false, holderPid: process.pid });
  });

  it('is free again when it was given back, and leaves no file', async () => {
    const first = await takeLock(path);
    if (first.taken) await first.release();
    expect(await readdir(folder)).toEqual([]);
    expect((await takeLock(path)).taken).toBe(true);
  });

  it('given back late does not take the next one its lock', async () => {
    const first = await takeLock(path);
    await rm(path);
    expect((await takeLock(path)).taken).toBe(true);
    if (first.taken) await first.release();
    expect((await takeLock(path)).taken).toBe(false);
  });

  it.each([['no lock', null], ...stale])('goes to exactly one of fifty that find %s', async (_, content) => {
    for (let round = 0; round < 5; round++) {
      await rm(path, { force: true });
      if (content !== null) await writeFile(path, content);
      const results = await Promise.all(Array.from({ length: 50 }, () => takeLock(path)));
      expect(results.filter((result) => result.taken)).toHaveLength(1);
      expect(await readdir(folder)).toEqual(['baton.lock']);
    }
  });
});
