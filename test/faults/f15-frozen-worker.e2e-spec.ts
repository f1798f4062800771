/** F15: a worker stands still for longer than its lease, and goes on as if nothing had been. */
import { setTimeout as delay } from 'node:timers/promises';
import { inTheLongRun } from '../support/fault-scale.js';
import { FaultWorld } from '../support/fault-world.js';
import { until } from '../support/until.js';
import { after, answer } from '../support/upstream-behaviours.js';

const FROZEN_MS = 60_000;
jest.setTimeout(120_000 + FROZEN_MS);

let world: FaultWorld;

beforeAll(async () => {
  world = await FaultWorld.start();
});
afterAll(() => world.stop());

inTheLongRun(
  'F15: what a frozen worker brings in late is kept on its attempt alone, and the job ends once',
  async () => {
    let answerAll = () => {};
    const isFrozen = new Promise<void>((resolve) => (answerAll = resolve));
    world.upstream.script('a', async (call, response) => {
      await isFrozen;
      await after(2_000, answer())(call, response);
    });
    const [api, worker] = await world.addAll(1);
    if (!worker) throw new Error('There is no worker.');
    const ids = await world.submitMany(() => [api], 10);
    await until('all run', () => world.upstream.openCalls('a') === 10);
    worker.baton.signal('SIGSTOP');
    answerAll();
    const other = await world.add('worker');
    await until('the other has all of them', () => world.upstream.calls('a').length === 20, FROZEN_MS);
    await world.allEnded(20_000);
    const ends = await world.query('select id, finished_at from jobs order by id');
    await delay(Math.max(0, FROZEN_MS - 15_000));
    worker.baton.signal('SIGCONT');
    await until(
      'the late answers are written down',
      async () =>
        (await world.query(`select 1 from attempts where outcome = 'superseded'`)).length === ids.length,
    );
    const figures = await world.check({ mostExtraCalls: 10 });
    expect(figures).toMatchObject({ superseded: 10, completed: 10, events: 10 });
    expect(await world.query('select id, finished_at from jobs order by id')).toEqual(ends);
    // It is not the worse for it.
    await other.baton.kill9();
    expect((await api.api.run({ model: 'up/a' })).status).toBe('completed');
  },
);
