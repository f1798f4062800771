/** Starting and stopping the built app: what it prints, what it refuses, what it leaves behind. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { JobReply } from '../support/baton-client.js';
import {
  BatonProcess,
  type BatonProcessOptions,
  cleanUpBatons,
  newFolder,
} from '../support/baton-process.js';
import { eventually, isRunning, postmasterPid } from '../support/embedded-postgres-owner.js';
import { startRedis } from '../support/redis-server.js';
import { ScriptedUpstream } from '../support/scripted-upstream.js';
import { createTestDatabase } from '../support/test-database.js';
import { after, answer, hang } from '../support/upstream-behaviours.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

jest.setTimeout(180_000);

const KEY = 'a-key-for-the-tests';
let upstream: ScriptedUpstream;

beforeEach(async () => {
  upstream = await ScriptedUpstream.start();
});
afterEach(async () => {
  await cleanUpBatons();
  await upstream.close();
});

/** What starts a Baton that can call the scripted upstream as `up/…`. */
function withUpstream(options: BatonProcessOptions = {}): BatonProcessOptions {
  return {
    file: { providers: { up: { kind: 'openai', base_url: upstream.url, api_key: 'k' } } },
    ...options,
  };
}

async function paste(line: string): Promise<JobReply> {
  return JSON.parse((await promisify(execFile)('bash', ['-c', line])).stdout) as JobReply;
}

/** A job whose call the upstream has, and does not answer before the given time. */
async function runningJob(baton: BatonProcess): Promise<string> {
  const before = upstream.calls('slow').length;
  const { id } = await baton.api.submit({ model: 'up/slow' });
  await eventually(() => upstream.calls('slow').length > before);
  return id;
}

