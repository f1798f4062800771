import { createAnthropic } from '@ai-sdk/anthropic';
import { chatBodies, toCallOptions, type CallOptions } from '../../test/support/ai-sdk-prompt.js';
import { differences, same, type Deviation, type Difference } from '../../test/support/wire-differences.js';
import { anthropicAdapter } from './anthropic.js';
import { at } from './json.js';

const CHAT = '/v1/chat/completions';

/** One that thinks within a budget, one that thinks by effort, one that draws its tokens as it likes. */
const MODELS = ['claude-haiku-4-5', 'claude-opus-4-6', 'claude-opus-4-8'] as const;

const DEVIATIONS: readonly Deviation[] = [
  {
    why: 'Without a limit of the caller, as many tokens as all newer models can write; the oracle knows each model',
    is: ({ path, ours }, body) =>
      path === 'max_tokens' && ours === 32_000 && (body.max_tokens ?? body.max_completion_tokens) == null,
  },
  {
    why: 'A limit of tokens covers the thinking too, as at OpenAI; the oracle adds the budget to it',
    is: ({ path, ours, theirs }, body) =>
      path === 'max_tokens' &&
      ours === body.max_completion_tokens &&
      theirs === Number(ours) + (BUDGETS[String(body.reasoning_effort)] ?? 0),
  },
  {
    why: 'A temperature or top_p of 1 is what happens anyway, and left out since newer models take neither',
    is: ({ path, ours, theirs }) =>
      (path === 'temperature' || path === 'top_p') && ours === undefined && theirs === 1,
  },
  {
    why: 'A sampling setting goes out to a model that refuses it, which is better than to answer without it',
    is: ({ path, ours, theirs }, body, model) =>
      model === 'claude-opus-4-8' &&
      ['temperature', 'top_p', 'top_k'].includes(path) &&
      ours === body[path] &&
      theirs === undefined,
  },
  {
    why: 'A tool that is not strict is one as it always was: models from before strict tools do not know the word',
    is: ({ path, ours, theirs }) =>
      /^tools\.\d+\.strict$/.test(path) && ours === undefined && theirs === false,
  },
  {
    why: 'A turn that says nothing is left out: Anthropic refuses an empty text',
    is: ({ path, ours, theirs }, body) =>
      path.startsWith('messages') &&
      at(body.messages, 1, 'content') === '' &&
      (same(theirs, { role: 'assistant', content: [{ type: 'text', text: '' }] }) ||
        JSON.stringify(ours ?? null).includes('Are you there?') ||
        JSON.stringify(theirs ?? null).includes('Are you there?')),
  },
  {
    why: 'Ids of calls are put into the letters that Anthropic takes',
    is: ({ path, ours, theirs }) =>
      /\.(?:id|tool_use_id)$/.test(path) && ours === 'functions_now_0' && theirs === 'functions.now:0',
  },
  {
    why: "The description of the format goes into the schema's; the oracle drops it",
    is: ({ path, ours, theirs }, body) =>
      path === 'output_config.format.schema.description' &&
      ours === at(body.response_format, 'json_schema', 'description') &&
      theirs === undefined,
  },
];

/** What Anthropic has no place for, or what nobody can translate: the words that say so. Most of it the oracle drops in silence. */
const NOT_CARRIED: ReadonlyMap<string, string> = new Map([
  ['a system message in the middle', 'system message stands after the first turn (`messages`)'],
  ['a system message at the end', 'system message stands after the first turn (`messages`)'],
  ['a conversation that ends with the assistant', 'the last of the `messages`'],
  ['a participant with a name', '`messages[0].name`'],
  ['a tool that is not a function', '`tools[0].type`'],
  ['arguments that are no JSON', '`messages[1].tool_calls[0].function.arguments`'],
  ['a result of no call', '`messages[1].tool_call_id`'],
  ['a picture in low detail', '`detail`'],
  ['a picture of a type that few can read', 'image/tiff (`image_url`)'],
  ['a spreadsheet', 'spreadsheetml.sheet (`file_data`)'],
  ["a file in OpenAI's store", '`messages[0].content[0].file.file_id`'],
  ['a sound', '`input_audio`'],
  ['any JSON', 'no JSON without a schema (`response_format`)'],
  ['a strict schema with limits', '`response_format`: it is strict, and `minimum` is not enforced there'],
  ['a schema of a map', '`additionalProperties`'],
  ['a schema that refers to itself', 'its definitions refer to themselves'],
  ['a stop of blanks', '`stop`'],
  ['a temperature above 1', '`temperature` is 1.4'],
  ['temperature and top_p', 'either `temperature` or `top_p`'],
  ['a seed', '`seed`'],
  ['penalties', '`frequency_penalty`'],
  ['log probabilities', '`logprobs`'],
  ['several answers', '`n` is 3'],
  ['biased tokens', '`logit_bias`'],
  ['an effort and a temperature', 'with a `reasoning_effort` it takes no `temperature`'],
  ['an effort and a tool that must be used', 'no `tool_choice` that forces a call'],
  ['an answer in sound', '`modalities`'],
  ['a search on the web', '`web_search_options`'],
  ['functions of the first kind', '`functions`'],
  ['a field that nobody knows', '`wild`'],
]);

