/** F9: providers that send far too much, or nothing, to a worker that is a process of its own. */
import { spawnSync } from 'node:child_process';
import { inTheLongRun } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { leastOf } from '../support/rounds.js';
import { answer, gzipBomb, hang, huge, manyHeaders, reply } from '../support/upstream-behaviours.js';

jest.setTimeout(180_000);

const MEGABYTE = 2 ** 20;
const MOST_GROWTH = 50 * MEGABYTE;

let world: FaultWorld;
let api: Member;
let worker: Member;

beforeAll(async () => {
  world = await FaultWorld.start();
  [api, worker] = (await world.addAll(1)) as [Member, Member];
  world.upstream.script('huge', huge(300 * MEGABYTE));
  world.upstream.script('announced', huge(300 * MEGABYTE, true));
  world.upstream.script('bomb', gzipBomb(1_024));
  world.upstream.script('headers', manyHeaders(1_000));
  world.upstream.script('hang', hang());
  // A heap that has never worked grows for reasons of its own.
  await world.submitMany(() => [api], 200);
  await world.allEnded(30_000);
  for (const model of ['up/huge', 'up/bomb']) await api.api.run({ models: [model, 'up/good'] });
}, 120_000);
afterAll(() => world.stop());

function residentBytes(member: Member): number {
  const { stdout } = spawnSync('ps', ['-o', 'rss=', '-p', String(member.baton.pid)], { encoding: 'utf8' });
  return Number(stdout) * 1_024;
}

inTheLongRun.each([
  ['300 MB', 'huge'],
  ['300 MB, announced', 'announced'],
  ['a gzip bomb of 1 GB', 'bomb'],
  ['1,000 headers', 'headers'],
])('F9: what is far too much is not held in the memory of the worker: %s', async (_name, model) => {
  const before = residentBytes(worker);
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, residentBytes(worker))), 25);
  const job = await api.api.run({ models: [`up/${model}`, 'up/good'] });
  clearInterval(timer);
  expect(job.status).toBe('completed');
  // So many headers may be taken or not; what is sent in the body may not.
  if (model !== 'headers')
    expect(job.attempts[0]).toMatchObject({ outcome: 'failed', class: 'malformed', decision: 'next' });
  expect(peak - before).toBeLessThanOrEqual(MOST_GROWTH);
});

inTheLongRun('F9: a redirect to the address of a cloud’s metadata is not followed', async () => {
  const location = 'http://169.254.169.254/latest/meta-data/';
  world.upstream.script('redirect', reply(302, '', { location }));
  const job = await api.api.run({ models: ['up/redirect', 'up/good'] });
  expect(job).toMatchObject({ status: 'completed', served_by: 'up/good' });
  expect(job.attempts[0]).toMatchObject({ class: 'malformed', http_status: 302, sent: true });
});

inTheLongRun.each([
  ['-1', { 'x-ratelimit-remaining-requests': '-1', 'x-ratelimit-reset-requests': '-1' }],
  ['words', { 'x-ratelimit-remaining-tokens': 'many', 'x-ratelimit-reset-tokens': 'soon' }],
])('F9: an answer whose rate limit headers say %s is an answer', async (_name, headers) => {
  world.upstream.script('odd', (call, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    return answer()(call, response);
  });
  expect((await api.api.run({ model: 'up/odd' })).status).toBe('completed');
});

inTheLongRun('F9: a deadline is kept to within a second, whatever a provider does', async () => {
  const lateMs = await leastOf(1_000, async () => {
    const job = await api.api.run({ model: 'up/hang' }, { expires_in: 2 });
    expect(job.status).not.toBe('completed');
    const [row] = await world.query<{ late_ms: number }>(
      `select extract(epoch from finished_at - expires_at)::float * 1000 as late_ms from jobs
       where model = 'up/hang' order by id desc limit 1`,
    );
    return row?.late_ms ?? Infinity;
  });
  expect(lateMs).toBeLessThanOrEqual(1_000);
});
