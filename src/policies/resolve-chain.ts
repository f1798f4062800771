import { ApiError } from '../http/api-error.js';
import { CHAIN_DEFAULTS, type Chain, type Step } from '../routing/chain.js';
import type { Expectation } from '../routing/expectation.js';
import type { Plan, PlanChild } from '../routing/plan.js';
import { MOST_STEPS, type PolicyDto, type PolicyStepDto } from './policy.dto.js';

/** What the resolving of a chain asks of its surroundings. */
export interface Surroundings {
  /** The policy of that name; null if there is none. */
  findPolicy(name: string): Promise<{ body: PolicyDto; version: number } | null>;
  /** Null if the model can be called, else a sentence that says what is wrong and what would be right. */
  whyUnknown(model: string): string | null;
}

const POLICY_PREFIX = 'policy/';
const DEFAULT_STICKY_BY = 'user_id';

/** The name in `policy/<name>`; null for a model. */
export function policyNameOf(model: string): string | null {
  return model.startsWith(POLICY_PREFIX) ? model.slice(POLICY_PREFIX.length) : null;
}

/**
 * Lays a policy out flat: the steps of nested policies stand where their name stood, with their own `on` rules, their own
 * expectations and their own strategy; rounds and attempts are the outer policy's. Throws an ApiError that names the
 * place (`param`) of an unknown model or policy, a circle, or a chain that is too long.
 */
export async function chainOfPolicy(
  policy: PolicyDto,
  name: string,
  param: string,
  around: Surroundings,
): Promise<Chain> {
  const steps: Step[] = [];
  const plan = await layOutPolicy(policy, { path: [name], param, overrides: {} }, steps, around);
  return {
    steps,
    rounds: policy.rounds ?? CHAIN_DEFAULTS.rounds,
    maxAttempts: policy.max_attempts ?? defaultMaxAttempts(steps.length),
    plan: isAsWritten(plan) ? null : plan,
  };
}

/** A chain of models (or policies) written on the spot. Throws as {@link chainOfPolicy}. */
export async function chainOfModels(
  models: readonly { model: string; param: string }[],
  around: Surroundings,
): Promise<Chain> {
  const steps: Step[] = [];
  const children: PlanChild[] = [];
  for (const { model, param } of models) {
    const node = await layOutStep({ model }, NO_RULES, { path: [], param, overrides: {} }, steps, around);
    children.push({ weight: 1, node });
    assertLength(steps, param);
  }
  const plan: Plan = { strategy: 'fallback', stickyBy: null, children };
  return {
    steps,
    rounds: CHAIN_DEFAULTS.rounds,
    maxAttempts: defaultMaxAttempts(steps.length),
    plan: isAsWritten(plan) ? null : plan,
  };
}

/** Every model of a chain gets its turn, unless its policy says otherwise. */
export function defaultMaxAttempts(steps: number): number {
  return Math.max(CHAIN_DEFAULTS.maxAttempts, steps);
}

/** The metadata key that keeps choosing the same step of a policy, its default filled in; null for none. */
export function stickyByOf({ strategy, sticky_by }: PolicyDto): string | null {
  if (strategy !== 'weighted') return null;
  return sticky_by === undefined ? DEFAULT_STICKY_BY : sticky_by;
}

/** What a policy asks of an answer, its defaults filled in. */
export function expectationOf(expect: PolicyDto['expect']): Expectation {
  return {
    json: expect?.json ?? false,
    jsonSchema: expect?.json_schema ?? false,
    finishReason: expect?.finish_reason ?? null,
    notEmpty: expect?.not_empty ?? false,
    minLength: expect?.min_length ?? null,
    pattern: expect?.pattern ?? null,
  };
}

/** Where a policy stands that is being laid out. */
interface Site {
  /** The names of the policies around it and its own, the outermost first; empty for models written on the spot. */
  readonly path: readonly string[];
  readonly param: string;
  /** What the policies around it lay over the request. */
  readonly overrides: Step['overrides'];
}

