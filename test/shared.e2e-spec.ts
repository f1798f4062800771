/** What two processes of one Baton share about providers: all of it over Redis; without Redis each keeps its own. */
import { leastOf } from './support/rounds.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { TestBaton } from './support/test-baton.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';
import { after, answer, bearing, fail } from './support/upstream-behaviours.js';

declare const QUEUE_BACKEND: 'redis' | 'postgres';
const IS_SHARED = QUEUE_BACKEND === 'redis';

let upstream: ScriptedUpstream;
let database: TestDatabase;
let one: TestBaton;
let two: TestBaton;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  database = await createTestDatabase();
  const file = {
    providers: { up: { base_url: upstream.url, api_key: 'key-of-up' } },
    models: { 'up/two': { limits: { concurrency: 2 } } },
  };
  const options = { database, file, env: { WORKER_CONCURRENCY: '8' } };
  one = await TestBaton.start(options);
  two = await TestBaton.start(options);
});

afterAll(async () => {
  await one.stop();
  await two.stop();
  await database.drop();
  await upstream.close();
});

it('a limit of calls at once holds over both processes, or for each', async () => {
  // Each counts for itself for a second where Redis does not answer in 250 ms, as on a machine that stands still for a moment.
  const most = IS_SHARED ? 2 : 4;
  const peak = await leastOf(most + 1, async () => {
    const { behaviour, seen } = bearing(() => 100, after(100, answer()));
    upstream.script('two', behaviour);
    const jobs = await Promise.all(Array.from({ length: 24 }, () => one.submit({ model: 'up/two' })));
    const ended = await Promise.all(jobs.map(({ id }) => two.ended(id, 60_000)));
    expect(ended.every((job) => job.served_by === 'up/two')).toBe(true);
    expect(seen).toMatchObject({ served: 24, refused: 0 });
    return seen.peak;
  });
  expect(peak).toBeLessThanOrEqual(most);
}, 90_000);

interface CircuitReply {
  state: string;
  reason: string | null;
  until_at: number | null;
}

/** The state of the model's circuit as a process shows it, once it is that, or after five seconds. */
async function circuitOf(baton: TestBaton, model: string, wanted: string): Promise<CircuitReply | undefined> {
  const endMs = Date.now() + 5_000;
  for (;;) {
    const { body } = await baton.request('GET', '/v1/providers/up');
    const [key] = body['keys'] as { circuits: (CircuitReply & { model: string })[] }[];
    const circuit = key?.circuits.find((each) => each.model === model);
    if (circuit?.state === wanted || Date.now() > endMs) return circuit;
  }
}

it('a circuit that one process opens is open in both, and an operator closes it for both', async () => {
  upstream.script('shut', fail(429, 'Not now.', { 'retry-after': 120 }), answer());
  await one.run({ models: ['up/shut', 'up/other'] });
  const sawIt = [await circuitOf(one, 'up/shut', 'open'), await circuitOf(two, 'up/shut', 'open')];
  const open = sawIt.filter((circuit) => circuit?.state === 'open');
  expect(open).toHaveLength(IS_SHARED ? 2 : 1);
  for (const circuit of open) {
    expect(circuit?.reason).toMatch(/rate_limited/);
    expect(circuit?.until_at).toBeGreaterThan(Date.now() / 1_000 + 60);
  }

  for (const baton of [one, two]) {
    const set = { model: 'up/shut', state: 'auto' };
    expect((await baton.request('POST', '/v1/providers/up/circuits', set)).status).toBe(200);
  }
  expect((await circuitOf(two, 'up/shut', 'closed'))?.state).toBe('closed');
  const job = await two.run({ model: 'up/shut' });
  expect(job).toMatchObject({ status: 'completed', served_by: 'up/shut', attempt_count: 1 });
});
