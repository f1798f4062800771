/** F18: jobs are cancelled at the very moment at which they end, and deleted at that at which their end is told. */
import { setTimeout as delay } from 'node:timers/promises';
import { draw, scaled, seed } from '../support/fault-scale.js';
import { toUuid } from '../../src/storage/ids.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { after, answer } from '../support/upstream-behaviours.js';

const JOBS = scaled(120, 3_000);
const LANES = 10;
jest.setTimeout(240_000);

let world: FaultWorld;

beforeAll(async () => {
  world = await FaultWorld.start();
});
afterAll(() => world.stop());

it(`F18: of a cancellation and an end one wins, and everybody is told the same (FAULTS_SEED=${seed})`, async () => {
  world.upstream.script('a', (call, response) => after(draw() * 120, answer())(call, response));
  const [api] = await world.addAll(2);
  // Comes to where as many are cancelled as are not, on any machine.
  let latestMs = 150;
  let left = JOBS;
  const said = new Map<string, string>();
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const id = await world.submit(() => [api]);
      await delay(draw() * latestMs);
      const replies = await Promise.all([1, 2].map(() => api.api.request('POST', `/v1/jobs/${id}/cancel`)));
      for (const reply of replies) {
        expect([200, 409]).toContain(reply.status);
        latestMs *= reply.body['status'] === 'cancelled' ? 1.03 : 0.97;
        if (reply.status === 200) said.set(id, String(reply.body['status']));
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await world.allEnded(30_000);
  const figures = await world.check({ mostExtraCalls: JOBS });
  const jobs = await Promise.all(world.accepted.map((id) => api.api.job(id)));
  for (const job of jobs) {
    expect(['completed', 'cancelled']).toContain(job.status);
    const told = said.get(job.id);
    if (told !== undefined) expect([job.id, told]).toEqual([job.id, job.status]);
    expect(job.response === null).toBe(job.status === 'cancelled');
  }
  const counts = [figures.completed, JOBS - figures.completed];
  console.info(`of F18: ${counts[0]} ended by themselves, ${counts[1]} were cancelled`);
  // Else nothing raced.
  for (const count of counts) expect(count).toBeGreaterThan(JOBS / 20);
});

it(`F18: a job that is deleted while its end is told is gone whole, and the teller goes on (FAULTS_SEED=${seed})`, async () => {
  const [api] = world.members as [Member];
  world.receiver.script('/deleted', { status: 200, delayMs: 20 });
  const envelope = { webhook_url: world.receiver.url('/deleted') };
  let left = JOBS;
  const deleted: string[] = [];
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const id = await world.submit(() => [api], envelope);
      let status = 409;
      while (status === 409) {
        await delay(draw() * 40);
        status = (await api.api.request('DELETE', `/v1/jobs/${id}`)).status;
      }
      expect(status).toBe(200);
      deleted.push(id);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  // It goes on: one more is told of.
  await world.submit(() => [api], { webhook_url: world.receiver.url('/steady') });
  await world.receiver.waitFor('/steady', 1);
  await world.allEnded(30_000);
  const told = world.receiver
    .received('/deleted')
    .map(({ body }) => (JSON.parse(body.toString()) as { data: { id: string } }).data.id);
  console.info(`of F18: ${deleted.length} deleted, ${told.length} of them told`);
  // Each was told once at most, and nothing else was.
  expect(new Set(told).size).toBe(told.length);
  expect(deleted).toEqual(expect.arrayContaining(told));
  const gone = deleted.map((id) => `'${toUuid('job', id)}'`).join();
  for (const table of ['webhook_events', 'webhook_deliveries', 'attempts', 'job_requests', 'job_responses'])
    expect(await world.query(`select job_id from ${table} where job_id in (${gone})`)).toEqual([]);
});
