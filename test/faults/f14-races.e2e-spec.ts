/** F14: many workers hear of the same job at once, each many times. */
import { Queue } from 'bullmq';
import { toUuid } from '../../src/storage/ids.js';
import { scaled } from '../support/fault-scale.js';
import { FaultWorld } from '../support/fault-world.js';
import { after, answer } from '../support/upstream-behaviours.js';

const WORKERS = scaled(2, 20);
const JOBS = 10;
const MESSAGES = 100;
jest.setTimeout(240_000);

let world: FaultWorld;

beforeAll(async () => {
  world = await FaultWorld.start();
});
afterAll(() => world.stop());

it(`F14: ${WORKERS} workers that hear ${MESSAGES} times of each job run it once`, async () => {
  world.upstream.script('a', after(500, answer()));
  const [api] = await world.addAll(WORKERS);
  const [installation] = await world.query<{ id: string }>('select id from installation');
  const prefix = `{baton-${installation?.id.slice(0, 8)}}`;
  const queue = new Queue('run-job', { prefix, connection: { url: world.redis.url } });
  const ids = await world.submitMany(() => [api], JOBS);
  const messages = ids.flatMap((id) =>
    Array.from({ length: MESSAGES }, (_, number) => ({
      name: 'run-job',
      data: { id: toUuid('job', id) },
      opts: { jobId: `${id}-again-${number}` },
    })),
  );
  await queue.addBulk(messages);
  await world.allEnded(60_000);
  // Those that come after the end find nothing either.
  await queue.addBulk(messages.map((each) => ({ ...each, opts: { jobId: `${each.opts.jobId}-late` } })));
  while ((await queue.getJobCountByTypes('waiting', 'active', 'prioritized')) > 0)
    await new Promise((next) => setTimeout(next, 50));
  await queue.close();
  const figures = await world.check();
  expect(figures).toMatchObject({ calls: JOBS, completed: JOBS, interrupted: 0, superseded: 0 });
});
