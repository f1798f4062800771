/** How a policy picks the model that is called first, seen at the models; the others always stay as fallbacks. */
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import { after, answer, fail } from './support/upstream-behaviours.js';

let upstream: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  const priced = (usd: number, more: object = {}) => ({
    input_usd_per_mtok: usd,
    output_usd_per_mtok: usd,
    ...more,
  });
  baton = await TestBaton.start({
    file: {
      providers: { up: { kind: 'openai', base_url: upstream.url } },
      models: {
        'up/dear': priced(10),
        'up/cheap': priced(1),
        'up/cheapest-but-small': priced(0.1, { context_window: 100, modalities: ['text'] }),
        'up/text-only': priced(0.1, { modalities: ['text'] }),
      },
      policies: {
        split: {
          strategy: 'weighted',
          steps: [
            { model: 'up/most', weight: 90 },
            { model: 'up/some', weight: 30 },
            { model: 'up/never', weight: 0 },
          ],
        },
        'by-price': {
          strategy: 'cost',
          steps: [
            { model: 'up/unpriced' },
            { model: 'up/dear' },
            { model: 'up/cheap' },
            { model: 'up/cheapest-but-small' },
            { model: 'up/text-only' },
          ],
        },
        'by-speed': { strategy: 'latency', steps: [{ model: 'up/slow' }, { model: 'up/fast' }] },
        nested: {
          steps: [{ model: 'policy/broken-pair' }, { model: 'policy/by-price' }],
        },
        'broken-pair': {
          strategy: 'weighted',
          steps: [{ model: 'up/broken-1' }, { model: 'up/broken-2' }],
        },
      },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

const times = <T>(count: number, one: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => one(index)));
const servedBy = (jobs: readonly JobReply[], model: string) =>
  jobs.filter((job) => job.served_by === model).length;

describe('weighted', () => {
  it('splits jobs by their weights, and never picks a weight of 0', async () => {
    const jobs = await times(120, () => baton.run({ model: 'policy/split' }));
    expect(servedBy(jobs, 'up/most') + servedBy(jobs, 'up/some')).toBe(120);
    // 90 are expected, and 25 are more than five standard deviations.
    expect(Math.abs(servedBy(jobs, 'up/most') - 90)).toBeLessThan(25);
    expect(jobs[0]?.['order_reason']).toMatch(/^weighted: /);
  });

  it('keeps each user with one model', async () => {
    const run = (user_id: string) => baton.run({ model: 'policy/split' }, { metadata: { user_id } });
    const users = await times(12, (user) => times(4, () => run(`user-${user}`)));
    for (const jobs of users) expect(new Set(jobs.map((job) => job.served_by)).size).toBe(1);
    expect(new Set(users.map(([job]) => job?.served_by)).size).toBe(2);
  });

  it('falls back on the others, also on one that is never picked', async () => {
    for (const model of ['most', 'some']) upstream.script(model, fail(500));
    const job = await baton.run({ model: 'policy/split' });
    for (const model of ['most', 'some']) upstream.script(model, answer());
    expect(job).toMatchObject({
      status: 'completed',
      served_by: 'up/never',
      attempt_count: 3,
      fell_back: true,
    });
  });
});

describe('cost', () => {
  const picture = [{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }];

  it('takes the cheapest model that can take the request', async () => {
    const messages = [{ role: 'user', content: picture }];
    const job = await baton.run({ model: 'policy/by-price', messages });
    // The two that are cheaper read no pictures.
    expect(job.served_by).toBe('up/cheap');
    expect(job.attempts.map((each) => each.model)).toEqual(['up/cheap']);
  });

  it('goes on in the order of prices, those without one last', async () => {
    for (const model of ['text-only', 'cheapest-but-small', 'cheap', 'dear'])
      upstream.script(model, fail(500));
    const job = await baton.run({
      model: 'policy/by-price',
      messages: [{ role: 'user', content: 'Hi' }],
      max_tokens: 10,
    });
    for (const model of ['text-only', 'cheapest-but-small', 'cheap', 'dear'])
      upstream.script(model, answer());
    expect(job.attempts.map((each) => each.model).slice(2)).toEqual(['up/cheap', 'up/dear', 'up/unpriced']);
    expect(job.served_by).toBe('up/unpriced');
  });
});

describe('latency', () => {
  it('learns which model is faster and goes there first', async () => {
    // So much slower that a moment of a busy machine does not change who is faster.
    upstream.script('slow', after(1_500, answer()));
    upstream.script('fast', answer());
    // Until the fast one is looked at, by one job in five, each waits for the slow one: ten go side by side.
    const learned = new Set();
    for (let round = 0; round < 10 && learned.size < 2; round++) {
      const served = await times(10, () => baton.run({ model: 'policy/by-speed' }));
      for (const job of served) learned.add(job.served_by);
    }
    expect(learned.size).toBe(2);
    const jobs = await times(40, () => baton.run({ model: 'policy/by-speed' }));
    // One in twenty looks how fast the other is: two are expected, and thirteen come once in twenty million runs.
    expect(servedBy(jobs, 'up/fast')).toBeGreaterThanOrEqual(28);
  });
});

describe('nested policies', () => {
  it('are laid out where they stand, each in its own order', async () => {
    for (const model of ['broken-1', 'broken-2']) upstream.script(model, fail(503));
    const job = await baton.run({ model: 'policy/nested', max_tokens: 10 });
    expect(
      job.attempts
        .slice(0, 2)
        .map((each) => each.model)
        .toSorted(),
    ).toEqual(['up/broken-1', 'up/broken-2']);
    expect(job.served_by).toBe('up/cheapest-but-small');
    expect(job['order_reason']).toMatch(/weighted.*cost|cost.*weighted/);
  });

  it('walks on the same way after it was taken up again', async () => {
    upstream.script('broken-1', fail(429, 'Later.', { 'retry-after': 3 }));
    upstream.script('broken-2', fail(429, 'Later.', { 'retry-after': 3 }));
    const { id } = await baton.submit({ model: 'policy/broken-pair' });
    const waiting = await baton.until(id, (job) => job.due_at !== null);
    for (const model of ['broken-1', 'broken-2']) upstream.script(model, answer());
    const job = await baton.ended(id);
    expect(job.status).toBe('completed');
    expect(job['order_reason']).toBe(waiting['order_reason']);
    const modelAt = new Map(job.attempts.map((each) => [each.step, each.model]));
    for (const attempt of job.attempts) expect(attempt.model).toBe(modelAt.get(attempt.step));
  });
});
