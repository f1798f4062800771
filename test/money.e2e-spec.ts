/** What a job costs: every attempt that answered, at its own model's price; told whole or not at all. */
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import { answer, type Behaviour, fail, hang, reply } from './support/upstream-behaviours.js';

let upstream: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  const provider = (name: string) => ({ kind: 'openai', base_url: upstream.url, api_key: `key-of-${name}` });
  baton = await TestBaton.start({
    file: {
      providers: { a: provider('a'), b: provider('b') },
      models: {
        'a/cached': {
          input_usd_per_mtok: 2,
          cached_input_usd_per_mtok: 0.2,
          cache_write_usd_per_mtok: 2.5,
          output_usd_per_mtok: 10,
        },
        'a/fine': { input_usd_per_mtok: 0.07, output_usd_per_mtok: 0.07 },
        'b/finer': { input_usd_per_mtok: 0.005, output_usd_per_mtok: 0.005 },
      },
      policies: {
        strict: {
          steps: [{ model: 'a/unpriced' }, { model: 'a/fine' }, { model: 'b/finer' }],
          expect: { min_length: 20 },
        },
        priced: { steps: [{ model: 'a/fine' }, { model: 'b/finer' }], expect: { min_length: 20 } },
      },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

const costs = (job: JobReply) => job.attempts.map((attempt) => attempt['cost_usd']);
const micros = (usd: unknown) => Math.round(Number(usd) * 1e6);

/** A good answer with this usage. */
function answerWith(usage: object): Behaviour {
  const choices = [{ index: 0, message: { role: 'assistant', content: 'Hello.' }, finish_reason: 'stop' }];
  return reply(200, { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'm', choices, usage });
}

/** A refusal that says what it cost all the same. */
function failWith(usage: object): Behaviour {
  return reply(500, { error: { message: 'It broke in the middle.', type: 'server_error' }, usage });
}

describe('The cost of a job', () => {
  it('has cached input, cache writes and reasoning apart', async () => {
    const usage = {
      prompt_tokens: 1_000,
      completion_tokens: 100,
      total_tokens: 1_100,
      prompt_tokens_details: { cached_tokens: 500, cache_write_tokens: 200 },
      completion_tokens_details: { reasoning_tokens: 60 },
    };
    upstream.script('cached', answerWith(usage));
    const job = await baton.run({ model: 'a/cached' });
    const shown = {
      input_tokens: 1_000,
      output_tokens: 100,
      total_tokens: 1_100,
      input_tokens_details: { cached_tokens: 500, cache_write_tokens: 200 },
      output_tokens_details: { reasoning_tokens: 60 },
    };
    expect(job.usage).toEqual(shown);
    expect(job.attempts[0]?.['usage']).toEqual(shown);
    // 300 × 2 + 500 × 0.2 + 200 × 2.5 + 100 × 10 millionths.
    expect(job.cost_usd).toBe(0.0022);
  });

  it('is the sum of its attempts to the millionth, those that answered in vain with them', async () => {
    upstream.script('fine', answer('Too short.'));
    upstream.script('finer', answer('This one is long enough for it.'));
    const job = await baton.run({ model: 'policy/priced' });
    expect(job).toMatchObject({ status: 'completed', served_by: 'b/finer', attempt_count: 2 });
    const each = costs(job).map(micros);
    // 17 tokens at 0.07 and at 0.005 millionths, each rounded once.
    expect(each).toEqual([1, 0]);
    expect(micros(job.cost_usd)).toBe(1);
  });

  it('has an error that says what it cost', async () => {
    upstream.script('cached', failWith({ prompt_tokens: 100, completion_tokens: 1, total_tokens: 101 }));
    const job = await baton.run({ models: ['a/cached', 'a/fine'] });
    expect(job.status).toBe('completed');
    expect(costs(job).map(micros)).toEqual([210, 1]);
    expect(micros(job.cost_usd)).toBe(211);
  });

  it('is told of a job that failed too', async () => {
    upstream.script(
      'cached',
      failWith({ prompt_tokens: 100, completion_tokens: 1, total_tokens: 101 }),
      hang(),
    );
    const { id } = await baton.submit({ model: 'a/cached' });
    await baton.until(id, (job) => job.attempts[0]?.class === 'server_error');
    await baton.request('POST', `/v1/jobs/${id}/cancel`);
    expect(await baton.ended(id)).toMatchObject({ status: 'cancelled', cost_usd: 0.00021 });
  });

  it('is not known where one attempt that is paid for has no known price, rather than too low', async () => {
    upstream.script('unpriced', answer('Too short.'));
    upstream.script('fine', answer('This one is long enough for it.'));
    const job = await baton.run({ model: 'policy/strict' });
    expect(costs(job)).toEqual([null, 0.000001]);
    expect(job.cost_usd).toBeNull();
    expect(job.usage).toMatchObject({ total_tokens: 34 });
  });

  it('is not touched by an attempt that was refused, which cost nothing', async () => {
    upstream.script('unpriced', fail(429, 'Slow down.'));
    upstream.script('fine', answer());
    const job = await baton.run({ models: ['a/unpriced', 'a/fine'] });
    expect(costs(job)).toEqual([null, 0.000001]);
    expect(job.cost_usd).toBe(0.000001);
  });
});
