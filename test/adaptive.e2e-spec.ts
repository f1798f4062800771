/** A provider that bears only so many calls at once, and tells nobody how many: found out by itself, also when it changes. */
import { setTimeout as delay } from 'node:timers/promises';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { TestBaton } from './support/test-baton.js';
import { after, answer, bearing } from './support/upstream-behaviours.js';

const JOBS = 400;
const CALL_MS = 150;

let upstream: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    env: { WORKER_CONCURRENCY: '16' },
    file: { providers: { up: { base_url: upstream.url } } },
  });
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

it('is kept busy by a crowd of jobs with few calls refused, before and after its limit falls', async () => {
  let limit = 12;
  const { behaviour, seen } = bearing(() => limit, after(CALL_MS, answer()));
  upstream.script('m', (call, response) => {
    if (seen.served >= JOBS / 2) limit = 6;
    return behaviour(call, response);
  });
  const began = performance.now();
  const jobs = await Promise.all(Array.from({ length: JOBS }, () => baton.submit({ model: 'up/m' })));
  // Looking at each job all the time would take from the machine what the jobs need.
  while (seen.served < JOBS && performance.now() - began < 120_000) await delay(50);
  const tookMs = performance.now() - began;
  const ended = [];
  for (const { id } of jobs) ended.push(await baton.ended(id));

  expect(ended.filter((job) => job.status !== 'completed')).toEqual([]);
  expect(seen.served).toBe(JOBS);
  const leastMs = ((JOBS / 2) * CALL_MS) / 12 + ((JOBS / 2) * CALL_MS) / 6;
  console.log(
    `refused ${seen.refused} of ${JOBS + seen.refused} calls; took ${Math.round(tookMs)} ms, at least ${leastMs} ms`,
  );
  // A crowd that knew nothing would be refused about as often as it is served.
  expect(seen.refused / (JOBS + seen.refused)).toBeLessThan(0.06);
}, 180_000);
