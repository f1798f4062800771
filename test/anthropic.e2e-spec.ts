/** Anthropic behind the front door: OpenAI's bodies in, its Messages API on the wire, OpenAI's answers out. */
import { at } from '../src/providers/json.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import { reply } from './support/upstream-behaviours.js';

let anthropic: ScriptedUpstream;
let other: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  anthropic = await ScriptedUpstream.start();
  other = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    file: {
      providers: {
        // Each its own, so that a key that is refused in one test does not rest in the next.
        ...Object.fromEntries(
          ['a', 'b', 'c', 'd'].map((name) => [
            name,
            { kind: 'anthropic', base_url: anthropic.url, api_key: `key-of-${name}` },
          ]),
        ),
        other: { base_url: other.url, api_key: 'k' },
      },
      models: {
        'a/claude-haiku-4-5': {
          input_usd_per_mtok: 1,
          cached_input_usd_per_mtok: 0.1,
          cache_write_usd_per_mtok: 1.25,
          output_usd_per_mtok: 5,
        },
      },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  await anthropic.close();
  await other.close();
});

const HI = [{ role: 'user', content: 'Weather in Paris?' }];
const TOOLS = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } }];
const answerOf = (stopReason: string, ...content: object[]) =>
  reply(200, {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-haiku-4-5-20251001',
    content,
    stop_reason: stopReason,
    usage: {
      input_tokens: 100,
      cache_read_input_tokens: 1000,
      cache_creation_input_tokens: 200,
      output_tokens: 50,
    },
  });
const errorOf = (status: number, type: string, message: string) =>
  reply(status, { type: 'error', error: { type, message }, request_id: 'req_1' });
const messageOf = (job: JobReply) =>
  at(job.response?.body, 'choices', 0, 'message') as Record<string, unknown>;
const attemptsOf = (job: JobReply) =>
  job.attempts.map((attempt) => [attempt['model'], attempt['outcome'], attempt['class']]);

describe('A job on Anthropic', () => {
  it('calls a tool and goes on with its answer, signed thinking and all', async () => {
    const thinking = { type: 'thinking', thinking: 'I have to look.', signature: 'QUJD' };
    const use = { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Paris' } };
    anthropic.always(answerOf('tool_use', thinking, use));
    const asked = { model: 'a/claude-haiku-4-5', tools: TOOLS, reasoning_effort: 'low' };
    const first = await baton.run({ ...asked, messages: HI });
    expect(first).toMatchObject({
      status: 'completed',
      served_by: 'a/claude-haiku-4-5',
      usage: { input_tokens: 1300, output_tokens: 50, total_tokens: 1350 },
      cost_usd: 0.0007, // 100 at 1, 1000 at 0.10, 200 at 1.25 and 50 at 5 dollars a million.
      response: { body: { object: 'chat.completion', choices: [{ finish_reason: 'tool_calls' }] } },
    });
    const sent = anthropic.calls().at(-1);
    expect(sent?.path).toBe('/v1/messages');
    expect(sent?.headers).toMatchObject({ 'x-api-key': 'key-of-a', 'anthropic-version': '2023-06-01' });

    anthropic.always(answerOf('end_turn', { type: 'text', text: '18 °C' }));
    const result = { role: 'tool', tool_call_id: 'toolu_1', content: '18' };
    const second = await baton.run({ ...asked, messages: [...HI, messageOf(first), result] });
    expect(messageOf(second)['content']).toBe('18 °C');
    expect(anthropic.calls().at(-1)?.body).toMatchObject({
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'Weather in Paris?' }] },
        { role: 'assistant', content: [thinking, use] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: '18' }] },
      ],
    });
  });

  it('that it has no place for goes to the next model, and Anthropic is never called', async () => {
    const before = anthropic.calls().length;
    const job = await baton.run({ models: ['a/claude-haiku-4-5', 'other/x'], messages: HI, n: 2 });
    expect(attemptsOf(job)).toEqual([
      ['a/claude-haiku-4-5', 'skipped', 'incompatible'],
      ['other/x', 'succeeded', null],
    ]);
    expect(job.attempts[0]).toMatchObject({
      sent: false,
      message: expect.stringContaining('`n` is 2') as string,
    });
    expect(anthropic.calls()).toHaveLength(before);
  });

  it('is called all the same where the step takes the field out', async () => {
    anthropic.always(answerOf('end_turn', { type: 'text', text: 'Sunny.' }));
    const steps = [{ model: 'a/claude-haiku-4-5', overrides: { seed: null } }];
    expect((await baton.request('PUT', '/v1/policies/seedless', { steps })).status).toBe(200);
    const job = await baton.run({ model: 'policy/seedless', seed: 7, messages: HI });
    expect(attemptsOf(job)).toEqual([['a/claude-haiku-4-5', 'succeeded', null]]);
  });

  it.each([
    [
      'b',
      'a classifier that stops the answer',
      answerOf('refusal', { type: 'text', text: 'To' }),
      'content_filtered',
    ],
    ['c', 'a wrong key', errorOf(401, 'authentication_error', 'invalid x-api-key'), 'unauthorized'],
    [
      'd',
      'a prompt that is too long',
      errorOf(400, 'invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'),
      'context_length_exceeded',
    ],
  ])('of %s that meets %s goes to the next model', async (provider, _name, behaviour, failureClass) => {
    anthropic.always(behaviour);
    const job = await baton.run({ models: [`${provider}/claude-haiku-4-5`, 'other/x'], messages: HI });
    expect(attemptsOf(job)).toEqual([
      [`${provider}/claude-haiku-4-5`, 'failed', failureClass],
      ['other/x', 'succeeded', null],
    ]);
    expect(JSON.stringify(job)).not.toContain(`key-of-${provider}`);
  });
});
