import fc from 'fast-check';
import { CHAIN_DEFAULTS, type Step } from './chain.js';
import { EXPLORE_SHARE, EXPLORE_UNKNOWN_SHARE, type Lot, orderSteps } from './order.js';
import { type Plan, type PlanChild, type StepFacts, STRATEGIES, type Strategy } from './plan.js';

const NAMES = ['a/x', 'b/y', 'c/z', 'd/w'];

function stepsNamed(...models: string[]): Step[] {
  return models.map((model) => ({ ...CHAIN_DEFAULTS, model, overrides: {}, on: {}, expect: null }));
}

function plan(
  strategy: Strategy,
  children: (number | Plan | PlanChild)[],
  stickyBy: string | null = null,
): Plan {
  return {
    strategy,
    stickyBy,
    children: children.map((child) =>
      typeof child === 'object' && 'node' in child ? child : { weight: 1, node: child },
    ),
  };
}

function weighted(weights: readonly number[], stickyBy: string | null = null): Plan {
  return plan(
    'weighted',
    weights.map((weight, node) => ({ weight, node })),
    stickyBy,
  );
}

function facts(latencyMs: number | null, costMicros: number | null, isAble = true): StepFacts {
  return { latencyMs, costMicros, incompatible: isAble ? null : 'incompatible' };
}

function lot(seed: number, metadata: Record<string, string> = {}): Lot {
  return { seed, metadata };
}

/** Seeds that don't explore and seeds that do, for the first policy of a plan. */
const isFirst = (expected: number, wanted: Plan, known: StepFacts[], steps = stepsNamed(...NAMES)) =>
  Array.from({ length: 10_000 }, (_, seed) => orderSteps(steps, wanted, known, lot(seed))).filter(
    (order) => order.steps[0] === expected,
  );

describe('one policy', () => {
  const steps = stepsNamed(...NAMES);
  test.each<[string, Plan, StepFacts[], number[], string]>([
    ['is walked as written', plan('fallback', [0, 1, 2, 3]), [], [0, 1, 2, 3], 'fallback: as written'],
    [
      'with one weight picks that child, and keeps the others as written',
      weighted([0, 0, 7, 0]),
      [],
      [2, 0, 1, 3],
      'weighted: c/z picked (7 of 7)',
    ],
    [
      'without any weight is walked as written',
      weighted([0, -1, Number.NaN, 0]),
      [],
      [0, 1, 2, 3],
      'weighted: no weight above 0, as written',
    ],
    [
      'by cost is the cheapest first, the unknown behind, the incompatible last',
      plan('cost', [0, 1, 2, 3]),
      [facts(null, null), facts(null, 1, false), facts(null, 1_200), facts(null, 30)],
      [3, 2, 0, 1],
      'cost: d/w first, about $0.000030',
    ],
    [
      'by cost of equal prices is as written',
      plan('cost', [0, 1, 2, 3]),
      [facts(null, 5), facts(null, 5), facts(null, 5), facts(null, 5)],
      [0, 1, 2, 3],
      'cost: a/x first, about $0.000005',
    ],
    [
      'by cost of nothing is the cheapest of all',
      plan('cost', [0, 1, 2, 3]),
      [facts(null, 1), facts(null, 0)],
      [1, 0, 2, 3],
      'cost: b/y first, about $0.000000',
    ],
    [
      'by cost without any price is as written, the incompatible last',
      plan('cost', [0, 1, 2, 3]),
      [facts(null, 9, false)],
      [1, 2, 3, 0],
      'cost: no price known, as written',
    ],
    [
      'by latency is the fastest first, the unknown behind, the incompatible last',
      plan('latency', [0, 1, 2, 3]),
      [facts(10, null, false), facts(null, null), facts(820.4, null), facts(900, null)],
      [2, 3, 1, 0],
      'latency: c/z first, 820 ms of late',
    ],
    [
      'by latency with nothing known is as written',
      plan('latency', [0, 1, 2, 3]),
      [],
      [0, 1, 2, 3],
      'latency: nothing known of late, as written',
    ],
  ])('%s', (_name, asked, known, expected, reason) => {
    expect(orderSteps(steps, asked, known, lot(1))).toEqual({ steps: expected, reason });
  });
});

