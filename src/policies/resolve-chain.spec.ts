import type { Plan } from '../routing/plan.js';
import type { PolicyDto } from './policy.dto.js';
import { chainOfModels, chainOfPolicy, type Surroundings } from './resolve-chain.js';

const POLICIES: Readonly<Record<string, PolicyDto>> = {
  plain: { steps: [{ model: 'p/1' }, { model: 'p/2' }] },
  drawn: {
    strategy: 'weighted',
    steps: [{ model: 'w/1', weight: 3 }, { model: 'policy/plain', weight: 0 }, { model: 'w/2' }],
    on: { timeout: 'stop' },
    expect: { not_empty: true },
  },
  cheap: {
    strategy: 'cost',
    steps: [{ model: 'policy/drawn', overrides: { n: 2, top_p: 1 } }, { model: 'c/1' }],
  },
};
const around: Surroundings = {
  whyUnknown: () => null,
  findPolicy: (name) => Promise.resolve(POLICIES[name] ? { body: POLICIES[name], version: 1 } : null),
};
const weighted: Plan = {
  strategy: 'weighted',
  stickyBy: 'user_id',
  children: [
    { weight: 3, node: 1 },
    {
      weight: 0,
      node: {
        strategy: 'fallback',
        stickyBy: null,
        children: [
          { weight: 1, node: 2 },
          { weight: 1, node: 3 },
        ],
      },
    },
    { weight: 1, node: 4 },
  ],
};

/** A policy whose first step is `a/1`, and then others. */
function outer(...models: string[]): PolicyDto {
  return { steps: [{ model: 'a/1' }, ...models.map((model) => ({ model }))] };
}

test.each<[string, PolicyDto, string[], Plan | null]>([
  ['models', outer('a/2'), ['a/1', 'a/2'], null],
  [
    'plain policies inside each other',
    outer('policy/plain', 'policy/plain'),
    ['a/1', 'p/1', 'p/2', 'p/1', 'p/2'],
    null,
  ],
  [
    'a policy with a strategy inside one without',
    outer('policy/drawn'),
    ['a/1', 'w/1', 'p/1', 'p/2', 'w/2'],
    {
      strategy: 'fallback',
      stickyBy: null,
      children: [
        { weight: 1, node: 0 },
        { weight: 1, node: weighted },
      ],
    },
  ],
  [
    'a policy drawn for each job',
    { strategy: 'weighted', sticky_by: null, steps: [{ model: 'a/1', weight: 2 }] },
    ['a/1'],
    { strategy: 'weighted', stickyBy: null, children: [{ weight: 2, node: 0 }] },
  ],
  [
    'a policy of one strategy only',
    { strategy: 'latency', steps: [{ model: 'a/1' }] },
    ['a/1'],
    { strategy: 'latency', stickyBy: null, children: [{ weight: 1, node: 0 }] },
  ],
])('the plan of %s names each step at its place', async (_what, policy, models, plan) => {
  const chain = await chainOfPolicy(policy, 'outer', 'steps', around);
  expect(chain.steps.map(({ model }) => model)).toEqual(models);
  expect(chain.plan).toEqual(plan);
});

test('rules and expectations are those of the step’s own policy, and overrides pile up from within', async () => {
  const { steps } = await chainOfPolicy(
    {
      steps: [{ model: 'policy/cheap', overrides: { n: 3 } }],
      on: { empty: 'stop' },
      expect: { json: true },
    },
    'outer',
    'steps',
    around,
  );
  const told = steps.map(({ model, on, expect: asked, overrides }) => [
    model,
    on,
    asked?.notEmpty,
    overrides,
  ]);
  expect(told).toEqual([
    ['w/1', { timeout: 'stop' }, true, { n: 3, top_p: 1 }],
    ['p/1', {}, undefined, { n: 3, top_p: 1 }],
    ['p/2', {}, undefined, { n: 3, top_p: 1 }],
    ['w/2', { timeout: 'stop' }, true, { n: 3, top_p: 1 }],
    ['c/1', {}, undefined, { n: 3 }],
  ]);
});

test('an expectation that asks for nothing is none', async () => {
  const policy: PolicyDto = { steps: [{ model: 'a/1' }], expect: { json: false, not_empty: false } };
  const chain = await chainOfPolicy(policy, 'outer', 'steps', around);
  expect(chain.steps[0]?.expect).toBeNull();
});

test('a chain on the spot has a plan only where a policy in it has a strategy', async () => {
  const named = (...models: string[]) => models.map((model) => ({ model, param: 'request.models' }));
  expect(await chainOfModels(named('a/1', 'policy/plain'), around)).toMatchObject({ plan: null });
  const chain = await chainOfModels(named('a/1', 'policy/drawn'), around);
  expect(chain.plan?.children).toEqual([
    { weight: 1, node: 0 },
    { weight: 1, node: weighted },
  ]);
});
