/** F6: PostgreSQL is killed, or stopped at once, under load, and comes back. */
import { setTimeout as delay } from 'node:timers/promises';
import { isLong, scaled } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { until } from '../support/until.js';
import { after, answer } from '../support/upstream-behaviours.js';

const CYCLES = scaled(1, 20);
jest.setTimeout(120_000 + CYCLES * 60_000);

let world: FaultWorld;
let api: Member;

beforeAll(async () => {
  world = await FaultWorld.start();
  world.upstream.script('a', after(800, answer()));
  [api] = await world.addAll(1);
});
afterAll(() => world.stop());

it.each(isLong ? (['SIGKILL', 'SIGQUIT'] as const) : (['SIGKILL'] as const))(
  'F6: ended with %s, PostgreSQL has all that was accepted, nothing is accepted meanwhile, and no answer is paid for twice',
  async (signal) => {
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      await world.submitMany(() => [api], 40);
      await until('some calls run', () => world.upstream.openCalls('a') > 5);
      await world.endPostgres(signal);
      for (let number = 0; number < 10; number++) {
        const reply = await world.trySubmit(api.api, `${signal}-${cycle}-${number}`);
        expect(reply?.status).toBe(503);
        expect(Number(reply?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      }
      expect((await api.api.request('GET', '/readyz')).status).toBe(503);
      // The answers to all calls that ran come in while there is nowhere to write them.
      await until('the calls are answered', () => world.upstream.openCalls('a') === 0);
      await delay(scaled(500, 5_000));
      await world.startPostgres();
      const id = await world.submit(() => [api]);
      await api.api.ended(id, 60_000);
    }
    await world.allEnded(60_000);
    const figures = await world.check();
    // Nobody died but the database: what was answered is kept, and nothing is called a second time.
    expect(figures.calls).toBe(figures.completed);
    console.info(`of F6 ${signal}: ${CYCLES} cycles, ${JSON.stringify(figures)}`);
  },
);
