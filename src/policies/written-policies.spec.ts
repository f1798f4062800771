import { parse } from 'yaml';
import { problemsOfPolicies } from './written-policies.js';

async function problemsOf(yaml: string): Promise<string[]> {
  const policies = new Map(Object.entries(parse(yaml) as Record<string, unknown>));
  const providerNames = new Set(['sim', 'local']);
  return problemsOfPolicies({ place: 'baton.yaml: policies', policies, providerNames });
}

test('policies that nest each other in any order are sound', async () => {
  const yaml = `
    outer: { steps: [ { model: policy/inner, overrides: { temperature: 0 } }, { model: local/a, retries: 2 } ] }
    inner: { description: d, strategy: fallback, steps: [ { model: sim/echo, timeout_ms: 5 } ], on: { timeout: next }, rounds: 1 }`;
  expect(await problemsOf(yaml)).toEqual([]);
});

test.each<[string, string, RegExp[]]>([
  ['no mapping', 'p: 5', [/^baton\.yaml: policies\.p: must be a mapping, such as /]],
  ['nothing at all', 'p:', [/policies\.p: must be a mapping/]],
  ['no steps', 'p: {}', [/policies\.p: steps is missing: it must be an array\.$/]],
  [
    'a slip in a name',
    'p: { steps: [ { model: sim/echo, timeout: 5 } ] }',
    [/p: Unknown field 'steps\.0\.timeout'/],
  ],
  ['a wrong value', 'p: { steps: [ { model: sim/echo, retries: -1 } ] }', [/p: steps\.0\.retries must/]],
  [
    'two wrong values',
    'p: { rounds: 0, max_attempts: x, steps: [ { model: sim/echo } ] }',
    [/rounds must.*max_attempts must/],
  ],
  ['a wrong rule', 'p: { on: { slow: next }, steps: [ { model: sim/echo } ] }', [/unknown class 'slow'/]],
  ['a name that may not be', '"p q": { steps: [ { model: sim/echo } ] }', [/'p q' is no name for a policy/]],
  [
    'two names',
    'p: { name: q, steps: [ { model: sim/echo } ] }',
    [/name is 'q', but the policy's name is 'p'/],
  ],
  [
    'unknown models, each of them',
    'p: { steps: [ { model: sim/ecko }, { model: lokal/a }, { model: plain } ] }',
    [
      /^baton\.yaml: policies\.p\.steps\.0\.model: There is no model `sim\/ecko`\. Did you mean `sim\/echo`/,
      /p\.steps\.1\.model: There is no provider `lokal`\. Did you mean `local\/a`/,
      /p\.steps\.2\.model: `plain` is not a model/,
    ],
  ],
  [
    'a provider whose key is not set',
    'p: { steps: [ { model: openai/gpt } ] }',
    [/not switched on: set OPENAI_API_KEY/],
  ],
  [
    'a policy that is not in the file',
    'p: { steps: [ { model: policy/q } ] }',
    [/p\.steps\.0\.model: There is no policy 'q' in this file/],
  ],
  [
    'a circle, told by each that is in it',
    'p: { steps: [ { model: policy/q } ] }\nq: { steps: [ { model: policy/p } ] }',
    [/p\.steps\.0\.model: The policies go round in a circle: p → q → p/, /q → p → q/],
  ],
  [
    'too many models once laid out',
    `p: { steps: [ { model: policy/q }, { model: policy/q } ] }\nq: { steps: [ ${'{ model: sim/echo }, '.repeat(26)} ] }`,
    [/p\.steps.*more than 50 models/],
  ],
  [
    'a wrong one inside another, told once',
    'p: { steps: [ { model: policy/q } ] }\nq: { steps: [ { model: nope/a } ] }',
    [/q\.steps\.0\.model: There is no provider `nope`/],
  ],
  [
    'a wrong shape inside another, told once',
    'p: { steps: [ { model: policy/q } ] }\nq: 5',
    [/policies\.q: must be a mapping/],
  ],
])('%s', async (_what, yaml, expected) => {
  const problems = await problemsOf(yaml);
  expect(problems).toHaveLength(expected.length);
  for (const [index, each] of expected.entries()) expect(problems[index]).toMatch(each);
});
