import { spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { useDataFolders } from '../support/embedded-postgres-folders.js';
import { expectRows, Owner, query } from '../support/embedded-postgres-owner.js';

jest.setTimeout(120_000);

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
/** `daemon`: on every system, and not the one that Baton takes when it is root. */
const DAEMON = 1;

const asDaemon = ['setpriv', `--reuid=${DAEMON}`, `--regid=${DAEMON}`, '--clear-groups', '--'];
const inNamespace = ['unshare', '--user', `--map-user=${DAEMON}`, `--map-group=${DAEMON}`, '--'];
const asRootOfNamespace = ['unshare', '--user', '--map-root-user', '--'];
/** Whether we can be another user who can read this checkout; root's may be closed to others. */
const canBeAnother = isRoot && works([...asDaemon, 'test', '-r', __filename]);
/**
 * How to be root and how to be an ordinary user, whoever runs the tests. In a user namespace one has another number and
 * keeps one's own rights on files.
 */
const asRoot = isRoot ? [] : asRootOfNamespace;
const asOrdinaryUser = !isRoot ? [] : canBeAnother ? asDaemon : inNamespace;
const whereNamespacesAre = works([...inNamespace, 'true']) ? describe : describe.skip;
const whereOthersAre = canBeAnother ? describe : describe.skip;

function works([command = '', ...args]: readonly string[]): boolean {
  return spawnSync(command, args).status === 0;
}

const folders = useDataFolders();
let dataDir: string;

beforeEach(async () => {
  dataDir = await folders.usedDataDir();
});

/** Adds a row and sees that all are there, this one too. */
async function addRow(owner: Owner, row: number): Promise<void> {
  const connectionString = await owner.until('ready');
  await query(connectionString, `INSERT INTO t VALUES (${row})`);
  await expectRows(connectionString, row);
}

/** A data folder of the ordinary user's own. */
async function ownDataDir(): Promise<string> {
  const own = await folders.newDataDir();
  await mkdir(own);
  if (canBeAnother) await chown(own, DAEMON, DAEMON);
  return own;
}

/** What runs a command with a small disk mounted on the folder that comes first, after `before` was done there. */
function onSmallDisk(sizeMb: number, before: string): string[] {
  const mount = `mount -t tmpfs -o size=${sizeMb}m,mode=755 none "$0" && ${before} && exec "$@"`;
  return ['unshare', '--mount', ...(isRoot ? [] : ['--user', '--map-root-user']), '--', 'sh', '-c', mount];
}

it('PostgreSQL, which refuses root, runs for root in a folder that others may pass through', async () => {
  const owner = new Owner(dataDir, asRoot);
  await expectRows(await owner.until('ready'), 10);
  if (canBeAnother) expect((await stat(join(dataDir, 'postgres/data'))).uid).toBe(NOBODY);
  await owner.stop();
});

whereNamespacesAre('PostgreSQL, which refuses root,', () => {
  it('runs for root below a folder that only root may enter, from the first start on', async () => {
    dataDir = await folders.newDataDir();
    await chmod(dirname(dataDir), 0o700);
    for (let start = 0; start < 2; start++) {
      const owner = new Owner(dataDir, asRoot);
      const connectionString = await owner.until('ready');
      await query(
        connectionString,
        'CREATE TABLE IF NOT EXISTS t (n int PRIMARY KEY); INSERT INTO t SELECT count(*) + 1 FROM t',
      );
      await expectRows(connectionString, start + 1);
      await owner.stop();
    }
  });

  it('keeps its rows when root closes the folders above and opens them again', async () => {
    let rows = 10;
    for (const mode of [0o755, 0o700, 0o755]) {
      await chmod(dirname(dataDir), mode);
      const owner = new Owner(dataDir, asRoot);
      await addRow(owner, ++rows);
      await owner.stop();
    }
  });

  it('keeps its rows through a kill -9 before each such change', async () => {
    let rows = 10;
    for (const mode of [0o755, 0o700, 0o755]) {
      await chmod(dirname(dataDir), mode);
      const owner = new Owner(dataDir, asRoot);
      await addRow(owner, ++rows);
      await owner.kill();
    }
  });

  it('says what to do where root has no way to run it', async () => {
    const withoutNamespaces = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"';
    const owner = new Owner(dataDir, [...asRootOfNamespace, 'sh', '-c', withoutNamespaces, 'sh']);
    expect(await owner.until('refused')).toMatch(
      /refuses to run as root.*Run Baton as an ordinary user, or move .* or set DATABASE_URL/,
    );
  });

  it('says that the disk is full, at the first start and at a later one', async () => {
    const used = dataDir;
    dataDir = await folders.newDataDir();
    await mkdir(dataDir);
    const first = new Owner(dataDir, [...onSmallDisk(24, 'true'), dataDir]);
    expect(await first.until('refused')).toMatch(
      /No space left on device.*Free some space, or set BATON_DATA_DIR/,
    );

    const fill = `cp -r '${used}/postgres' "$0" && { cat /dev/zero > "$0/filler" 2> /dev/null || true; }`;
    const later = new Owner(dataDir, [...onSmallDisk(80, fill), dataDir]);
    expect(await later.until('refused')).toMatch(/[Nn]o space/);
  });
});

it('for an ordinary user the embedded PostgreSQL runs as that user', async () => {
  dataDir = await ownDataDir();
  for (let start = 0; start < 2; start++) {
    const owner = new Owner(dataDir, asOrdinaryUser);
    await query(await owner.until('ready'), 'CREATE TABLE IF NOT EXISTS kept (n int)');
    await owner.stop();
  }
  expect((await stat(join(dataDir, 'postgres/data'))).uid).toBe((await stat(dataDir)).uid);
});

whereOthersAre('for an ordinary user the embedded PostgreSQL', () => {
  it('stays that user’s when root runs Baton on the folder in between', async () => {
    dataDir = await ownDataDir();
    for (const prefix of [asOrdinaryUser, asRoot, asOrdinaryUser]) {
      const owner = new Owner(dataDir, prefix);
      await query(await owner.until('ready'), 'CREATE TABLE IF NOT EXISTS kept (n int)');
      await owner.stop();
    }
  });

  it('does not start in another’s folder, and says whose it should be', async () => {
    const owner = new Owner(dataDir, asOrdinaryUser);
    expect(await owner.until('refused')).toMatch(/^No permission for .*Make Baton's user the owner of /);
  });

  it('cannot be reached by another one, even with the password', async () => {
    const owner = new Owner(dataDir);
    const script = `new (require('pg').Client)({ connectionString: process.argv[1] }).connect().then(
      () => console.log('in'), (error) => console.log(error.code)).finally(() => process.exit())`;
    const [command, ...args] = [...asDaemon, process.execPath, '-e', script, await owner.until('ready')];
    expect(spawnSync(command, args, { cwd: __dirname, encoding: 'utf8' }).stdout).toBe('EACCES\n');
    await owner.stop();
  });
});

describe('another local user', () => {
  it('finds every folder and file of the server closed', async () => {
    const owner = new Owner(dataDir);
    await owner.until('ready');
    const modes: Record<string, string> = {};
    for (const name of ['', 'data', 'run', 'password', 'run/.s.PGSQL.5432', 'data/pg_hba.conf']) {
      modes[name] = ((await stat(join(dataDir, 'postgres', name))).mode & 0o777).toString(8);
    }
    expect(modes).toEqual({
      '': '700',
      data: '700',
      run: '700',
      password: '600',
      'run/.s.PGSQL.5432': '700',
      'data/pg_hba.conf': '600',
    });
    await owner.stop();
  });

  it('would need the password, and finds no superuser to be', async () => {
    const owner = new Owner(dataDir);
    const connectionString = await owner.until('ready');
    const wrong = connectionString.replace(/baton:\w+@/, 'baton:guess@');
    await expect(query(wrong, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    const superuser = connectionString.replace('//baton:', '//postgres:');
    await expect(query(superuser, 'SELECT 1')).rejects.toMatchObject({ code: '28000' });
    expect(
      await query(connectionString, 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user'),
    ).toEqual([{ rolsuper: false }]);
    await owner.stop();
  });
});
