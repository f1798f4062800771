/** An answer that does not do is a failure of its own class: its tokens are counted, and the chain goes on. */
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { TestBaton } from './support/test-baton.js';
import { answer, reply } from './support/upstream-behaviours.js';

const GOOD = '{"name":"Ann"}';
const USAGE = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 };
const SCHEMA = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };

let upstream: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    file: {
      providers: {
        up: { kind: 'openai', base_url: upstream.url },
        guarded: { kind: 'openai', base_url: upstream.url, api_key: 'key-of-guarded' },
      },
      policies: {
        strict: {
          steps: [{ model: 'up/first' }, { model: 'up/second' }],
          expect: { json_schema: true, finish_reason: ['stop', 'tool_calls'], not_empty: true },
        },
        worded: {
          steps: [{ model: 'up/first' }, { model: 'up/second' }],
          expect: { pattern: '(?i)\\bann\\b', min_length: 10 },
        },
        picky: { steps: [{ model: 'guarded/chatty' }], expect: { finish_reason: ['tool_calls'] }, rounds: 1 },
        alone: { steps: [{ model: 'up/first' }], expect: { json: true }, rounds: 1 },
      },
    },
  });
});

beforeEach(() => upstream.script('second', answer(GOOD)));

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

function says(message: object, finish_reason = 'stop') {
  const choices = [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }];
  return reply(200, {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices,
    usage: USAGE,
  });
}

const response_format = { type: 'json_schema', json_schema: { name: 'person', schema: SCHEMA } };

describe('an answer that does not do', () => {
  it.each([
    [
      'prose where JSON was asked for',
      'strict',
      says({ content: 'Ann, I think.' }),
      'schema_mismatch',
      'not JSON',
    ],
    [
      'JSON of another shape',
      'strict',
      says({ content: '{"name":7}' }),
      'schema_mismatch',
      '/name must be string',
    ],
    ['JSON that was cut', 'strict', says({ content: '{"na' }, 'length'), 'truncated', 'length'],
    ['spaces alone', 'strict', says({ content: ' \n' }), 'empty', 'nothing in it'],
    [
      'text without the pattern',
      'worded',
      says({ content: 'It was Annabel.' }),
      'schema_mismatch',
      'pattern',
    ],
    ['text that is too short', 'worded', says({ content: 'Ann.' }), 'empty', '4 characters'],
  ])('%s goes on to the next model', async (_name, policy, behaviour, expected, message) => {
    upstream.script('first', behaviour);
    const job = await baton.run({ model: `policy/${policy}`, response_format });
    expect(job).toMatchObject({ status: 'completed', served_by: 'up/second', attempt_count: 2 });
    expect(job.attempts[0]).toMatchObject({
      outcome: 'failed',
      class: expected,
      http_status: 200,
      decision: 'next',
      usage: { input_tokens: 7, output_tokens: 5, total_tokens: 12 },
    });
    expect(job.attempts[0]?.['message']).toContain(message);
  });

  it('is shown when the job has nothing else', async () => {
    upstream.script('first', says({ content: 'Ann, I think.' }));
    const job = await baton.run({ model: 'policy/alone' });
    expect(job).toMatchObject({ status: 'failed', usage: { total_tokens: 12 } });
    expect(job.attempts.map((attempt) => attempt['class'])).toEqual(['schema_mismatch']);
  });
});

describe('an answer that does', () => {
  it.each([
    ['JSON of the shape', says({ content: GOOD })],
    [
      'a call of a tool',
      says(
        {
          content: null,
          tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        'tool_calls',
      ),
    ],
  ])('%s ends the job', async (_name, behaviour) => {
    upstream.script('first', behaviour);
    const job = await baton.run({ model: 'policy/strict', response_format });
    expect(job).toMatchObject({ status: 'completed', served_by: 'up/first', attempt_count: 1 });
  });

  it('passes where the request has no schema', async () => {
    upstream.script('first', says({ content: 'Ann.' }));
    expect(await baton.run({ model: 'policy/strict' })).toMatchObject({ served_by: 'up/first' });
  });
});

it('what one policy expects shuts no model for others', async () => {
  upstream.script('chatty', answer());
  for (let n = 0; n < 6; n += 1) {
    const job = await baton.run({ model: 'policy/picky' });
    expect(job.attempts.map((each) => each.class)).toEqual(['malformed']);
  }
  const job = await baton.run({ model: 'guarded/chatty' });
  expect(job).toMatchObject({ status: 'completed', attempt_count: 1 });
});
