/**
 * In which order one job walks its chain: each policy's strategy over its children, nested ones laid out in their place.
 * The same plan, facts and lot always give the same order.
 */
import { draw } from './backoff.js';
import type { Step } from './chain.js';
import type { Plan, PlanChild, StepFacts, StepOrder, Strategy } from './plan.js';

/** What a job brings to be drawn by. */
export interface Lot {
  /** The 32-bit number that is the job's own for life. */
  readonly seed: number;
  /** The job's metadata: the value of a policy's `stickyBy` keeps choosing the same child. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** How often `latency` puts another child first than the fastest, so that it learns how fast that one is now. */
export const EXPLORE_SHARE = 0.05;
/** The same while there is a child of which nothing is known: it goes first this often, and a crowd does not all try it at once. */
export const EXPLORE_UNKNOWN_SHARE = 0.2;

/**
 * Every index of `steps` once, in the order to walk them, and why.
 *
 * `facts` stand by step; one that is missing is taken for "nothing known".
 * @throws {RangeError} if the plan does not name every step once: a defect of the caller.
 */
export function orderSteps(
  steps: readonly Step[],
  plan: Plan,
  facts: readonly StepFacts[],
  lot: Lot,
): StepOrder {
  let count = 0;
  const nextDraw = () => draw(lot.seed ^ SALT, count++);
  const { order, reasons } = layOut(plan, { steps, facts, metadata: lot.metadata, nextDraw });
  if (order.length !== steps.length || new Set(order).size !== steps.length || !order.every(isIndexOf(steps)))
    throw new RangeError('a plan must name every step of its chain once');
  const more = reasons.length - MOST_REASONS;
  return {
    steps: order,
    reason: reasons.slice(0, MOST_REASONS).join('; ') + (more > 0 ? `; and ${more} more` : ''),
  };
}

/** Keeps what is drawn here apart from the waits, which are drawn from the same seed. */
const SALT = 0x5bd1e995;
const MOST_REASONS = 4;

interface Table {
  readonly steps: readonly Step[];
  readonly facts: readonly StepFacts[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly nextDraw: () => number;
}

/** A child whose own order is settled. */
interface Settled {
  readonly order: readonly number[];
  /** Of the policies nested in it. */
  readonly reasons: readonly string[];
  readonly weight: number;
  /** What it is called in a reason: the first of its models that can take the request. */
  readonly name: string;
  /** What is known of that model. */
  readonly facts: StepFacts;
  /** What stays the same of it when its siblings change. */
  readonly identity: string;
}

interface Arranged {
  readonly children: readonly Settled[];
  readonly reason: string;
}

const ARRANGE: Readonly<
  Record<Strategy, (children: readonly Settled[], plan: Plan, table: Table) => Arranged>
> = {
  fallback: (children) => ({ children, reason: 'as written' }),
  weighted: arrangeByWeight,
  latency: (children, _plan, table) => arrangeByLatency(children, table),
  cost: arrangeByCost,
};

function layOut(plan: Plan, table: Table): { order: readonly number[]; reasons: readonly string[] } {
  const settled = plan.children.map((child) => settle(child, table));
  const { children, reason } = ARRANGE[plan.strategy](settled, plan, table);
  const nested = children.flatMap(({ reasons }) => reasons);
  return {
    order: children.flatMap(({ order }) => order),
    reasons: [`${plan.strategy}: ${reason}`, ...nested],
  };
}

function settle({ node, weight }: PlanChild, table: Table): Settled {
  const { order, reasons } = typeof node === 'number' ? { order: [node], reasons: [] } : layOut(node, table);
  const factsOf = (step: number) => table.facts[step] ?? NOTHING_KNOWN;
  const first = order.find((step) => factsOf(step).incompatible === null) ?? order[0] ?? -1;
  return {
    order,
    reasons,
    weight: weight > 0 ? weight : 0,
    name: table.steps[first]?.model ?? 'nothing',
    facts: factsOf(first),
    identity: stepsOf(node)
      .map((step) => table.steps[step]?.model)
      .join(' '),
  };
}

const NOTHING_KNOWN: StepFacts = { latencyMs: null, costMicros: null, incompatible: null };

/** The steps under a node, as written. */
function stepsOf(node: number | Plan): readonly number[] {
  return typeof node === 'number' ? [node] : node.children.flatMap((child) => stepsOf(child.node));
}

/** One child is picked by its share; the others stay behind it as written. */
function arrangeByWeight(children: readonly Settled[], { stickyBy }: Plan, table: Table): Arranged {
  const sum = children.reduce((total, { weight }) => total + weight, 0);
  const drawn = table.nextDraw();
  const value =
    stickyBy !== null && Object.hasOwn(table.metadata, stickyBy) ? table.metadata[stickyBy] : undefined;
  const picked = value === undefined ? pickByShare(children, drawn * sum) : pickByValue(children, value);
  if (picked === undefined) return { children, reason: 'no weight above 0, as written' };
  const share = `${picked.name} picked (${roughly(picked.weight)} of ${roughly(sum)})`;
  const drawnAnew = stickyBy === null ? '' : `, drawn anew: the job has no ${stickyBy}`;
  return {
    children: first(picked, children),
    reason: share + (value === undefined ? drawnAnew : `, the same for each ${stickyBy}`),
  };
}

function pickByShare(children: readonly Settled[], point: number): Settled | undefined {
  let passed = 0;
  const weighted = children.filter(({ weight }) => weight > 0);
  return weighted.find(({ weight }) => point < (passed += weight)) ?? weighted.at(-1);
}

/**
 * Weighted rendezvous hashing: each child draws a number from the value and its own identity, and the best one wins. So a weight
 * that grows only pulls values to its child, and one that shrinks only lets go of its own.
 * Source: https://www.snia.org/sites/default/files/SDC15_presentations/dist_sys/Jason_Resch_New_Consistent_Hashings_Rev.pdf
 */
function pickByValue(children: readonly Settled[], value: string): Settled | undefined {
  const seen = new Map<string, number>();
  let best: { child: Settled; score: number } | undefined;
  for (const child of children) {
    const twin = seen.get(child.identity) ?? 0;
    seen.set(child.identity, twin + 1);
    if (child.weight === 0) continue;
    const score = -Math.log(hash(`${value}\u0000${child.identity}\u0000${twin}`)) / child.weight;
    if (best === undefined || score < best.score) best = { child, score };
  }
  return best?.child;
}

/** A text as a number between 0 and 1, neither of them: FNV-1a, then the same finaliser as `draw`. */
function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    bits = Math.imul(bits ^ text.charCodeAt(index), 0x01000193);
  }
  return draw(bits, 0) + 2 ** -33;
}

