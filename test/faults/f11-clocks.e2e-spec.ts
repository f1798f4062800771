/** F11: the clocks of the processes are wrong by an hour, each in its own way, and jump while they run. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inTheLongRun } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { until } from '../support/until.js';
import { after, answer } from '../support/upstream-behaviours.js';

jest.setTimeout(180_000);

const HOUR_MS = 3_600_000;
const PRELOAD = join(__dirname, '../support/shifted-clock.cjs');

let world: FaultWorld;

beforeAll(async () => {
  world = await FaultWorld.start();
});
afterAll(() => world.stop());

function shifted(shiftMs: number): Record<string, string> {
  return { NODE_OPTIONS: `--require ${PRELOAD}`, CLOCK_SHIFT_MS: String(shiftMs) };
}

inTheLongRun(
  'F11: clocks that are wrong by an hour and jump by two change no lease, no deadline and no order',
  async () => {
    world.upstream.script('a', after(700, answer()));
    const api = await world.add('api', shifted(HOUR_MS));
    const [ahead, behind] = (await Promise.all([
      world.add('worker', shifted(HOUR_MS)),
      world.add('worker', shifted(-HOUR_MS)),
    ])) as [Member, Member];
    const startMs = Date.now();
    // A deadline that is closer than the clocks are wrong.
    const envelope = { expires_in: 60 };
    await world.submitMany(() => [api], 60, { envelope, pauseMs: 50 });
    for (const { baton } of [api, ahead, behind]) baton.signal('SIGUSR2');
    await delay(200);
    await world.submitMany(() => [api], 60, { envelope, pauseMs: 50 });
    await world.allEnded(45_000);
    const figures = await world.check();
    expect(figures).toMatchObject({ completed: 120, calls: 120 });

    const both = await world.query<{ pid: string }>(
      `select distinct split_part(worker, ':', 2) as pid from attempts`,
    );
    expect(new Set(both.map(({ pid }) => Number(pid)))).toEqual(new Set([ahead.baton.pid, behind.baton.pid]));
    const [times] = await world.query<{ first: number; last: number }>(
      `select extract(epoch from min(created_at))::float * 1000 as first, extract(epoch from max(finished_at))::float * 1000 as last
     from jobs`,
    );
    // All times that users see are the database's.
    expect(times?.first).toBeGreaterThan(startMs - 1_000);
    expect(times?.last).toBeLessThan(Date.now() + 1_000);
  },
);

inTheLongRun(
  'F11: a worker whose clock is not the database’s says so, since receivers go by the time in a signature',
  async () => {
    for (const { baton } of world.members) await baton.term();
    const [api, right] = (await world.addAll(1)) as [Member, Member];
    await world.submit(() => [api]);
    await world.allEnded(20_000);
    expect(right.baton.stderr).not.toMatch(/clock/i);
    await right.baton.term();
    const wrong = await world.add('worker', shifted(HOUR_MS));
    await world.submit(() => [api]);
    await until('it says so', () => /3600 s ahead of the database/.test(wrong.baton.stderr));
  },
);
