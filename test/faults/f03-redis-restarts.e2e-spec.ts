/** F3: Redis is killed or stopped under load and comes back, with all that it held or with nothing. */
import { percentile } from '../../bench/statistics.js';
import { setTimeout as delay } from 'node:timers/promises';
import { newFolder } from '../support/baton-process.js';
import { isLong, scaled } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { until } from '../support/until.js';
import { p99Beyond, timed } from '../support/quickness.js';
import { after, answer } from '../support/upstream-behaviours.js';

const SUBMISSIONS = scaled(100, 1_000);
jest.setTimeout(240_000);

let world: FaultWorld;
let api: Member;
let worker: Member;
/** How long a submission takes when nothing is broken. */
let usual: number[] | undefined;
/** Where Redis keeps what it holds, if it does. */
let directory: string;

beforeAll(async () => {
  directory = await newFolder();
  world = await FaultWorld.start({ redis: { directory } });
  world.upstream.script('a', after(100, answer()));
  [api, worker] = (await world.addAll(1)) as [Member, Member];
  await world.submitMany(() => [api], 50);
});
afterAll(() => world.stop());

/** How long each of some submissions took, one after the other; each must be accepted at the first try. */
async function submitTimes(name: string): Promise<number[]> {
  const times: number[] = [];
  for (let number = 0; number < SUBMISSIONS; number++) {
    const [reply, tookMs] = await timed(() => world.trySubmit(api.api, `${name}-${number}`));
    expect(reply?.status).toBe(202);
    times.push(tookMs);
  }
  return times;
}

async function readiness(member: Member): Promise<[number, unknown]> {
  const { status, body } = await member.api.request('GET', '/readyz');
  return [status, body['status']];
}

const WAYS = (
  [
    ['killed', false],
    ['stopped', true],
    ['killed', true],
    ['stopped', false],
  ] as const
).slice(0, isLong ? 4 : 2);

it.each(WAYS)(
  'F3: %s while jobs come in, with its file (%s), Redis is missed by nobody',
  async (way, appendonly) => {
    const name = `${way}-${appendonly}`;
    await world.redis.kill();
    await world.startRedis({ directory: appendonly ? directory : await newFolder(), appendonly });
    await until('the worker hears Redis', async () => (await readiness(worker))[0] === 200);
    usual ??= await submitTimes('usual');

    await (way === 'killed' ? world.redis.kill() : world.redis.stop());
    const missed = await submitTimes(name);
    expect(await readiness(api)).toEqual([200, 'degraded']);
    expect(await readiness(worker)).toEqual([503, 'unavailable']);
    await delay(1_000);
    await world.startRedis({ directory: appendonly ? directory : await newFolder(), appendonly });
    const backMs = Date.now();
    await world.allEnded(30_000);

    console.info(
      `of F3 ${name}: ${SUBMISSIONS} accepted without Redis, ${percentile(missed, 99).toFixed(0)} ms each ` +
        `(with it ${percentile(usual, 99).toFixed(0)}), drained ${Date.now() - backMs} ms after its return`,
    );
    expect(p99Beyond(missed, usual, 20)).toBeLessThanOrEqual(100);
    await until('the worker hears Redis', async () => (await readiness(worker))[0] === 200);
    expect(await readiness(api)).toEqual([200, 'ok']);
    await world.check();
  },
);