describe('nested policies', () => {
  const steps = stepsNamed(...NAMES);

  test('stand in their place, in their own order', () => {
    const cheap = plan('cost', [1, 2]);
    const { steps: order, reason } = orderSteps(
      steps,
      plan('fallback', [0, cheap, 3]),
      [facts(null, 1), facts(null, 9), facts(null, 4)],
      lot(1),
    );
    expect(order).toEqual([0, 2, 1, 3]);
    expect(reason).toBe('fallback: as written; cost: c/z first, about $0.000004');
  });

  test('are measured by the first of their own order that can take the request', () => {
    const known = [facts(null, 5), facts(null, 1, false), facts(null, 3), facts(null, 4)];
    const asked = plan('cost', [0, plan('fallback', [1, 2]), 3]);
    expect(orderSteps(steps, asked, known, lot(1))).toEqual({
      steps: [1, 2, 3, 0],
      reason: 'cost: c/z first, about $0.000003; fallback: as written',
    });
  });

  test('that are picked bring their own order to the front', () => {
    const asked = plan('weighted', [
      { weight: 0, node: 0 },
      {
        weight: 1,
        node: plan('weighted', [
          { weight: 0, node: 1 },
          { weight: 1, node: 2 },
        ]),
      },
      { weight: 0, node: 3 },
    ]);
    expect(orderSteps(steps, asked, [], lot(7)).steps).toEqual([2, 1, 0, 3]);
  });

  test('of any number give a reason of bounded length', () => {
    const many = Array.from({ length: 50 }, (_, index) => index);
    const asked = plan(
      'fallback',
      many.map((index) => plan('cost', [index])),
    );
    const { reason } = orderSteps(stepsNamed(...many.map((index) => `m/${index}`)), asked, [], lot(1));
    expect(reason).toMatch(/^fallback: as written; cost: .*; and 47 more$/);
  });
});

describe('weighted', () => {
  const steps = stepsNamed(...NAMES);

  /** What 3.5 standard deviations of a share are, for this many draws. */
  const withinOf = (share: number, count: number) => 3.5 * Math.sqrt((share * (1 - share)) / count);

  test.each([[[30, 50, 20, 0]], [[0.3, 0.5, 0.2, 0]], [[1, 1, 1, 1]], [[1, 999, 0, 0]]])(
    'keeps the shares %j over many jobs, drawn or sticky',
    (weights) => {
      const count = 20_000;
      const sum = weights.reduce((total, weight) => total + weight);
      for (const stickyBy of [null, 'user_id']) {
        const picks = [0, 0, 0, 0];
        for (let job = 0; job < count; job++) {
          const { steps: order } = orderSteps(
            steps,
            weighted(weights, stickyBy),
            [],
            lot(job, { user_id: `user-${job}` }),
          );
          picks[order[0] ?? -1] = (picks[order[0] ?? -1] ?? 0) + 1;
        }
        weights.forEach((weight, index) => {
          const share = weight / sum;
          expect(Math.abs((picks[index] ?? 0) / count - share)).toBeLessThanOrEqual(withinOf(share, count));
        });
      }
    },
  );

  test('is sticky to the metadata value, whatever the seed', () => {
    const asked = weighted([30, 50, 20, 0], 'user_id');
    for (const user of ['ann', 'bob', '', 'ü', 'x'.repeat(512)]) {
      const picks = Array.from({ length: 50 }, (_, seed) =>
        orderSteps(steps, asked, [], lot(seed * 77, { user_id: user })),
      );
      expect(new Set(picks.map(({ steps: order }) => order[0])).size).toBe(1);
      expect(picks[0]?.reason).toMatch(/^weighted: ./);
      expect(picks[0]?.reason).toMatch(/, the same for each user_id$/);
    }
  });

  test('draws anew for a job without the value, and says so', () => {
    const asked = weighted([1, 1, 1, 1], 'constructor');
    const picks = Array.from({ length: 100 }, (_, seed) => orderSteps(steps, asked, [], lot(seed)));
    expect(new Set(picks.map(({ steps: order }) => order[0])).size).toBe(4);
    expect(picks[0]?.reason).toContain('drawn anew: the job has no constructor');
  });

  test('moves only values that a changed weight must move', () => {
    const pickOf = (weights: number[], user: number) =>
      orderSteps(steps, weighted(weights, 'u'), [], lot(1, { u: String(user) })).steps[0];
    const users = Array.from({ length: 10_000 }, (_, user) => user);
    const moved = users.filter((user) => pickOf([40, 40, 20, 0], user) !== pickOf([40, 40, 40, 0], user));
    expect(new Set(moved.map((user) => pickOf([40, 40, 40, 0], user)))).toEqual(new Set([2]));
    expect(moved.length / users.length).toBeCloseTo(40 / 120 - 20 / 100, 1);
  });

  test('moves only the values of a child that is gone', () => {
    const pickOf = (names: string[], user: number) => {
      const asked = weighted(
        names.map(() => 1),
        'u',
      );
      return names[orderSteps(stepsNamed(...names), asked, [], lot(1, { u: String(user) })).steps[0] ?? -1];
    };
    const users = Array.from({ length: 2_000 }, (_, user) => user).filter(
      (user) => pickOf(NAMES, user) !== 'b/y',
    );
    expect(users.length).toBeGreaterThan(1_400);
    expect(users.map((user) => pickOf(['a/x', 'c/z', 'd/w'], user))).toEqual(
      users.map((user) => pickOf(NAMES, user)),
    );
  });

  test('shares between two children of the same model too', () => {
    const twins = stepsNamed('a/x', 'a/x');
    const picks = Array.from(
      { length: 1_000 },
      (_, user) => orderSteps(twins, weighted([1, 1], 'u'), [], lot(1, { u: String(user) })).steps[0],
    );
    expect(picks.filter((pick) => pick === 0).length / 1_000).toBeCloseTo(0.5, 1);
  });
});

