/** F5: Redis has no room for anything more, and then has. */
import { percentile } from '../../bench/statistics.js';
import { Redis } from 'ioredis';
import { scaled } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { p99Beyond, timed } from '../support/quickness.js';
import { after, answer } from '../support/upstream-behaviours.js';

jest.setTimeout(180_000);

const SUBMISSIONS = scaled(100, 1_000);

let world: FaultWorld;
let redis: Redis;

beforeAll(async () => {
  world = await FaultWorld.start();
  redis = new Redis(world.redis.url);
});
afterAll(async () => {
  redis.disconnect();
  await world.stop();
});

async function submitTimes(api: Member, name: string): Promise<number[]> {
  const times: number[] = [];
  for (let number = 0; number < SUBMISSIONS; number++) {
    const [reply, tookMs] = await timed(() => world.trySubmit(api.api, `${name}-${number}`));
    expect(reply?.status).toBe(202);
    times.push(tookMs);
  }
  return times;
}

/** How often the store of the queue has refused something, as this process tells it. */
async function failuresOf(member: Member): Promise<number> {
  const { text } = await member.api.request('GET', '/metrics');
  return Number(/^baton_queue_failures_total (\d+)$/m.exec(text)?.[1]);
}

it('F5: full, it is as if it were away: jobs are accepted as quickly, and run when there is room', async () => {
  world.upstream.script('a', after(300, answer()));
  const [api, worker] = await world.addAll(1);
  if (!worker) throw new Error('There is no worker.');
  const usual = await submitTimes(api, 'usual');
  // The first write is refused while some of these run: locks are not renewed, ends are not told.
  await redis.config('SET', 'maxmemory', '1');
  const full = await submitTimes(api, 'full');
  const seen = [
    (await api.api.request('GET', '/readyz')).body['status'],
    (await worker.api.request('GET', '/readyz')).status,
  ];
  const failures = await Promise.all([api, worker].map(failuresOf));
  await redis.config('SET', 'maxmemory', '0');
  const backMs = Date.now();
  await world.allEnded(30_000);
  console.info(
    `of F5: ${SUBMISSIONS} accepted by a full Redis, ${percentile(full, 99).toFixed(0)} ms each (else ${percentile(usual, 99).toFixed(0)}), ` +
      `drained ${Date.now() - backMs} ms after there was room`,
  );
  expect(p99Beyond(full, usual, 20)).toBeLessThanOrEqual(100);
  await world.check();
  // An operator sees it without looking for it in a log.
  expect(seen).toEqual(['degraded', 503]);
  for (const count of failures) expect(count).toBeGreaterThan(0);
  expect((await api.api.request('GET', '/readyz')).body['status']).toBe('ok');
});
