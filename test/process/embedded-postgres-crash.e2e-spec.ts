import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findServerBinaries } from '../../src/storage/embedded-binaries.js';
import { clearLeftover } from '../../src/storage/embedded-leftover.js';
import { chooseServerUser, startProgram, type ServerUser } from '../../src/storage/embedded-user.js';
import { useDataFolders } from '../support/embedded-postgres-folders.js';
import {
  eventually,
  expectRows,
  isRunning,
  Owner,
  postmasterPid,
  query,
  writeRows,
} from '../support/embedded-postgres-owner.js';

jest.setTimeout(120_000);

const folders = useDataFolders();
let dataDir: string;

beforeEach(async () => {
  dataDir = await folders.usedDataDir();
});

/** The way in which the server of this folder runs, without what ends it together with its Baton. */
async function userWithoutDeathSignal(): Promise<ServerUser> {
  const { postgres } = await findServerBinaries();
  const { user } = await chooseServerUser({ postgres, dataDir, folder: join(dataDir, 'postgres') });
  return { ...user, hasDeathSignal: false };
}

describe('after kill -9', () => {
  it('of Baton in the middle of writing, again and again, no acknowledged row is lost', async () => {
    let acknowledged = 0;
    for (let round = 0; round < 4; round++) {
      const owner = new Owner(dataDir);
      const connectionString = await owner.until('ready');
      await expectRows(connectionString, acknowledged);
      const writer = await writeRows(connectionString);
      const enough = acknowledged + 60;
      await eventually(() => writer.acknowledged() > enough);
      await owner.kill();
      await writer.broke;
      acknowledged = writer.acknowledged();
    }
  });

  it('of Baton and PostgreSQL together, no acknowledged row is lost', async () => {
    const first = new Owner(dataDir);
    const writer = await writeRows(await first.until('ready'));
    await eventually(() => writer.acknowledged() > 60);
    process.kill(await postmasterPid(dataDir), 'SIGKILL');
    await first.kill();
    await writer.broke;

    const second = new Owner(dataDir);
    await expectRows(await second.until('ready'), writer.acknowledged());
    await second.stop();
  });

  it('of Baton alone, a PostgreSQL that still runs is stopped, and no acknowledged row is lost', async () => {
    const first = new Owner(dataDir);
    const connectionString = await first.until('ready');
    const firstPid = await postmasterPid(dataDir);
    await first.kill();
    await clearLeftover(join(dataDir, 'postgres/data'), () => undefined);
    // Where the system has no way to end it with Baton, it runs on like this.
    const { postgres } = await findServerBinaries();
    const run = join(dataDir, 'postgres/run');
    const args = ['-D', join(dataDir, 'postgres/data'), '-k', run, '-c', 'listen_addresses='];
    const leftover = startProgram(await userWithoutDeathSignal(), postgres, args, 'INT');
    leftover.stderr?.resume();
    await eventually(() =>
      query(connectionString, 'SELECT 1').then(
        () => true,
        () => false,
      ),
    );
    const writer = await writeRows(connectionString);
    await eventually(() => writer.acknowledged() > 60);
    const leftoverPid = await postmasterPid(dataDir);
    expect(leftoverPid).not.toBe(firstPid);

    const second = new Owner(dataDir);
    await expectRows(await second.until('ready'), writer.acknowledged());
    expect(second.said[0]?.log).toBe('stopping the embedded PostgreSQL that an earlier Baton left');
    expect(isRunning(leftoverPid)).toBe(false);
    await writer.broke;
    await second.stop();
  });

  it('of Baton and the postmaster, a query that still runs does not hold up the next start', async () => {
    const first = new Owner(dataDir);
    const connectionString = await first.until('ready');
    const endless = 'SELECT count(*) FROM generate_series(1, 1000000000000)';
    const broken = query(connectionString, endless).then(
      () => false,
      () => true,
    );
    const atWork = `SELECT pid FROM pg_stat_activity WHERE query = '${endless}'`;
    await eventually(async () => (await query(connectionString, atWork)).length === 1);
    const [orphan] = await query(connectionString, atWork);
    process.kill(await postmasterPid(dataDir), 'SIGKILL');
    await first.kill();
    expect(isRunning(Number(orphan?.['pid']))).toBe(true);

    const second = new Owner(dataDir);
    await expectRows(await second.until('ready'), 10);
    await eventually(() => !isRunning(Number(orphan?.['pid']))); // it would have gone on for hours
    expect(await broken).toBe(true);
    await second.stop();
  });

  it('a process that has got the dead PostgreSQL’s id is neither taken for it nor touched', async () => {
    const first = new Owner(dataDir);
    await first.until('ready');
    const pidFile = join(dataDir, 'postgres/data/postmaster.pid');
    const socketLock = join(dataDir, 'postgres/run/.s.PGSQL.5432.lock');
    const [pidLines, socketLines] = await Promise.all([
      readFile(pidFile, 'utf8'),
      readFile(socketLock, 'utf8'),
    ]);
    process.kill(await postmasterPid(dataDir), 'SIGKILL');
    await first.kill();

    const bystander = startProgram(await userWithoutDeathSignal(), 'sleep', ['600'], 'INT');
    const withItsPid = (lines: string): string => lines.replace(/^\d+/, String(bystander.pid));
    await writeFile(pidFile, withItsPid(pidLines));
    await writeFile(socketLock, withItsPid(socketLines));

    const second = new Owner(dataDir);
    await expectRows(await second.until('ready'), 10);
    await second.stop();
    expect(bystander.exitCode ?? bystander.signalCode).toBe(null);
    bystander.kill('SIGKILL');
  });

  it.each(['', 'half a li'])(
    'a postmaster.pid with only %j in it does not keep it from starting',
    async (content) => {
      const first = new Owner(dataDir);
      await first.until('ready');
      await first.stop();
      await writeFile(join(dataDir, 'postgres/data/postmaster.pid'), content);

      const second = new Owner(dataDir);
      await expectRows(await second.until('ready'), 10);
      await second.stop();
    },
  );

  it('during the very first start, the next one begins anew and clears up', async () => {
    dataDir = await folders.newDataDir();
    const first = new Owner(dataDir);
    const draft = async (): Promise<string | undefined> =>
      (await readdir(dataDir)).find((name) => /\.new-/.test(name));
    await eventually(async () => {
      const name = await draft().catch(() => undefined);
      return name !== undefined && (await readdir(join(dataDir, name))).includes('data');
    });
    await first.kill();
    expect(await readdir(dataDir)).not.toContain('postgres');

    const second = new Owner(dataDir);
    expect(await query(await second.until('ready'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await draft()).toBe(undefined);
    await second.stop();
  });
});
