/**
 * F8: the network between a process and a store is cut: refused, or a black hole, in both directions or one. Each kind of cut
 * befalls a process of its own, all at once; beside them one of each role is whole.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { inTheLongRun } from '../support/fault-scale.js';
import { CONCURRENCY, FaultWorld, type Member } from '../support/fault-world.js';
import { leastOf } from '../support/rounds.js';
import { until } from '../support/until.js';
import type { TcpProxy } from '../support/tcp-proxy.js';
import { timed } from '../support/quickness.js';
import { after, answer } from '../support/upstream-behaviours.js';

jest.setTimeout(240_000);

type Cut = readonly [string, (proxy: TcpProxy) => void | Promise<void>];

const CUTS: readonly Cut[] = [
  ['a black hole', (proxy) => proxy.timeout()],
  ['refused', (proxy) => proxy.down()],
  ['nothing gets there', (proxy) => proxy.timeout('up')],
  ['nothing comes back', (proxy) => proxy.timeout('down')],
];
/** Longer than a lease. */
const CUT_MS = 60_000;
/** Enough for all workers at once. */
const FULL = (CUTS.length + 1) * CONCURRENCY;
/** A submission is answered in this time, whatever is cut. */
const ANSWER_MS = 10_000;

let world: FaultWorld;
let whole: Member;
let apis: Member[];
let workers: Member[];
/** Calls that may have been in vain so far. */
let extra = 0;

beforeAll(async () => {
  world = await FaultWorld.start();
  world.upstream.script('a', after(2_000, answer()));
  whole = await world.add('api');
  const add = (roles: string, count: number) =>
    Promise.all(Array.from({ length: count }, () => world.add(roles)));
  apis = await add('api', CUTS.length);
  // The last one stays whole.
  workers = await add('worker', CUTS.length + 1);
}, 120_000);
afterAll(() => world.stop());

/** Cuts each process in its own way, runs, and mends all of them. */
async function whileCut(proxies: readonly TcpProxy[], run: () => Promise<void>): Promise<void> {
  await Promise.all(
    CUTS.map(async ([, cut], index) => {
      await cut(proxies[index] as TcpProxy);
    }),
  );
  try {
    await run();
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.restore()));
  }
}

/** Gives the workers enough to do until each of them has begun something after this moment. */
async function expectAllWork(timeoutMs: number): Promise<void> {
  const [clock] = await world.query<{ now: string }>('select now()::text as now');
  const pids = workers.map(({ baton }) => baton.pid);
  let busy: number[] = [];
  const endMs = Date.now() + timeoutMs;
  while (Date.now() < endMs && busy.length < pids.length) {
    await world.submitMany(() => [whole], 30);
    await delay(500);
    const rows = await world.query<{ pid: string }>(
      `select distinct split_part(worker, ':', 2) as pid from attempts where started_at > '${clock?.now}'`,
    );
    busy = rows.map(({ pid }) => Number(pid));
  }
  const idle = workers.flatMap(({ baton }, index) =>
    busy.includes(baton.pid) ? [] : [CUTS[index]?.[0] ?? 'whole'],
  );
  expect(idle).toEqual([]);
}

inTheLongRun(
  'F8: workers that are cut off from PostgreSQL lose their leases and nothing else, and work again',
  async () => {
    await world.submitMany(() => [whole], FULL);
    await until('all have something to do', () => world.upstream.openCalls('a') > CONCURRENCY / 2);
    await whileCut(
      workers.slice(0, -1).map(({ postgres }) => postgres),
      async () => {
        await delay(CUT_MS);
        await world.submitMany(() => [whole], 20);
      },
    );
    await expectAllWork(40_000);
    await world.allEnded(90_000);
    extra += CUTS.length * CONCURRENCY;
    await world.check({ mostExtraCalls: extra });
  },
);

