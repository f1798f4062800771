import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { linkLibraries } from './embedded-binaries.js';

describe('linkLibraries', () => {
  let root: string;
  let lib: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'baton-libraries-'));
    lib = join(root, 'native/lib');
    await mkdir(lib, { recursive: true });
    await writeFile(join(lib, 'liba.so.1.2'), 'a');
    const links = ['liba.so', 'liba.so.1'].map((name) => ({
      source: 'native/lib/liba.so.1.2',
      target: `native/lib/${name}`,
    }));
    await writeFile(join(root, 'native/pg-symlinks.json'), JSON.stringify(links));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('makes the links that the install script would have made', async () => {
    await linkLibraries(root);
    expect(await readFile(join(lib, 'liba.so'), 'utf8')).toBe('a');
    expect(await readFile(join(lib, 'liba.so.1'), 'utf8')).toBe('a');
  });

  it('may run many times at one moment and leaves nothing else behind', async () => {
    await Promise.all(Array.from({ length: 20 }, () => linkLibraries(root)));
    expect((await readdir(lib)).sort()).toEqual(['liba.so', 'liba.so.1', 'liba.so.1.2']);
    expect(await readFile(join(lib, 'liba.so.1'), 'utf8')).toBe('a');
  });

  it('mends a link that leads nowhere', async () => {
    await symlink('gone', join(lib, 'liba.so'));
    await linkLibraries(root);
    expect(await readFile(join(lib, 'liba.so'), 'utf8')).toBe('a');
  });

  it('writes nothing when all links are there, so that the folder may be read-only', async () => {
    await linkLibraries(root);
    await utimes(lib, 1, 1);
    await linkLibraries(root);
    expect((await stat(lib)).mtimeMs).toBe(1000);
  });

  it('has nothing to do for a package that lists no links', async () => {
    await rm(join(root, 'native/pg-symlinks.json'));
    await linkLibraries(root);
    expect(await readdir(lib)).toEqual(['liba.so.1.2']);
  });
});