/** What a policy says of all its own steps. */
type Rules = Pick<Step, 'on' | 'expect'>;
const NO_RULES: Rules = { on: {}, expect: null };

async function layOutPolicy(
  policy: PolicyDto,
  site: Site,
  steps: Step[],
  around: Surroundings,
): Promise<Plan> {
  const expect = expectationOf(policy.expect);
  const rules = { on: policy.on ?? {}, expect: Object.values(expect).some(Boolean) ? expect : null };
  const children: PlanChild[] = [];
  for (const [index, step] of policy.steps.entries()) {
    // Only the outermost policy's own steps are the caller's to mend by place; deeper ones are named by their policy.
    const isOwn = site.path.length === 1 && site.param === 'steps';
    const param = isOwn ? `steps.${index}.model` : site.param;
    const node = await layOutStep(step, rules, { ...site, param }, steps, around);
    children.push({ weight: step.weight ?? 1, node });
    assertLength(steps, site.param);
  }
  return { strategy: policy.strategy ?? 'fallback', stickyBy: stickyByOf(policy), children };
}

/** Adds a model, or a nested policy's, to the steps; gives its place in the plan. */
async function layOutStep(
  step: PolicyStepDto,
  rules: Rules,
  { path, param, overrides: over }: Site,
  steps: Step[],
  around: Surroundings,
): Promise<number | Plan> {
  // What stands further out goes over what stands further in.
  const overrides = { ...step.overrides, ...over };
  const nested = policyNameOf(step.model);
  if (nested !== null) {
    assertNoCircle(path, nested, param);
    const found = await around.findPolicy(nested);
    if (!found) throw unknownPolicy(nested, param, path.at(-1));
    return layOutPolicy(found.body, { path: [...path, nested], param, overrides }, steps, around);
  }
  const problem = around.whyUnknown(step.model);
  if (problem !== null) throw new ApiError('unknown_model', problem, { param });
  return (
    steps.push({
      model: step.model,
      retries: step.retries ?? CHAIN_DEFAULTS.retries,
      timeoutMs: step.timeout_ms ?? CHAIN_DEFAULTS.timeoutMs,
      patienceMs: step.patience_ms ?? CHAIN_DEFAULTS.patienceMs,
      overrides,
      ...rules,
    }) - 1
  );
}

/** Whether the plan's order is that of the steps, for every job. */
function isAsWritten(plan: Plan): boolean {
  return (
    plan.strategy === 'fallback' &&
    plan.children.every(({ node }) => typeof node === 'number' || isAsWritten(node))
  );
}

function assertNoCircle(path: readonly string[], nested: string, param: string): void {
  const invalid = (sentence: string) => new ApiError('invalid_value', sentence, { param });
  if (path.includes(nested)) {
    throw invalid(`The policies go round in a circle: ${[...path, nested].join(' → ')}.`);
  }
  if (path.length >= MOST_STEPS) {
    throw invalid(
      `More than ${MOST_STEPS} policies stand inside each other: ${path.slice(0, 3).join(' → ')} → …`,
    );
  }
}

/** The error for a policy that is not there; `nestedIn` is the policy that names it, if one does. */
export function unknownPolicy(name: string, param: string, nestedIn?: string): ApiError {
  const by = nestedIn === undefined ? '' : `, which policy '${nestedIn.slice(0, 64)}' names`;
  return new ApiError(
    'unknown_policy',
    `There is no policy '${name.slice(0, 64)}'${by}. GET /v1/policies lists those that are there; PUT /v1/policies/{name} makes one.`,
    { param },
  );
}

function assertLength(steps: readonly Step[], param: string): void {
  if (steps.length > MOST_STEPS) {
    throw new ApiError(
      'invalid_value',
      `The chain has more than ${MOST_STEPS} models once its policies are laid out.`,
      { param },
    );
  }
}
