import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { chatBodies, toCallOptions } from '../../test/support/ai-sdk-prompt.js';
import { differences, same, type Deviation, type Difference } from '../../test/support/wire-differences.js';
import { geminiAdapter } from './gemini.js';
import { at } from './json.js';

const CHAT = '/v1/chat/completions';
const MODELS = ['gemini-2.5-flash', 'gemini-3.1-pro-preview'] as const;

const DEVIATIONS: readonly Deviation[] = [
  {
    why: 'Gemini reads JSON schemas now: a tool goes out with its own, where the oracle rewrites it and loses keywords',
    is: ({ path, ours, theirs }, body) => {
      const [, index, field] = /^tools\.0\.functionDeclarations\.(\d+)\.(\w+)$/.exec(path) ?? [];
      const schema = at(body.tools, Number(index), 'function', 'parameters');
      return field === 'parametersJsonSchema'
        ? same(ours, schema)
        : field === 'parameters' && ours === undefined && theirs !== undefined;
    },
  },
  {
    why: 'The schema of an answer goes out as it is too; the description of the format, which the oracle drops, with it',
    is: ({ path, ours }, body) => {
      const { schema, description } = (at(body.response_format, 'json_schema') ?? {}) as Record<
        string,
        object
      >;
      const described = description === undefined ? schema : { description, ...schema };
      return path === 'generationConfig.responseJsonSchema'
        ? same(ours, described)
        : path === 'generationConfig.responseSchema' && ours === undefined;
    },
  },
  {
    why: 'Answers of tools that follow each other are one turn: Gemini refuses a turn with fewer answers than calls',
    is: ({ path }, body) => path.startsWith('contents.') && followingAnswers(body) > 0,
  },
  {
    why: 'An answer of a tool in several parts is one answer; for older models the oracle makes an answer of each part',
    is: ({ path, ours, theirs }, { messages }) => {
      const texts = (messages as { role: string; content: unknown }[]).flatMap(({ role, content }) =>
        role === 'tool' && Array.isArray(content)
          ? (content as { text: string }[]).map(({ text }) => text)
          : [],
      );
      const isJoined = path.endsWith('.response.content') && ours === texts.join('\n') && theirs === texts[0];
      return (
        isJoined ||
        (/\.parts\.[1-9]$/.test(path) &&
          ours === undefined &&
          at(theirs, 'functionResponse') !== undefined &&
          texts.length > 1)
      );
    },
  },
  {
    why: 'A turn that says nothing is left out: Gemini refuses a content without parts',
    is: ({ path }, body) => path.startsWith('contents.') && isEmptyAnswer(at(body.messages, 1)),
  },
  {
    why: 'Penalties go out to every model: one that does not know them refuses, which is better than to answer without',
    is: ({ path, ours }, body) =>
      (path === 'generationConfig.frequencyPenalty' && ours === body.frequency_penalty) ||
      (path === 'generationConfig.presencePenalty' && ours === body.presence_penalty),
  },
  {
    why: 'A penalty of 0 is none, and a model without penalties would refuse it',
    is: ({ path, ours, theirs }) => path.endsWith('Penalty') && ours === undefined && theirs === 0,
  },
  {
    why: "The detail of pictures, the number of answers and log probabilities are not in the oracle's contract",
    is: ({ path, ours, theirs }, body) => {
      const wanted: Record<string, unknown> = {
        'generationConfig.candidateCount': body.n,
        'generationConfig.responseLogprobs': body.logprobs,
        'generationConfig.logprobs': body.top_logprobs,
        'generationConfig.mediaResolution': `MEDIA_RESOLUTION_${String(detailOf(body)).toUpperCase()}`,
      };
      return theirs === undefined && path in wanted && wanted[path] === ours;
    },
  },
  {
    why: "The effort is translated as Google's OpenAI-compatible API does; the oracle's callers write it for Google",
    is: ({ path, ours, theirs }, body, model) => {
      const byEffort: Record<string, unknown> = model.includes('2.5') ? BUDGETS : LEVELS;
      return (
        path === 'generationConfig.thinkingConfig' &&
        theirs === undefined &&
        same(ours, byEffort[String(body.reasoning_effort)])
      );
    },
  },
  {
    why: "The type of a picture at an address is told by the address' ending; the oracle calls all of them JPEG",
    is: ({ path, ours, theirs }) =>
      path.endsWith('.fileData.mimeType') && ours === 'image/png' && theirs === 'image/jpeg',
  },
];

const BUDGETS = {
  none: { thinkingBudget: 0 },
  minimal: { thinkingBudget: 1024 },
  low: { thinkingBudget: 1024 },
  medium: { thinkingBudget: 8192 },
  high: { thinkingBudget: 24576 },
};
const LEVELS = {
  none: { thinkingBudget: 0 },
  minimal: { thinkingLevel: 'low' },
  low: { thinkingLevel: 'low' },
  medium: { thinkingLevel: 'medium' },
  high: { thinkingLevel: 'high' },
};

