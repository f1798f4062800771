/** The same promises with a Redis of several servers: a cluster of three masters, and a master that sentinels replace. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { BatonClient } from '../support/baton-client.js';
import { BatonProcess, cleanUpBatons, newFolder } from '../support/baton-process.js';
import { killOwners, Owner } from '../support/embedded-postgres-owner.js';
import { inTheLongRun, scaled } from '../support/fault-scale.js';
import { type RedisHouse, startRedisCluster, startRedisSentinel } from '../support/redis-cluster.js';
import { ScriptedUpstream } from '../support/scripted-upstream.js';
import { after, answer } from '../support/upstream-behaviours.js';

jest.setTimeout(240_000);

const JOBS = scaled(200, 2_000);
const APIS = scaled(1, 3);
const WORKERS = scaled(2, 4);
const DRAINED_WITHIN_MS = 30_000;

let upstream: ScriptedUpstream;
let house: RedisHouse;

beforeEach(async () => {
  upstream = await ScriptedUpstream.start();
  upstream.script('a', after(20, answer()));
});
afterEach(async () => {
  await cleanUpBatons();
  await killOwners();
  await Promise.all([upstream.close(), house.stop()]);
});

/** Several API and worker processes on one database and this Redis. */
async function startFleet(): Promise<BatonClient[]> {
  const cwd = await newFolder();
  const postgres = new Owner(`${cwd}/postgres`);
  const start = (roles: string) =>
    BatonProcess.start({
      cwd,
      file: { providers: { up: { base_url: upstream.url, api_key: 'k', protect: false } } },
      env: {
        ROLES: roles,
        DATABASE_URL: databaseUrl,
        REDIS_URL: house.url,
        BATON_ADMIN_KEY: 'a-key-for-the-tests',
        WORKER_CONCURRENCY: '10',
        LOG_LEVEL: 'warn',
      },
    });
  const databaseUrl = await postgres.until('ready');
  const first = await start('api');
  const [others] = await Promise.all([
    Promise.all(Array.from({ length: APIS - 1 }, () => start('api'))),
    Promise.all(Array.from({ length: WORKERS }, () => start('worker'))),
  ]);
  return [first, ...others].map(({ api }) => api);
}

/** Submits to each API in turn; each submission must be accepted. */
async function submit(apis: readonly BatonClient[], count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let number = 0; number < count; number += 1) {
    const api = apis[number % apis.length];
    if (api) ids.push((await api.submit({ model: 'up/a' })).id);
  }
  return ids;
}

async function untilCompleted(api: BatonClient, ids: readonly string[], withinMs: number): Promise<void> {
  const endMs = Date.now() + withinMs;
  let open = [...ids];
  while (open.length > 0) {
    const jobs = await Promise.all(open.slice(0, 50).map((id) => api.job(id)));
    const ended = new Set(jobs.filter((job) => job.status === 'completed').map((job) => job.id));
    open = open.filter((id) => !ended.has(id));
    if (Date.now() > endMs)
      throw new Error(`${open.length} of ${ids.length} jobs are not completed: ${open[0]}`);
    if (ended.size === 0) await delay(50);
  }
}

/** Each of these jobs was called once, and nothing else was. */
function expectCalledOnce(ids: readonly string[]): void {
  const attempts = upstream.calls('a').map((call) => String(call.headers['x-baton-attempt-id']));
  expect(new Set(attempts).size).toBe(attempts.length);
  expect(attempts).toHaveLength(ids.length);
}

it('on a cluster of three masters jobs run, and none is lost when all of it is wiped', async () => {
  house = await startRedisCluster();
  const apis = await startFleet();
  const [api] = apis;
  if (!api) throw new Error('There is no API');
  const ids = await submit(apis, JOBS / 2);
  for (const { port } of house.servers) {
    const client = new Redis(port, '127.0.0.1');
    // One hash tag: whichever node has one of Baton's keys has all of them.
    const tags = (await client.keys('*')).map((key) => /\{(.*?)\}/.exec(key)?.[1]);
    expect(new Set(tags).size).toBeLessThanOrEqual(1);
    await client.flushall();
    client.disconnect();
  }
  ids.push(...(await submit(apis, JOBS / 2)));
  await untilCompleted(api, ids, DRAINED_WITHIN_MS + JOBS * 20);
  expectCalledOnce(ids);
});

inTheLongRun(
  'when sentinels put a replica in the place of the master, jobs are taken meanwhile and all are done',
  async () => {
    house = await startRedisSentinel();
    const apis = await startFleet();
    const [api] = apis;
    const [master] = house.servers;
    if (!api || !master) throw new Error('There is no API or no master');
    const ids = await submit(apis, JOBS / 2);
    await master.kill();
    const killedMs = Date.now();
    ids.push(...(await submit(apis, JOBS / 2)));
    console.info(`${JOBS / 2} jobs were taken in ${Date.now() - killedMs} ms without a master`);
    await untilCompleted(api, ids, DRAINED_WITHIN_MS + JOBS * 20);
    console.info(`all done ${Date.now() - killedMs} ms after the master was killed`);
    expectCalledOnce(ids);
  },
);