const bodies = new Map(chatBodies().map(({ name, body }) => [name, body]));
const compared = MODELS.flatMap((model) =>
  [...bodies].flatMap(([name, body]) => (NOT_CARRIED.has(name) ? [] : [[name, model, body] as const])),
);

test.each(compared)('%s is written for %s as the oracle does', async (_name, model, body) => {
  expect(anthropicAdapter.whyNot(CHAT, body)).toBeNull();
  const unexplained = (await compare(model, body)).filter(
    (difference) => !DEVIATIONS.some(({ is }) => is(difference, body, model)),
  );
  expect(unexplained).toEqual([]);
});

test.each([...NOT_CARRIED])('%s is not carried, and told: %s', (name, words) => {
  expect(anthropicAdapter.whyNot(CHAT, bodies.get(name) ?? {})).toContain(words);
});

test.each(DEVIATIONS)('some body shows that: $why', async ({ is }) => {
  const shown = await Promise.all(
    compared.map(async ([, model, body]) =>
      (await compare(model, body)).some((each) => is(each, body, model)),
    ),
  );
  expect(shown).toContain(true);
});

test('a call goes to the address of the oracle, with its key and version in the same headers', async () => {
  const body = { messages: [{ role: 'user', content: 'Hi' }] };
  const [ours, theirs] = [ourWire(MODELS[0], body), await oracleWire(MODELS[0], body)];
  expect(ours.url).toBe(theirs.url);
  for (const name of ['x-api-key', 'anthropic-version', 'content-type'])
    expect([name, ours.headers[name]]).toEqual([name, theirs.headers[name]]);
});

function ourWire(model: string, body: Record<string, unknown>) {
  return anthropicAdapter.toWire(
    {
      model: `anthropic/${model}`,
      endpoint: CHAT,
      body,
      keyId: 'k',
      timeoutMs: 1000,
      signal: new AbortController().signal,
      attemptId: 'att_1',
      attemptIndex: 0,
    },
    {
      name: 'anthropic',
      kind: 'anthropic',
      baseUrl: 'https://api.anthropic.com/v1',
      apiKeys: [],
      protect: true,
    },
    { id: 'k', secret: 's3cret' },
  );
}

async function oracleWire(model: string, body: Record<string, unknown>) {
  let sent = { url: '', headers: {} as Record<string, string>, body: '' };
  const anthropic = createAnthropic({
    apiKey: 's3cret',
    fetch: (url, init) => {
      const headers = Object.fromEntries(new Headers(init?.headers).entries());
      sent = { url: url instanceof Request ? url.url : url.toString(), headers, body: init?.body as string };
      return Promise.resolve(
        Response.json({
          type: 'message',
          id: 'msg_1',
          model,
          content: [{ type: 'text', text: 'x' }],
          stop_reason: 'end_turn',
          usage: { input_tokens: 1, output_tokens: 1 },
        }),
      );
    },
  });
  const providerOptions = { anthropic: toOptions(model, body) } as CallOptions['providerOptions'];
  await anthropic(model).doGenerate({ ...toCallOptions(body), ...(providerOptions && { providerOptions }) });
  return sent;
}

/** The tokens of each budget at a limit of 20,000 tokens, and at none. */
const BUDGETS: Readonly<Record<string, number>> = {
  minimal: 2000,
  low: 4000,
  medium: 10_000,
  high: 16_000,
  xhigh: 19_000,
};
const BUDGETS_WITHOUT_LIMIT: Readonly<Record<string, number>> = { low: 6400, medium: 16_000 };

/** What a user of the oracle says in words of Anthropic's, since its contract has no place for it. */
function toOptions(model: string, body: Record<string, unknown>): Record<string, unknown> {
  const effort = (body.reasoning_effort as string | null | undefined) ?? '';
  const budgets = body.max_completion_tokens === undefined ? BUDGETS_WITHOUT_LIMIT : BUDGETS;
  const thinking =
    model === 'claude-haiku-4-5'
      ? { thinking: { type: 'enabled', budgetTokens: budgets[effort] } }
      : { thinking: { type: 'adaptive' }, effort: effort === 'minimal' ? 'low' : effort };
  return {
    ...(body.parallel_tool_calls === false ? { disableParallelToolUse: true } : {}),
    ...(body.user == null ? {} : { metadata: { userId: body.user } }),
    ...(effort === '' ? {} : effort === 'none' ? { thinking: { type: 'disabled' } } : thinking),
  };
}

const known = new Map<string, Promise<Difference[]>>();

/** The differences of one body for one model, worked out once. */
function compare(model: string, body: Record<string, unknown>): Promise<Difference[]> {
  const key = `${model} ${JSON.stringify(body)}`;
  const found =
    known.get(key) ??
    oracleWire(model, body).then((theirs) =>
      differences(JSON.parse(ourWire(model, body).body), JSON.parse(theirs.body)),
    );
  known.set(key, found);
  return found;
}