/** What Gemini has no place for, or what nobody can translate: the field that is named. Most of it the oracle drops in silence. */
const NOT_CARRIED: ReadonlyMap<string, string> = new Map([
  ['a system message in the middle', '`messages` has a system message after the first turn'],
  ['a system message at the end', '`messages` has a system message after the first turn'],
  ['a participant with a name', '`messages[0].name`'],
  ['one call at a time', '`parallel_tool_calls`'],
  ['some tool, one call at a time', '`parallel_tool_calls`'],
  ['a tool that is not a function', '`tools[0].type`'],
  ['arguments that are no JSON', '`messages[1].tool_calls[0].function.arguments`'],
  ['a result of no call', '`messages[1].tool_call_id`'],
  ["a file in OpenAI's store", '`messages[0].content[0].file.file_id`'],
  ['a strict schema with limits', '`response_format.json_schema.schema.properties.tags.items.maxLength`'],
  ['biased tokens', '`logit_bias`'],
  ['effort xhigh', '`reasoning_effort`'],
  ['an answer in sound', '`modalities`'],
  ['a search on the web', '`web_search_options`'],
  ['functions of the first kind', '`functions`'],
  ['a field that nobody knows', '`wild`'],
  ['much at once', '`parallel_tool_calls`'],
]);

/** What Gemini can carry, and the oracle refuses to write. */
const ONLY_OURS = ['a schema that refers to itself'];

const bodies = new Map(chatBodies().map(({ name, body }) => [name, body]));
const compared = MODELS.flatMap((model) =>
  [...bodies].flatMap(([name, body]) =>
    NOT_CARRIED.has(name) || ONLY_OURS.includes(name) ? [] : [[name, model, body] as const],
  ),
);

test.each(compared)('%s is written for %s as the oracle does', async (_name, model, body) => {
  expect(geminiAdapter.whyNot(CHAT, body)).toBeNull();
  const unexplained = (await compare(model, body)).filter(
    (difference) => !DEVIATIONS.some(({ is }) => is(difference, body, model)),
  );
  expect(unexplained).toEqual([]);
});

test.each([...NOT_CARRIED])('%s is not carried, and %s is named', (name, field) => {
  expect(geminiAdapter.whyNot(CHAT, bodies.get(name) ?? {})).toContain(field);
});

test.each(ONLY_OURS)('%s is carried, although the oracle refuses it', async (name) => {
  const body = bodies.get(name) ?? {};
  expect(geminiAdapter.whyNot(CHAT, body)).toBeNull();
  await expect(oracleWire(MODELS[0], body)).rejects.toThrow('only supports references');
});

test.each(DEVIATIONS)('some body shows that: $why', async ({ is }) => {
  const shown = await Promise.all(
    compared.map(async ([, model, body]) =>
      (await compare(model, body)).some((each) => is(each, body, model)),
    ),
  );
  expect(shown).toContain(true);
});

test.each(MODELS)(
  'a call of %s goes to the address of the oracle, with its key in the same header',
  async (model) => {
    const body = { messages: [{ role: 'user', content: 'Hi' }] };
    const [ours, theirs] = [ourWire(model, body), await oracleWire(model, body)];
    expect(ours.url).toBe(theirs.url);
    expect(ours.headers['x-goog-api-key']).toBe(theirs.headers['x-goog-api-key']);
  },
);

function ourWire(model: string, body: Record<string, unknown>) {
  return geminiAdapter.toWire(
    {
      model: `gemini/${model}`,
      endpoint: CHAT,
      body,
      keyId: 'k',
      timeoutMs: 1000,
      signal: new AbortController().signal,
      attemptId: 'att_1',
      attemptIndex: 0,
    },
    {
      name: 'gemini',
      kind: 'gemini',
      baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
      apiKeys: [],
      protect: true,
    },
    { id: 'k', secret: 's3cret' },
  );
}

async function oracleWire(model: string, body: Record<string, unknown>) {
  let sent = { url: '', headers: {} as Record<string, string>, body: '' };
  const google = createGoogleGenerativeAI({
    apiKey: 's3cret',
    fetch: (url, init) => {
      const headers = Object.fromEntries(new Headers(init?.headers).entries());
      sent = { url: url instanceof Request ? url.url : url.toString(), headers, body: init?.body as string };
      return Promise.resolve(
        Response.json({ candidates: [{ content: { parts: [{ text: 'x' }] }, finishReason: 'STOP' }] }),
      );
    },
  });
  await google(model).doGenerate(toCallOptions(body));
  return sent;
}

async function compare(model: string, body: Record<string, unknown>): Promise<Difference[]> {
  const theirs = await oracleWire(model, body);
  return differences(JSON.parse(ourWire(model, body).body), JSON.parse(theirs.body));
}

function followingAnswers({ messages }: Record<string, unknown>): number {
  const roles = (messages as { role: string }[]).map(({ role }) => role);
  return roles.filter((role, index) => role === 'tool' && roles[index - 1] === 'tool').length;
}

function isEmptyAnswer(message: unknown): boolean {
  return (
    at(message, 'role') === 'assistant' &&
    at(message, 'content') === '' &&
    at(message, 'tool_calls') === undefined
  );
}

function detailOf({ messages }: Record<string, unknown>): unknown {
  const [detail] = /(?<="detail":")\w+/.exec(JSON.stringify(messages)) ?? [];
  return detail;
}
