/** F2: an API dies in the middle of a submission; its client comes back with the same key. */
import { setTimeout as delay } from 'node:timers/promises';
import { draw, inTheLongRun, seed } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { until } from '../support/until.js';

const KILLS = 100;
jest.setTimeout(120_000 + KILLS * 5_000);

let world: FaultWorld;
let steady: Member;

beforeAll(async () => {
  world = await FaultWorld.start();
  [steady] = await world.addAll(1);
});
afterAll(() => world.stop());

async function jobsOf(key: string): Promise<{ id: string; status: string }[]> {
  return world.query(
    `select j.id, j.status from job_requests r join jobs j on j.id = r.job_id where r.body like '%${key}%'`,
  );
}

/** Comes back with the key, at the API that is alive. */
async function comeBack(key: string): Promise<string> {
  const reply = await world.trySubmit(steady.api, key);
  expect(reply?.status).toBe(202);
  return String(reply?.body['id']);
}

it('F2: killed before the COMMIT reached the database, it has accepted nothing', async () => {
  const api = await world.add('api');
  expect((await world.trySubmit(api.api, 'warm-up'))?.status).toBe(202);
  api.postgres.timeout('up');
  const answer = world.trySubmit(api.api, 'never-committed');
  await Promise.race([answer, delay(500)]);
  await api.baton.kill9();
  expect(await answer).toBeNull();
  expect(await jobsOf('never-committed')).toEqual([]);
  const id = await comeBack('never-committed');
  expect(await jobsOf('never-committed')).toHaveLength(1);
  expect((await steady.api.ended(id)).status).toBe('completed');
});

it('F2: killed between the COMMIT and its answer, it has accepted, and the same key finds that job', async () => {
  const api = await world.add('api');
  expect((await world.trySubmit(api.api, 'warm-up-2'))?.status).toBe(202);
  // Every answer of the database is on its way for long: the row is there before the API knows.
  api.postgres.latency(1_500, 'down');
  const answer = world.trySubmit(api.api, 'committed-unheard');
  await until('the row is there', async () => (await jobsOf('committed-unheard')).length === 1);
  api.postgres.timeout('down');
  await api.baton.kill9();
  expect(await answer).toBeNull();
  await comeBack('committed-unheard');
  expect(await jobsOf('committed-unheard')).toHaveLength(1);
  // Nobody has rung for it: it is run late, and the next test sees it end.
});

it('F2: killed between the COMMIT and the bell, its job is run all the same', async () => {
  const api = await world.add('api');
  expect((await world.trySubmit(api.api, 'warm-up-3'))?.status).toBe(202);
  api.redis.timeout('up');
  const reply = await world.trySubmit(api.api, 'unrung');
  expect(reply?.status).toBe(202);
  await api.baton.kill9();
  expect(await jobsOf('unrung')).toHaveLength(1);
  // Its bell counts as rung: it is rung again when it was not heard for long.
  await world.allEnded(60_000);
  await world.check();
});

inTheLongRun(
  `F2: killed at any moment under load, each key has one job, and no 202 is without its row (FAULTS_SEED=${seed})`,
  async () => {
    let victim = await world.add('api');
    let isOver = false;
    const submitting = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!isOver) {
          await world.submit(() => [victim, steady]);
          await delay(150);
        }
      }),
    );
    for (let kill = 0; kill < KILLS; kill++) {
      await delay(200 + draw() * 600);
      victim = await world.replace(victim, 'api');
    }
    isOver = true;
    await submitting;
    await world.allEnded(60_000);
    const twice = await world.query('select body from job_requests group by body having count(*) > 1');
    expect(twice).toEqual([]);
    const figures = await world.check();
    // A client that comes back until it is heard leaves no job that nobody knows of.
    expect(figures.unheard).toBe(0);
    console.info(`of F2: ${KILLS} kills, ${JSON.stringify(figures)}`);
  },
);
