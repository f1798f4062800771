import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPostgresBackend, Queue } from 'bullmq';
import { startEmbeddedPostgres, type ServerExit } from '../../src/storage/embedded-postgres.js';
import { useDataFolders } from '../support/embedded-postgres-folders.js';
import { expectRows, isRunning, Owner, postmasterPid, query } from '../support/embedded-postgres-owner.js';

jest.setTimeout(120_000);

const folders = useDataFolders();
let dataDir: string;

beforeEach(async () => {
  dataDir = await folders.usedDataDir();
});

describe('the embedded PostgreSQL', () => {
  it('keeps its rows over a stop and a start, and leaves nothing behind that runs or locks', async () => {
    const first = new Owner(dataDir);
    await expectRows(await first.until('ready'), 10);
    const pid = await postmasterPid(dataDir);
    await first.stop();
    expect(isRunning(pid)).toBe(false);
    expect(await readdir(dataDir)).toEqual(['postgres']);

    const second = new Owner(dataDir);
    await expectRows(await second.until('ready'), 10);
    expect(second.said[0]?.log).toMatch(/^embedded PostgreSQL 18\.\d+ ready in \d+ ms$/);
    await second.stop();
  });

  it('is durable, is the same on every machine, and listens on no network', async () => {
    const owner = new Owner(dataDir);
    const connectionString = await owner.until('ready');
    const names = [
      'fsync',
      'full_page_writes',
      'synchronous_commit',
      'listen_addresses',
      'server_encoding',
      'TimeZone',
    ];
    const settings = await query(
      connectionString,
      `SELECT name, setting FROM pg_settings WHERE name IN (${names.map((name) => `'${name}'`).join()})`,
    );
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      listen_addresses: '',
      server_encoding: 'UTF8',
      TimeZone: 'UTC',
    });
    const words = await query(connectionString, `SELECT lower('ÄÖ') AS low, 'a' < 'B' AS "byDictionary"`);
    expect(words).toEqual([{ low: 'äö', byDictionary: false }]);
    await owner.stop();
  });

  it("has a connection string that BullMQ's own backend takes", async () => {
    const owner = new Owner(dataDir);
    const connection = { connectionString: await owner.until('ready'), migrate: true };
    const queue = new Queue('probe', { connection }, createPostgresBackend);
    queue.on('error', () => undefined); // its pool may still be closing when the server stops
    await queue.add('ring', { id: 1 });
    expect(await queue.getWaitingCount()).toBe(1);
    await queue.close();
    await owner.stop();
  });

  it('stops once however often it is told to, and does not report its own stop as an accident', async () => {
    const exits: ServerExit[] = [];
    const options = { dataDir, log: () => undefined, onExit: (exit: ServerExit) => exits.push(exit) };
    const server = await startEmbeddedPostgres(options);
    const pid = await postmasterPid(dataDir);
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    expect(isRunning(pid)).toBe(false);
    expect(exits).toEqual([]);
  });

  it('reports when it ends although nobody stopped it, and can be started again', async () => {
    const first = new Owner(dataDir);
    await first.until('ready');
    process.kill(await postmasterPid(dataDir), 'SIGKILL');
    expect(await first.until('exit')).toMatchObject({ signal: 'SIGKILL' });
    await first.stop();

    const second = new Owner(dataDir);
    await expectRows(await second.until('ready'), 10);
    await second.stop();
  });

  it('goes on when Ctrl-C is pressed, until Baton stops it', async () => {
    const owner = new Owner(dataDir);
    const connectionString = await owner.until('ready');
    owner.pressCtrlC();
    await owner.until('interrupted');
    await expectRows(connectionString, 10);
    await owner.stop();
  });
});