describe('a first start in an empty folder, with nothing set', () => {
  it('prints a line that, pasted, shows a job that fell back; a second start knows key and job', async () => {
    const first = await BatonProcess.start();
    const keyPath = join(first.cwd, '.baton/admin-key');
    expect(first.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(first.printed(/Admin key: (.*)$/m)).toBe(keyPath);
    expect(first.stdout).toContain(first.key);
    expect(first.stderr).not.toContain(first.key);
    expect((await stat(keyPath)).mode & 0o777).toBe(0o600);

    const job = await paste(first.printed(/^ {2}(curl .*)$/m));
    expect(job).toMatchObject({
      object: 'job',
      status: 'completed',
      model: 'sim/fail',
      served_by: 'sim/echo',
      fell_back: true,
      attempt_count: 2,
      attempts: [
        { index: 0, model: 'sim/fail', outcome: 'failed', decision: 'next' },
        { index: 1, model: 'sim/echo', outcome: 'succeeded' },
      ],
    });
    expect(await first.term()).toBe(0);

    const second = await BatonProcess.start({ cwd: first.cwd });
    expect(second.key).toBe(first.key);
    expect(second.stdout).not.toContain(first.key);
    expect(second.printed(/Admin key: (.*)$/m)).toBe(keyPath);
    expect(await second.api.job(job.id)).toEqual(job);
    expect(await second.term()).toBe(0);
  });

  it('goes on when its folder has a blank and a quote in its name', async () => {
    const cwd = join(await newFolder(), "it's here");
    await mkdir(cwd);
    const baton = await BatonProcess.start({ cwd });
    expect(await paste(baton.printed(/^ {2}(curl .*)$/m))).toMatchObject({ status: 'completed' });
  });
});

test("with a provider's key, the printed line asks that provider", async () => {
  const baton = await BatonProcess.start({ env: { OPENAI_API_KEY: 'sk-not-to-be-shown' } });
  expect(baton.printed(/^ {2}(curl .*)$/m)).toMatch(/"model":"openai\/[a-z0-9.-]+"/);
  expect(baton.stdout + baton.stderr).not.toContain('sk-not-to-be-shown');
});

describe('a wrong configuration', () => {
  it('ends the start with code 78 and a list of all mistakes, without a secret', async () => {
    const cwd = await newFolder();
    await writeFile(join(cwd, 'key'), 'secret-in-a-file');
    await writeFile(
      join(cwd, 'baton.yaml'),
      [
        'providerz: {}',
        'providers:',
        '  one: { kind: openai, base_url: "http//nowhere", api_key: secret-of-one, retries: 3 }',
        '  two: { kind: openai, base_url: "http://127.0.0.1:1/v1", limits: { rpm: many } }',
        'models: { one/a: { context: 5 } }',
        'policies:',
        '  shape: { steps: [ { model: sim/echo, timeout: 5 } ] }',
        '  names: { steps: [ { model: sim/ecko }, { model: policy/elsewhere }, { model: one/fine } ] }',
        '  round: { steps: [ { model: policy/round } ] }',
        '  empty:',
      ].join('\n'),
    );
    const env = {
      PORT: 'http',
      ROLES: 'api,boss',
      BATON_ADMIN_KEY: 'secret-in-the-environment',
      BATON_ADMIN_KEY_FILE: 'key',
      DATABASE_URL: 'mysql://user:secret-of-the-database@host/db',
      ENCRYPTION_KEYS: 'secret-too-short',
      BATON_DATA_DIRR: '/nowhere',
    };
    const baton = await BatonProcess.launch({ cwd, env });
    expect(await baton.exited).toEqual({ code: 78, signal: null });
    expect(baton.stdout).toBe('');
    const said = baton.stderr.trim().split('\n');
    const expected = [
      /^ {2}- PORT: /,
      /^ {2}- ROLES: /,
      /^ {2}- BATON_ADMIN_KEY: both .* are set/,
      /^ {2}- DATABASE_URL: /,
      /^ {2}- ENCRYPTION_KEYS: /,
      /^ {2}- BATON_DATA_DIRR: .*did you mean BATON_DATA_DIR\?/,
      /^ {2}- baton\.yaml: providerz: unknown name; did you mean providers\?/,
      /^ {2}- baton\.yaml: providers\.one\.base_url: /,
      /^ {2}- baton\.yaml: providers\.one\.retries: unknown name/,
      /^ {2}- baton\.yaml: providers\.two\.limits\.rpm: /,
      /^ {2}- baton\.yaml: models\.one\/a\.context: unknown name/,
      /^ {2}- baton\.yaml: policies\.shape: Unknown field 'steps\.0\.timeout'/,
      /^ {2}- baton\.yaml: policies\.names\.steps\.0\.model: .*Did you mean `sim\/echo`/,
      /^ {2}- baton\.yaml: policies\.names\.steps\.1\.model: There is no policy 'elsewhere'/,
      /^ {2}- baton\.yaml: policies\.round\.steps\.0\.model: .*circle/,
      /^ {2}- baton\.yaml: policies\.empty: must be a mapping/,
    ];
    for (const line of expected) expect(said).toContainEqual(expect.stringMatching(line));
    expect(said[0]).toBe(`Baton can't start: ${expected.length} mistake(s) in its configuration.`);
    expect(said).toHaveLength(expected.length + 1);
    expect(baton.stderr).not.toContain('secret');
    await expect(stat(join(cwd, '.baton'))).rejects.toThrow('ENOENT');
  });

  it('says it when only a policy is wrong', async () => {
    const baton = await BatonProcess.launch({ file: { policies: { p: { steps: [] } } } });
    expect((await baton.exited).code).toBe(78);
    expect(baton.stderr).toMatch(/^Baton can't start: 1 mistake.*\n {2}- baton\.yaml: policies\.p: steps /);
  });
});

describe('more than one Baton', () => {
  it('run side by side in folders of their own; a second one on the same folder is refused', async () => {
    const [one, two] = await Promise.all([BatonProcess.start(), BatonProcess.start()]);
    const { id } = await one.api.run({ model: 'sim/echo' });
    await expect(two.api.job(id)).rejects.toThrow(/^401|^404/);
    expect((await two.api.run({ model: 'sim/echo' })).status).toBe('completed');

    const third = await BatonProcess.launch({ dataDir: one.dataDir });
    expect((await third.exited).code).toBe(1);
    expect(third.stderr).toContain(
      `Baton can't start: ${one.dataDir} is in use by Baton process ${one.pid}. Stop it, or set BATON_DATA_DIR to another folder.`,
    );
    expect((await one.api.run({ model: 'sim/echo' })).status).toBe('completed');
    expect(await Promise.all([one.term(), two.term()])).toEqual([0, 0]);
  });

  it.each(['redis', 'postgres'])(
    'share the work as API and worker over one database, with the queue on %s',
    async (backend) => {
      const database = await createTestDatabase();
      const receiver = await WebhookReceiver.start();
      try {
        const env = {
          DATABASE_URL: database.url,
          ...(backend === 'redis' ? { REDIS_URL: process.env['TEST_REDIS_URL'] ?? '' } : {}),
          BATON_ADMIN_KEY: KEY,
          ENCRYPTION_KEYS: Buffer.alloc(32, 7).toString('base64'),
          EGRESS_ALLOW_CIDRS: '127.0.0.0/8',
        };
        const [api, worker] = await Promise.all([
          BatonProcess.start(withUpstream({ env: { ...env, ROLES: 'api' } })),
          BatonProcess.start(withUpstream({ env: { ...env, ROLES: 'worker' } })),
        ]);
        expect(worker.stdout).toBe(`Baton is ready: ${worker.url} (worker only: health and metrics)\n`);

        const job = await api.api.run({ model: 'up/a' }, { webhook_url: receiver.url('/hook') });
        expect(job).toMatchObject({ status: 'completed', attempts: [{ outcome: 'succeeded' }] });
        expect(job.attempts[0]?.['worker']).toMatch(new RegExp(`:${worker.pid}$`));
        await receiver.waitFor('/hook', 1);

        upstream.script('slow', hang());
        const id = await runningJob(api);
        const cancelled = await api.api.request('POST', `/v1/jobs/${id}/cancel`);
        expect(cancelled.body).toMatchObject({ status: 'cancelled', attempts: [{ outcome: 'cancelled' }] });
        await eventually(() => upstream.openCalls('slow') === 0);

        for (const path of ['/livez', '/readyz', '/metrics']) {
          expect((await worker.api.request('GET', path)).status).toBe(200);
        }
        expect((await worker.api.request('GET', '/v1/jobs')).status).toBe(404);
        expect(await Promise.all([api.term(), worker.term()])).toEqual([0, 0]);
      } finally {
        await receiver.close();
        await cleanUpBatons();
        await database.drop();
      }
    },
  );
});

describe('a stop', () => {
  it('lets a running call end within the grace: exit code 0, the job done, PostgreSQL gone', async () => {
    const first = await BatonProcess.start(withUpstream());
    const postgres = await postmasterPid(first.dataDir);
    upstream.script('slow', after(1_500, answer()));
    const id = await runningJob(first);
    expect(await first.term()).toBe(0);
    expect(isRunning(postgres)).toBe(false);
    await expect(postmasterPid(first.dataDir)).rejects.toThrow('ENOENT');

    const second = await BatonProcess.start({ cwd: first.cwd });
    expect(await second.api.job(id)).toMatchObject({ status: 'completed', attempt_count: 1 });
    expect(upstream.calls('slow')).toHaveLength(1);
  });

  it('gives back what outlasts the grace: the attempt is interrupted, the next start does the job', async () => {
    const first = await BatonProcess.start(withUpstream({ env: { SHUTDOWN_GRACE_MS: '300' } }));
    upstream.script('slow', hang(), answer());
    const id = await runningJob(first);
    expect(await first.term()).toBe(0);

    const second = await BatonProcess.start({ cwd: first.cwd });
    const job = await second.api.ended(id);
    expect(job).toMatchObject({
      status: 'completed',
      attempt_count: 2,
      attempts: [
        { outcome: 'interrupted', message: 'the worker was stopped', decision: 'retry' },
        { outcome: 'succeeded' },
      ],
    });
  });

  it('ends at once on a second signal, and PostgreSQL with it', async () => {
    const baton = await BatonProcess.start(withUpstream({ env: { SHUTDOWN_GRACE_MS: '120000' } }));
    const postgres = await postmasterPid(baton.dataDir);
    upstream.script('slow', hang());
    await runningJob(baton);
    baton.signal('SIGTERM');
    await eventually(() => baton.stderr.includes('SIGTERM: stopping'));
    const secondMs = Date.now();
    baton.signal('SIGTERM');
    expect((await baton.exited).code).toBe(1);
    expect(Date.now() - secondMs).toBeLessThan(5_000);
    await eventually(() => !isRunning(postgres));
  });

  it('is as clean while Redis is away', async () => {
    const redis = await startRedis();
    const baton = await BatonProcess.start(withUpstream({ env: { REDIS_URL: redis.url } }));
    upstream.script('slow', after(1_500, answer()));
    const id = await runningJob(baton);
    await redis.kill();
    expect(await baton.term()).toBe(0);

    const second = await BatonProcess.start({ cwd: baton.cwd });
    expect(await second.api.job(id)).toMatchObject({ status: 'completed', attempt_count: 1 });
  });

  it('by Ctrl-C in the terminal is as clean', async () => {
    const first = await BatonProcess.start(withUpstream());
    const postgres = await postmasterPid(first.dataDir);
    upstream.script('slow', after(1_000, answer()));
    const id = await runningJob(first);
    first.pressCtrlC();
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(isRunning(postgres)).toBe(false);

    const second = await BatonProcess.start({ cwd: first.cwd });
    expect(await second.api.job(id)).toMatchObject({ status: 'completed', attempt_count: 1 });
  });

  it('by Ctrl-C during the start leaves nothing running', async () => {
    const baton = await BatonProcess.launch();
    await eventually(
      async () => (await readFile(join(baton.dataDir, 'admin-key'), 'utf8').catch(() => '')) !== '',
    );
    baton.pressCtrlC();
    const ended = await baton.exited;
    // Whatever it says when it does not stop cleanly belongs to the failure.
    expect({ ...ended, said: ended.code === 0 ? '' : baton.stderr }).toEqual({
      code: 0,
      signal: null,
      said: '',
    });
    expect(baton.stdout).not.toContain('Baton is ready');
    await expect(postmasterPid(baton.dataDir)).rejects.toThrow('ENOENT');
  });
});

test('a port in use is said, and nothing is left running', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  try {
    const baton = await BatonProcess.launch({ env: { PORT: String(port) } });
    expect((await baton.exited).code).toBe(1);
    expect(baton.stderr).toContain(`Baton can't start: port ${port} of 127.0.0.1 is in use`);
    await expect(postmasterPid(baton.dataDir)).rejects.toThrow('ENOENT');
  } finally {
    other.close();
  }
});