/** The fastest first. Now and then another goes first: one that nothing is known of, if there is any. */
function arrangeByLatency(children: readonly Settled[], table: Table): Arranged {
  const sorted = sortBy(children, ({ latencyMs }) => latencyMs);
  const [best, ...others] = sorted.filter(({ facts }) => facts.incompatible === null);
  const unknown = others.filter(({ facts }) => facts.latencyMs === null);
  const share = unknown.length > 0 && best?.facts.latencyMs !== null ? EXPLORE_UNKNOWN_SHARE : EXPLORE_SHARE;
  const [isExploring, which] = [table.nextDraw() < share, table.nextDraw()];
  if (isExploring && others.length > 0) {
    const candidates = unknown.length > 0 ? unknown : others;
    const explored = candidates[Math.floor(which * candidates.length)] ?? best;
    if (explored !== undefined) {
      return {
        children: first(explored, sorted),
        reason: `${explored.name} first this once, to see how fast it is`,
      };
    }
  }
  const latencyMs = best?.facts.latencyMs ?? null;
  if (best === undefined || latencyMs === null)
    return { children: sorted, reason: 'nothing known of late, as written' };
  return { children: sorted, reason: `${best.name} first, ${Math.round(latencyMs)} ms of late` };
}

/** The cheapest for this request first. */
function arrangeByCost(children: readonly Settled[]): Arranged {
  const sorted = sortBy(children, ({ costMicros }) => costMicros);
  const best = sorted[0];
  if (best === undefined || best.facts.costMicros === null || best.facts.incompatible !== null)
    return { children: sorted, reason: 'no price known, as written' };
  return {
    children: sorted,
    reason: `${best.name} first, about $${(best.facts.costMicros / 1e6).toFixed(6)}`,
  };
}

/** The least first, then those of which it is not known, then those that can't take the request; equals as written. */
function sortBy(children: readonly Settled[], measure: (facts: StepFacts) => number | null): Settled[] {
  const rank = ({ facts }: Settled) => (facts.incompatible !== null ? 2 : measure(facts) === null ? 1 : 0);
  return children.toSorted(
    (left, right) =>
      rank(left) - rank(right) ||
      (rank(left) === 0 ? (measure(left.facts) ?? 0) - (measure(right.facts) ?? 0) : 0),
  );
}

function first(child: Settled, all: readonly Settled[]): Settled[] {
  return [child, ...all.filter((other) => other !== child)];
}

function roughly(weight: number): string {
  return String(Number(weight.toPrecision(6)));
}

function isIndexOf(steps: readonly Step[]): (index: number) => boolean {
  return (index) => steps[index] !== undefined;
}