describe('latency', () => {
  const known = [facts(500, null), facts(200, null), facts(900, null), facts(100, null, false)];

  test('puts another first in about 1 of 20 jobs, evenly, and never one that cannot take the request', () => {
    const asked = plan('latency', [0, 1, 2, 3]);
    expect(isFirst(1, asked, known).length / 10_000).toBeCloseTo(1 - EXPLORE_SHARE, 1);
    expect(isFirst(3, asked, known)).toHaveLength(0);
    const explored = isFirst(0, asked, known);
    expect(explored.length / 10_000).toBeGreaterThan(EXPLORE_SHARE / 2 - 0.01);
    expect(explored.length / 10_000).toBeLessThan(EXPLORE_SHARE / 2 + 0.01);
    expect(explored[0]).toEqual({
      steps: [0, 1, 2, 3],
      reason: 'latency: a/x first this once, to see how fast it is',
    });
  });

  test('explores the unknown before the slow', () => {
    const asked = plan('latency', [0, 1, 2, 3]);
    const some = [facts(500, null), facts(200, null), facts(null, null), facts(null, null)];
    expect(isFirst(0, asked, some)).toHaveLength(0);
    const unknown = isFirst(2, asked, some).length + isFirst(3, asked, some).length;
    expect(unknown / 10_000).toBeGreaterThan(EXPLORE_UNKNOWN_SHARE - 0.02);
    expect(unknown / 10_000).toBeLessThan(EXPLORE_UNKNOWN_SHARE + 0.02);
  });

  test('has nothing to explore with one model', () => {
    expect(isFirst(0, plan('latency', [0]), [facts(1, null)], stepsNamed('a/x'))).toHaveLength(10_000);
  });
});

/** A plan of any depth over the steps 0 … n-1, each once, and the number of steps. */
const anyPlan: fc.Arbitrary<{ plan: Plan; count: number }> = fc
  .letrec<{ node: PlanShape }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.constant('step' as const),
      fc.record({
        strategy: fc.constantFrom(...STRATEGIES),
        stickyBy: fc.constantFrom(null, 'user_id'),
        weights: fc.array(fc.oneof(fc.nat(100), fc.double({ min: 0, max: 1, noNaN: true })), {
          maxLength: 5,
        }),
        children: fc.array(tie('node'), { minLength: 1, maxLength: 5 }),
      }),
    ),
  }))
  .node.map((shape) => {
    let count = 0;
    const toNode = (each: PlanShape): number | Plan =>
      each === 'step'
        ? count++
        : {
            strategy: each.strategy,
            stickyBy: each.stickyBy,
            children: each.children.map((child, index) => ({
              weight: each.weights[index] ?? 1,
              node: toNode(child),
            })),
          };
    const node = toNode(shape);
    return { plan: typeof node === 'number' ? plan('fallback', [node]) : node, count };
  });
type PlanShape =
  'step' | { strategy: Strategy; stickyBy: string | null; weights: number[]; children: PlanShape[] };

const anyFacts = fc.record({
  latencyMs: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
  costMicros: fc.option(fc.nat(1_000_000)),
  incompatible: fc.constantFrom(null, null, 'incompatible' as const),
});

test('every step stands once in the order, the same again for the same job', () => {
  fc.assert(
    fc.property(
      anyPlan,
      fc.array(anyFacts, { maxLength: 30 }),
      fc.integer(),
      fc.option(fc.string({ unit: 'binary', maxLength: 20 }), { nil: undefined }),
      ({ plan: asked, count }, known, seed, user) => {
        const steps = stepsNamed(...Array.from({ length: count }, (_, index) => NAMES[index % 4] ?? ''));
        const job = lot(seed, user === undefined ? {} : { user_id: user });
        const order = orderSteps(steps, asked, known, job);
        expect(order.steps.toSorted((left, right) => left - right)).toEqual(steps.map((_, index) => index));
        expect(order.reason).toMatch(/^(?:fallback|weighted|latency|cost): ./);
        expect(order.reason.length).toBeLessThan(1_000);
        expect(orderSteps(steps, asked, known, job)).toEqual(order);
      },
    ),
    { numRuns: 2_000 },
  );
});

test.each([
  ['a step is missing', plan('fallback', [0])],
  ['a step is there twice', plan('fallback', [0, 0])],
  ['a step is none', plan('fallback', [0, 2])],
])('a plan of which %s is a defect', (_name, asked) => {
  expect(() => orderSteps(stepsNamed('a/x', 'b/y'), asked, [], lot(1))).toThrow(RangeError);
});
