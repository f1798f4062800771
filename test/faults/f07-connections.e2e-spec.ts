/** F7: connections to PostgreSQL are ended in the middle of what they do, are all in use, or may only read. */
import { Client } from 'pg';
import { setTimeout as delay } from 'node:timers/promises';
import { draw, inTheLongRun } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { until } from '../support/until.js';
import { after, answer } from '../support/upstream-behaviours.js';

const CUTS = 300;
jest.setTimeout(120_000 + CUTS * 1_000);

const TERMINATE = `select pg_terminate_backend(pid) from pg_stat_activity
  where backend_type = 'client backend' and pid <> pg_backend_pid()`;

let world: FaultWorld;
let api: Member;
/** What was not accepted while something was broken, and comes back later. */
let refused: string[];

beforeAll(async () => {
  world = await FaultWorld.start();
  world.upstream.script('a', after(200, answer()));
  [api] = await world.addAll(1);
});
beforeEach(() => (refused = []));
afterAll(() => world.stop());

/** Submits once; it must be accepted, or be told to come back. */
async function submitOnce(key: string): Promise<number> {
  const reply = await world.trySubmit(api.api, key);
  if (reply?.status === 202) return 202;
  expect(reply?.status).toBe(503);
  expect(Number(reply?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  refused.push(key);
  return 503;
}

/** Submits again what was refused, until it is accepted, and holds all against the invariants. */
async function comeBack(): Promise<void> {
  for (const key of refused)
    await until(`${key} is accepted`, async () => (await world.trySubmit(api.api, key))?.status === 202);
  await world.allEnded(60_000);
  const twice = await world.query('select body from job_requests group by body having count(*) > 1');
  expect(twice).toEqual([]);
  await world.check();
}

inTheLongRun(
  'F7: connections that are ended in the middle of transactions leave nothing half done',
  async () => {
    let isOver = false;
    let number = 0;
    const submitting = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!isOver) {
          await submitOnce(`ended-${number++}`);
          await delay(50);
        }
      }),
    );
    for (let cut = 0; cut < CUTS; cut++) {
      await delay(draw() * 300);
      await world.query(`${TERMINATE} and random() < 0.5`);
    }
    isOver = true;
    await submitting;
    await comeBack();
  },
);

inTheLongRun(
  'F7: with all connections in use, who comes is turned away in time, and all goes on when they are free',
  async () => {
    const client = new Client({ connectionString: world.databaseUrl });
    await client.connect();
    await client.query('begin; lock table jobs in access exclusive mode');
    const startMs = performance.now();
    const statuses = Promise.all(
      Array.from({ length: 40 }, (_, number) => submitOnce(`exhausted-${number}`)),
    );
    await delay(7_000);
    await client.query('rollback');
    await client.end();
    const seen = await statuses;
    expect(performance.now() - startMs).toBeLessThan(10_000);
    // Twenty wait at the lock, and the others for them, 5 s at most.
    expect(new Set(seen)).toEqual(new Set([202, 503]));
    await comeBack();
  },
);

inTheLongRun(
  'F7: failed over to a server that may only be read, it accepts nothing, and everything when it may write again',
  async () => {
    await world.query(`alter role current_user set default_transaction_read_only = on`);
    await world.query(TERMINATE);
    for (let number = 0; number < 10; number++) expect(await submitOnce(`read-only-${number}`)).toBe(503);
    await world.query(
      'begin read write; alter role current_user reset default_transaction_read_only; commit',
    );
    await world.query(TERMINATE);
    await comeBack();
  },
);