inTheLongRun(
  'F8: workers that are cut off from Redis finish what they have, and hear again when they are not',
  async () => {
    const [clock] = await world.query<{ now: string }>('select now()::text as now');
    await world.submitMany(() => [whole], FULL);
    await until('all have something to do', () => world.upstream.openCalls('a') > CONCURRENCY / 2);
    await whileCut(
      workers.slice(0, -1).map(({ redis }) => redis),
      async () => {
        await world.submitMany(() => [whole], 40);
        await delay(CUT_MS);
      },
    );
    await expectAllWork(40_000);
    await world.allEnded(90_000);
    await world.check({ mostExtraCalls: extra });
    // The leases are PostgreSQL's: nothing is called twice.
    const inVain = await world.query(
      `select id, outcome from attempts where outcome in ('interrupted', 'superseded') and started_at > '${clock?.now}'`,
    );
    expect(inVain).toEqual([]);
  },
);

inTheLongRun(
  'F8: APIs that are cut off from PostgreSQL accept nothing, say so in time, and accept again',
  async () => {
    for (const api of apis) await world.submit(() => [api]);
    const keys = CUTS.map((_, index) => [0, 1, 2].map((number) => `cut-${index}-${number}`));
    await whileCut(
      apis.map(({ postgres }) => postgres),
      async () => {
        const told = await Promise.all(
          apis.flatMap((api, index) =>
            (keys[index] ?? []).map(async (key) => {
              const late = delay(ANSWER_MS).then(() => 'late' as const);
              const reply = await Promise.race([world.trySubmit(api.api, key), late]);
              return [CUTS[index]?.[0], reply === 'late' ? reply : reply?.status];
            }),
          ),
        );
        expect(told).toEqual(CUTS.flatMap(([name]) => [1, 2, 3].map(() => [name, 503])));
      },
    );
    for (const [index, api] of apis.entries())
      for (const key of keys[index] ?? [])
        await until(`${key} is accepted`, async () => (await world.trySubmit(api.api, key))?.status === 202);
    const twice = await world.query('select body from job_requests group by body having count(*) > 1');
    expect(twice).toEqual([]);
    await world.allEnded(60_000);
    await world.check({ mostExtraCalls: extra });
  },
);

inTheLongRun('F8: APIs that are cut off from Redis accept as ever, and their jobs are run', async () => {
  for (const api of apis) await world.submit(() => [api]);
  await whileCut(
    apis.map(({ redis }) => redis),
    async () => {
      for (const [index, api] of apis.entries()) {
        const tookMs = await leastOf(1_500, async (round) => {
          const [reply, ms] = await timed(() => world.trySubmit(api.api, `unheard-${index}-${round}`));
          expect([CUTS[index]?.[0], reply?.status]).toEqual([CUTS[index]?.[0], 202]);
          return ms;
        });
        expect(tookMs).toBeLessThan(1_500);
        const { status, body } = await api.api.request('GET', '/readyz');
        expect([CUTS[index]?.[0], status, body['status']]).toEqual([CUTS[index]?.[0], 200, 'degraded']);
      }
    },
  );
  await world.allEnded(60_000);
  await world.check({ mostExtraCalls: extra });
});

inTheLongRun(
  'F8: connections to PostgreSQL that a firewall has forgotten are given up: nobody waits at them for ever',
  async () => {
    await world.submitMany(() => [whole], 60);
    await until('all have something to do', () => world.upstream.openCalls('a') > CONCURRENCY / 2);
    const [api] = apis as [Member];
    await world.submit(() => [api]);
    api.postgres.forget();
    for (const { postgres } of workers.slice(0, -1)) postgres.forget();
    const late = delay(ANSWER_MS).then(() => 'late' as const);
    const reply = await Promise.race([world.trySubmit(api.api, 'forgotten'), late]);
    expect([202, 503]).toContain(reply === 'late' ? reply : reply?.status);
    await until(
      'it accepts',
      async () => (await world.trySubmit(api.api, 'forgotten'))?.status === 202,
      60_000,
    );
    await expectAllWork(60_000);
    await world.allEnded(90_000);
    extra += CUTS.length * CONCURRENCY;
    await world.check({ mostExtraCalls: extra });
  },
);
