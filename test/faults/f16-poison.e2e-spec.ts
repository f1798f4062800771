/**
 * F16: a job that kills each worker that takes it. Baton has no such job by design, so the upstream plays it: when it is called for
 * the job, the worker that called is killed.
 */
import { inTheLongRun } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { until } from '../support/until.js';
import { after, answer, hang } from '../support/upstream-behaviours.js';

jest.setTimeout(240_000);

let world: FaultWorld;

beforeAll(async () => {
  world = await FaultWorld.start();
});
afterAll(() => world.stop());

inTheLongRun(
  'F16: it is started three times, then it has failed with worker_crash_loop, and the others are run',
  async () => {
    world.upstream.script('a', after(100, answer()));
    world.upstream.script('poison', hang());
    const [api, ...first] = await world.addAll(2);
    const workers: Member[] = first;
    const request = { model: 'up/poison', messages: [{ role: 'user', content: 'x' }] };
    const poison = await world.submit(() => [api], { request });
    for (let start = 1; start <= 3; start++) {
      await until(
        `it is started ${start} times`,
        () => world.upstream.calls('poison').length === start,
        30_000,
      );
      const [row] = await world.query<{ worker: string }>(
        `select worker from attempts where model = 'up/poison' and outcome is null`,
      );
      const index = workers.findIndex(({ baton }) => row?.worker.endsWith(`:${baton.pid}`));
      const victim = workers[index];
      if (!victim) throw new Error(`No worker of ours has it: ${row?.worker}`);
      workers[index] = await world.replace(victim, 'worker');
      await world.submitMany(() => [api], 20);
    }
    const job = await api.api.ended(poison, 30_000);
    expect(job).toMatchObject({ status: 'failed', error: { code: 'worker_crash_loop' }, attempt_count: 3 });
    await world.allEnded(30_000);
    const figures = await world.check({ mostExtraCalls: 3 + 3 * 20 });
    expect(world.upstream.calls('poison')).toHaveLength(3);
    expect(figures.completed).toBe(60);
  },
);
