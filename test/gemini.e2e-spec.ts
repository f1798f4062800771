/** Gemini behind the front door: OpenAI's bodies in, its own API on the wire, OpenAI's answers out. */
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import { reply } from './support/upstream-behaviours.js';

let gemini: ScriptedUpstream;
let other: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  gemini = await ScriptedUpstream.start();
  other = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    file: {
      providers: {
        // Each its own, so that a key that is refused in one test does not rest in the next.
        ...Object.fromEntries(
          ['a', 'b', 'c', 'd'].map((name) => [
            name,
            { kind: 'gemini', base_url: gemini.url, api_key: `key-of-${name}` },
          ]),
        ),
        other: { base_url: other.url, api_key: 'k' },
      },
      models: { 'a/gemini-3-flash-preview': { input_usd_per_mtok: 1, output_usd_per_mtok: 10 } },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  await gemini.close();
  await other.close();
});

const HI = [{ role: 'user', content: 'Weather in Paris?' }];
const TOOLS = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } }];
const usageMetadata = {
  promptTokenCount: 100,
  candidatesTokenCount: 20,
  thoughtsTokenCount: 30,
  totalTokenCount: 150,
};
const answerOf = (...parts: object[]) =>
  reply(200, {
    candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP' }],
    usageMetadata,
    modelVersion: 'gemini-3-flash-preview',
    responseId: 'r1',
  });
const messageOf = ({ response }: JobReply) => {
  const body: unknown = response?.body;
  const { choices } = body as { choices: [{ message: Record<string, unknown> }] };
  return choices[0].message;
};
const attemptsOf = (job: JobReply) =>
  job.attempts.map((attempt) => [attempt['model'], attempt['outcome'], attempt['class']]);

describe('A job on Gemini', () => {
  it('calls a tool and goes on with its answer, signature and all', async () => {
    const call = { functionCall: { name: 'get_weather', args: { city: 'Paris' } }, thoughtSignature: 'QUJD' };
    gemini.always(answerOf(call));
    const first = await baton.run({ model: 'a/gemini-3-flash-preview', messages: HI, tools: TOOLS });
    expect(first).toMatchObject({
      status: 'completed',
      served_by: 'a/gemini-3-flash-preview',
      usage: { input_tokens: 100, output_tokens: 50, total_tokens: 150 },
      cost_usd: 0.0006,
      response: { body: { object: 'chat.completion', choices: [{ finish_reason: 'tool_calls' }] } },
    });
    const sent = gemini.calls().at(-1);
    expect(sent?.path).toBe('/v1/models/gemini-3-flash-preview:generateContent');
    expect(sent?.headers['x-goog-api-key']).toBe('key-of-a');

    gemini.always(answerOf({ text: '18 °C' }));
    const asked = messageOf(first);
    const [{ id }] = asked['tool_calls'] as [{ id: string }];
    const messages = [...HI, asked, { role: 'tool', tool_call_id: id, content: '18' }];
    const second = await baton.run({ model: 'a/gemini-3-flash-preview', messages, tools: TOOLS });
    expect(messageOf(second)['content']).toBe('18 °C');
    expect(gemini.calls().at(-1)?.body).toMatchObject({
      contents: [
        { role: 'user', parts: [{ text: 'Weather in Paris?' }] },
        { role: 'model', parts: [{ ...call, functionCall: { ...call.functionCall, id } }] },
        { role: 'user', parts: [{ functionResponse: { id, name: 'get_weather' } }] },
      ],
    });
  });

  it('that it has no place for goes to the next model, and Gemini is never called', async () => {
    const before = gemini.calls().length;
    const job = await baton.run({
      models: ['a/gemini-2.5-flash', 'other/x'],
      messages: HI,
      logit_bias: { '7': 1 },
    });
    expect(attemptsOf(job)).toEqual([
      ['a/gemini-2.5-flash', 'skipped', 'incompatible'],
      ['other/x', 'succeeded', null],
    ]);
    expect(job.attempts[0]?.['message']).toContain('`logit_bias`');
    expect(gemini.calls()).toHaveLength(before);
  });

  it.each([
    [
      'b',
      'a prompt that is blocked',
      reply(200, { promptFeedback: { blockReason: 'SAFETY' }, usageMetadata }),
      'content_filtered',
    ],
    [
      'c',
      'an error with status 200',
      reply(200, { error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } }),
      'overloaded',
    ],
    [
      'd',
      'a wrong key, told with status 400',
      reply(400, {
        error: {
          code: 400,
          message: 'API key not valid.',
          status: 'INVALID_ARGUMENT',
          details: [{ reason: 'API_KEY_INVALID' }],
        },
      }),
      'unauthorized',
    ],
  ])('of %s that meets %s goes to the next model', async (provider, _name, behaviour, failureClass) => {
    gemini.always(behaviour);
    const job = await baton.run({ models: [`${provider}/gemini-2.5-flash`, 'other/x'], messages: HI });
    expect(attemptsOf(job)).toEqual([
      [`${provider}/gemini-2.5-flash`, 'failed', failureClass],
      ['other/x', 'succeeded', null],
    ]);
    expect(JSON.stringify(job)).not.toContain(`key-of-${provider}`);
  });
});
