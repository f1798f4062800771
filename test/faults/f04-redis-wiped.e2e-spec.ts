/** F4: Redis forgets everything while much waits and some runs. */
import { Redis } from 'ioredis';
import { scaled } from '../support/fault-scale.js';
import { FaultWorld } from '../support/fault-world.js';
import { until } from '../support/until.js';
import { answer } from '../support/upstream-behaviours.js';

jest.setTimeout(180_000);

const WAITING = scaled(300, 1_000);
const RUNNING = 50;

let world: FaultWorld;

beforeAll(async () => {
  world = await FaultWorld.start();
});
afterAll(() => world.stop());

it(`F4: wiped while ${WAITING} jobs wait and ${RUNNING} run, it loses none, and none is called twice`, async () => {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  world.upstream.script('a', async (call, response) => gate.then(() => answer()(call, response)));
  // A tenth of the slots is for single jobs alone; these are all single jobs, so all slots are theirs.
  const [api] = await world.addAll(2, { WORKER_CONCURRENCY: String(RUNNING / 2) });
  await world.submitMany(() => [api], WAITING + RUNNING, { lanes: 20 });
  await until('all slots are taken', () => world.upstream.openCalls('a') === RUNNING);

  const redis = new Redis(world.redis.url);
  await redis.flushall();
  redis.disconnect();
  const wipedMs = Date.now();
  open();
  // All are called within half a minute of the wipe, and the last of them needs a moment to end.
  await until('all are called', () => world.upstream.calls().length >= WAITING + RUNNING, 60_000);
  const calledMs = Date.now() - wipedMs;
  await world.allEnded(60_000);
  console.info(`of F4: all called ${calledMs} ms after the wipe, all ended after ${Date.now() - wipedMs} ms`);
  expect(calledMs).toBeLessThanOrEqual(30_000);
  const figures = await world.check();
  expect(figures).toMatchObject({
    accepted: WAITING + RUNNING,
    calls: WAITING + RUNNING,
    completed: WAITING + RUNNING,
  });
});
