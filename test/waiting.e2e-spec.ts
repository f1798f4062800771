/** What a queue can do and a proxy can't: wait for a model, for as long as its job allows, without holding anything up. */
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import { after, answer, bearing, fail } from './support/upstream-behaviours.js';

let cheap: ScriptedUpstream;
let dear: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  cheap = await ScriptedUpstream.start();
  dear = await ScriptedUpstream.start();
  const chain = (model: string, patience_ms: number) => ({
    steps: [{ model, patience_ms }, { model: 'dear/m' }],
    max_attempts: 100,
  });
  baton = await TestBaton.start({
    env: { WORKER_CONCURRENCY: '4' },
    file: {
      providers: {
        cheap: { kind: 'openai', base_url: cheap.url, api_key: 'key-of-cheap' },
        dear: { kind: 'openai', base_url: dear.url },
      },
      models: {
        'cheap/two': { limits: { concurrency: 2 } },
        'cheap/alone': { limits: { concurrency: 1 } },
        'cheap/minute': { limits: { rpm: 60 } },
      },
      policies: {
        patient: chain('cheap/two', 60_000),
        impatient: chain('cheap/two', 0),
        'waits-a-little': chain('cheap/shut', 1_500),
        'waits-for-shut': chain('cheap/shut', 60_000),
        'waits-for-minute': chain('cheap/minute', 60_000),
      },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  await Promise.all([cheap.close(), dear.close()]);
});

const endAll = (jobs: readonly JobReply[]) => Promise.all(jobs.map(({ id }) => baton.ended(id, 60_000)));
const outcomes = (job: JobReply) => job.attempts.map((each) => each.class ?? each.outcome);

describe('A batch of patient jobs at a model with two places', () => {
  const JOBS = 30;

  it('finishes on it alone, while an impatient one moves on and another model is not held up', async () => {
    let letGo = () => {};
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const { behaviour, seen } = bearing(
      () => 2,
      async (upstreamCall, response) => {
        await held;
        await after(150, answer())(upstreamCall, response);
      },
    );
    cheap.script('two', behaviour);
    const patient = await Promise.all(
      Array.from({ length: JOBS }, () => baton.submit({ model: 'policy/patient' })),
    );
    // Two are called and held there; all others wait.
    for (const { id } of patient) {
      await baton.until(id, (job) => job.due_at !== null || job.status === 'in_progress');
    }

    const impatient = await baton.run({ model: 'policy/impatient' });
    expect(impatient.served_by).toBe('dear/m');
    expect(impatient.attempts[0]).toMatchObject({
      model: 'cheap/two',
      outcome: 'skipped',
      class: 'locally_limited',
      sent: false,
      decision: 'next',
    });
    const other = await baton.run({ model: 'dear/other' });
    const now = await Promise.all(patient.map(({ id }) => baton.job(id)));
    expect(other.status).toBe('completed');
    expect(now.filter((job) => job.finished_at === null).length).toBeGreaterThan(0);

    letGo();
    const ended = await endAll(patient);
    expect(new Set(ended.map((job) => job.served_by))).toEqual(new Set(['cheap/two']));
    expect(seen).toEqual({ peak: 2, refused: 0, served: JOBS });
    const waited = ended.filter((job) => outcomes(job).includes('locally_limited'));
    expect(waited.length).toBeGreaterThan(0);
    for (const { attempts } of waited)
      expect(attempts[0]).toMatchObject({ outcome: 'skipped', decision: 'wait' });
  });

  it('is woken as soon as there is room, not when the wait was over', async () => {
    cheap.script('alone', after(300, answer()));
    const ended = await endAll(
      await Promise.all(Array.from({ length: 8 }, () => baton.submit({ model: 'cheap/alone' }))),
    );
    const calls = cheap.calls('alone').map(({ atMs }) => atMs);
    const gaps = calls.slice(1).map((atMs, index) => atMs - (calls[index] ?? atMs));
    expect(ended.every((job) => job.status === 'completed')).toBe(true);
    // Each gap is one call of 300 ms and the waking; a wait that was only slept out would be a second or more.
    expect(gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)]).toBeLessThan(800);
    // Called for a place that is not there, they would come back hundreds of times.
    expect(Math.max(...ended.map((job) => job.attempt_count))).toBeLessThan(12);
  });
});

describe('A Retry-After', () => {
  const shutFor = (seconds: number) =>
    cheap.script('shut', fail(429, 'Slow down.', { 'retry-after': seconds }), answer());

  it('longer than the patience sends the job on at once', async () => {
    shutFor(30);
    const job = await baton.run({ model: 'policy/waits-a-little' });
    expect(outcomes(job)).toEqual(['rate_limited', 'succeeded']);
    expect(job).toMatchObject({ served_by: 'dear/m' });
    expect(job.attempts[0]).toMatchObject({ decision: 'next', retry_after_ms: 30_000 });
  });

  it('has the model left alone by the next job too, which says until when', async () => {
    const job = await baton.run({ model: 'policy/waits-a-little' });
    expect(outcomes(job)).toEqual(['circuit_open', 'succeeded']);
    expect(job.attempts[0]).toMatchObject({ outcome: 'skipped', sent: false, http_status: null });
    expect(job.attempts[0]?.retry_after_ms).toBeGreaterThan(1_500);
    expect(cheap.calls('shut')).toHaveLength(1);
  });

  it('is waited out by who has the patience', async () => {
    await baton.request('POST', '/v1/providers/cheap/circuits', { model: 'cheap/shut', state: 'auto' });
    shutFor(1);
    const job = await baton.run({ model: 'policy/waits-for-shut' });
    expect(job.served_by).toBe('cheap/shut');
    expect(job.attempts[0]).toMatchObject({ class: 'rate_limited', decision: 'wait' });
  });
});

describe('A chain whose models are all left alone', () => {
  const set = (provider: string, model: string, state: string) =>
    baton.request('POST', `/v1/providers/${provider}/circuits`, { model, state });

  it('is waited for at the model that may be called first, and has not fallen back by being looked at', async () => {
    await set('cheap', 'cheap/left', 'open');
    await set('dear', 'dear/left', 'open');
    const { id } = await baton.submit({ models: ['cheap/left', 'dear/left'] });
    await baton.until(id, (job) => job.due_at !== null);
    await set('cheap', 'cheap/left', 'auto');
    // The wait that was only slept out would be a minute.
    const job = await baton.ended(id, 20_000);
    expect(outcomes(job)).toEqual(['circuit_open', 'circuit_open', 'succeeded']);
    expect(job).toMatchObject({ served_by: 'cheap/left', fell_back: false });
  });
});

describe('A limit of requests per minute', () => {
  it('spreads the jobs over time, and refuses none', async () => {
    const jobs = await Promise.all(
      Array.from({ length: 14 }, () => baton.submit({ model: 'policy/waits-for-minute' })),
    );
    const ended = await endAll(jobs);
    expect(new Set(ended.map((job) => job.served_by))).toEqual(new Set(['cheap/minute']));
    const calls = cheap.calls('minute').map(({ atMs }) => atMs);
    // Ten seconds' worth may go at once; the others come one a second.
    expect((calls.at(-1) ?? 0) - (calls[0] ?? 0)).toBeGreaterThan(2_500);
  });
});
