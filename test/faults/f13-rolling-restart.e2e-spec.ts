/** F13: all processes are replaced under load, one after the other, as an upgrade does it. */
import { setTimeout as delay } from 'node:timers/promises';
import { draw, isLong, scaled } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { until } from '../support/until.js';
import { timed } from '../support/quickness.js';
import { after, answer, hang } from '../support/upstream-behaviours.js';

const ROUNDS = scaled(1, 20);
jest.setTimeout(120_000 + ROUNDS * 30_000);

let world: FaultWorld;

beforeAll(async () => {
  world = await FaultWorld.start();
});
afterAll(() => world.stop());

it('F13: a rolling restart of all roles under load loses nothing, doubles nothing, and ends each process with 0', async () => {
  world.upstream.script('a', (call, response) => after(100 + draw() * 900, answer())(call, response));
  const first = await world.add('api');
  const running: { role: string; member: Member }[] = [{ role: 'api', member: first }];
  for (const role of isLong ? ['api', 'worker', 'worker'] : ['worker'])
    running.push({ role, member: await world.add(role) });
  const apis = () => running.filter(({ role }) => role === 'api').map(({ member }) => member);
  let isOver = false;
  const submitting = Promise.all(
    Array.from({ length: 3 }, async () => {
      while (!isOver) {
        await world.submit(apis);
        await delay(400);
      }
    }),
  );
  for (let round = 0; round < ROUNDS; round++) {
    for (const place of running) {
      const old = place.member;
      place.member = await world.add(place.role);
      expect(await old.baton.term()).toBe(0);
    }
  }
  isOver = true;
  await submitting;
  await world.allEnded(30_000);
  const figures = await world.check();
  expect(figures).toMatchObject({
    interrupted: 0,
    superseded: 0,
    calls: figures.accepted,
    completed: figures.accepted,
  });
  console.info(`of F13: ${ROUNDS} rounds, ${JSON.stringify(figures)}`);
});

it('F13: a second signal ends a process at once, and what it ran is run by another', async () => {
  const one = await world.add('api,worker');
  world.upstream.script('held', hang(), answer());
  const id = await world.submit(() => [one], {
    request: { model: 'up/held', messages: [{ role: 'user', content: 'x' }] },
  });
  await until('it is called', () => world.upstream.openCalls('held') === 1);
  const [{ worker }] = (await world.query<{ worker: string }>(
    `select worker from attempts where model = 'up/held'`,
  )) as [{ worker: string }];
  const holder = world.members.find(({ baton }) => worker.endsWith(`:${baton.pid}`));
  if (!holder) throw new Error('Nobody has it.');
  holder.baton.signal('SIGTERM');
  await delay(300);
  const [, tookMs] = await timed(async () => {
    holder.baton.signal('SIGTERM');
    await holder.baton.exited;
  });
  expect(tookMs).toBeLessThan(2_000);
  const [there] = world.members.filter(({ baton }) => baton.isRunning && baton !== holder.baton);
  expect((await there?.api.ended(id, 30_000))?.status).toBe('completed');
  await world.allEnded(30_000);
  await world.check({ mostExtraCalls: 1 });
});