describe('a data folder', () => {
  it('belongs to one Baton: a second is told which, and the first is not disturbed', async () => {
    const first = new Owner(dataDir);
    const connectionString = await first.until('ready');
    const second = new Owner(dataDir);
    expect(await second.until('refused')).toBe(
      `${dataDir} is in use by Baton process ${first.pid}. Stop it, or set BATON_DATA_DIR to another folder.`,
    );
    await expectRows(connectionString, 10);
    await first.stop();

    const third = new Owner(dataDir);
    await expectRows(await third.until('ready'), 10);
    await third.stop();
  });

  it('goes to exactly one of ten that start at one moment, after a kill -9 too', async () => {
    for (let round = 0; round < 2; round++) {
      const owners = Array.from({ length: 10 }, () => new Owner(dataDir));
      const winners: Owner[] = [];
      for (const owner of owners) if (await owner.becameOwner()) winners.push(owner);
      expect(winners).toHaveLength(1);
      const losers = owners.filter((owner) => owner !== winners[0]);
      const refusals = await Promise.all(losers.map((owner) => owner.until('refused')));
      for (const refusal of refusals) expect(refusal).toMatch(/ is in use by Baton process \d+\. /);
      await expectRows((await winners[0]?.until('ready')) ?? '', 10);
      await winners[0]?.kill(); // leaves its lock to the next ten
    }
  });

  it('does not know of another: two Batons run side by side', async () => {
    const [one, other] = [new Owner(dataDir), new Owner(await folders.usedDataDir())];
    const [first, second] = await Promise.all([one.until('ready'), other.until('ready')]);
    await query(first, 'INSERT INTO t VALUES (11)');
    await query(second, 'INSERT INTO t VALUES (11), (12)');
    await expectRows(first, 11);
    await expectRows(second, 12);
    expect(await query(first, 'SELECT n FROM t WHERE n = 12')).toEqual([]);
    await Promise.all([one.stop(), other.stop()]);
  });

  it('may have a path that is longer than a socket’s may be, and odd letters in it', async () => {
    const long = `${dataDir} it's, "a" 100% ü ${'x'.repeat(150)}`;
    await rename(dataDir, long);
    const first = new Owner(long);
    const connectionString = await first.until('ready');
    const socketFolder = new URL(connectionString).searchParams.get('host') ?? '';
    expect(socketFolder).toMatch(/^\/tmp\/baton-[0-9a-f]{16}$/);
    await expectRows(connectionString, 10);
    await first.stop();
    await expect(readdir(socketFolder)).rejects.toThrow('ENOENT');

    await mkdir(socketFolder, { mode: 0o755 });
    const kept = new Owner(long);
    expect(await kept.until('refused')).toMatch(
      `${socketFolder} should be a folder that only Baton may enter`,
    );
    await rm(socketFolder, { recursive: true });

    const second = new Owner(long);
    await expectRows(await second.until('ready'), 10);
    await second.stop();
  });

  it('with a path of odd letters holds the socket itself', async () => {
    const odd = `${dataDir}, "b" 1% ü`;
    await rename(dataDir, odd);
    const owner = new Owner(odd);
    await expectRows(await owner.until('ready'), 10);
    expect(await readdir(join(odd, 'postgres/run'))).toContain('.s.PGSQL.5432');
    await owner.stop();
  });

  it('may have the database behind a link to another disk, after a kill -9 too', async () => {
    const elsewhere = `${dataDir}-elsewhere`;
    await rename(join(dataDir, 'postgres'), elsewhere);
    await symlink(elsewhere, join(dataDir, 'postgres'));
    const first = new Owner(dataDir);
    await expectRows(await first.until('ready'), 10);
    await first.kill();

    const second = new Owner(dataDir);
    await expectRows(await second.until('ready'), 10);
    await second.stop();
  });

  it('of another PostgreSQL is refused with both versions named', async () => {
    await writeFile(join(dataDir, 'postgres/data/PG_VERSION'), '17\n');
    const owner = new Owner(dataDir);
    expect(await owner.until('refused')).toMatch(
      /was made by PostgreSQL 17, and this Baton has PostgreSQL 18\.\d+\. Dump/,
    );
  });

  it('with something else in the database’s place is refused and left as it is', async () => {
    dataDir = await folders.newDataDir();
    await mkdir(join(dataDir, 'postgres'), { recursive: true });
    await writeFile(join(dataDir, 'postgres/notes.txt'), 'mine');
    const owner = new Owner(dataDir);
    expect(await owner.until('refused')).toMatch('has files in it, but no PostgreSQL database');
    expect(await readFile(join(dataDir, 'postgres/notes.txt'), 'utf8')).toBe('mine');
    expect(await readdir(dataDir)).toEqual(['postgres']);
  });

  it('whose password is gone is refused with the file named', async () => {
    await rm(join(dataDir, 'postgres/password'));
    const owner = new Owner(dataDir);
    expect(await owner.until('refused')).toMatch(`${join(dataDir, 'postgres/password')} is missing.`);
    expect(await readdir(dataDir)).toEqual(['postgres']);
  });

  it('that is a file is refused with its name', async () => {
    dataDir = await folders.newDataDir();
    await writeFile(dataDir, '');
    const owner = new Owner(dataDir);
    expect(await owner.until('refused')).toBe(
      `${dataDir} is not a folder. Remove the file there, or set BATON_DATA_DIR to another folder.`,
    );
    expect(owner.said[0]?.name).toBe('EmbeddedServerError');
    await rm(dataDir);
  });
});
