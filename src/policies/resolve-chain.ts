import { ApiError } from '../http/api-error.js';
import { CHAIN_DEFAULTS, type Chain, type Step } from '../routing/chain.js';
import { MOST_STEPS, type PolicyDto } from './policy.dto.js';

/** What the resolving of a chain asks of its surroundings. */
export interface Surroundings {
  /** The policy of that name; null if there is none. */
  findPolicy(name: string): Promise<{ body: PolicyDto; version: number } | null>;
  /** Null if the model can be called, else a sentence that says what is wrong and what would be right. */
  whyUnknown(model: string): string | null;
}

const POLICY_PREFIX = 'policy/';

/** The name in `policy/<name>`; null for a model. */
export function policyNameOf(model: string): string | null {
  return model.startsWith(POLICY_PREFIX) ? model.slice(POLICY_PREFIX.length) : null;
}

/**
 * Lays a policy out flat: the steps of nested policies stand where their name stood, with their own `on` rules; rounds
 * and attempts are the outer policy's. Throws an ApiError that names the place (`param`) of an unknown model or policy,
 * a circle, or a chain that is too long.
 */
export async function chainOfPolicy(
  policy: PolicyDto,
  name: string,
  param: string,
  around: Surroundings,
): Promise<Chain> {
  const steps = await stepsOfPolicy(policy, [name], param, around);
  return {
    steps,
    rounds: policy.rounds ?? CHAIN_DEFAULTS.rounds,
    maxAttempts: policy.max_attempts ?? defaultMaxAttempts(steps.length),
    plan: null,
  };
}

/** A chain of models (or policies) written on the spot. Throws as {@link chainOfPolicy}. */
export async function chainOfModels(
  models: readonly { model: string; param: string }[],
  around: Surroundings,
): Promise<Chain> {
  const steps: Step[] = [];
  for (const { model, param } of models) {
    steps.push(...(await stepsOfModel({ model }, {}, [], param, around)));
    assertLength(steps, param);
  }
  return {
    steps,
    rounds: CHAIN_DEFAULTS.rounds,
    maxAttempts: defaultMaxAttempts(steps.length),
    plan: null,
  };
}

/** Every model of a chain gets its turn, unless its policy says otherwise. */
export function defaultMaxAttempts(steps: number): number {
  return Math.max(CHAIN_DEFAULTS.maxAttempts, steps);
}

async function stepsOfPolicy(
  policy: PolicyDto,
  path: readonly string[],
  param: string,
  around: Surroundings,
): Promise<Step[]> {
  const steps: Step[] = [];
  for (const [index, step] of policy.steps.entries()) {
    // Only the outermost policy's own steps are the caller's to mend by place; deeper ones are named by their policy.
    const isOwn = path.length === 1 && param === 'steps';
    const placeOf = (field: string) => (isOwn ? `steps.${index}.${field}` : param);
    assertPlain(step, placeOf);
    steps.push(...(await stepsOfModel(step, policy.on ?? {}, path, placeOf('model'), around)));
    assertLength(steps, param);
  }
  return steps;
}

/** What would be passed over in silence is refused; null is taken as left out. */
function assertPlain(step: PolicyDto['steps'][number], placeOf: (field: string) => string): void {
  const overrides = step.overrides ?? {};
  const refuse = (field: string, sentence: string) => {
    throw new ApiError('invalid_value', sentence, { param: placeOf(field) });
  };
  if (overrides['stream'] === true) {
    refuse('overrides', 'overrides.stream must be left out: a job collects the whole answer.');
  }
  if ('model' in overrides || 'models' in overrides) {
    refuse('overrides', "overrides.model must be left out: the step's own model says which one is called.");
  }
  if (policyNameOf(step.model) !== null && (step.retries ?? step.timeout_ms ?? null) !== null) {
    refuse('model', `retries and timeout_ms must be left out beside ${step.model}: its own steps say them.`);
  }
}

async function stepsOfModel(
  step: PolicyDto['steps'][number],
  on: Step['on'],
  path: readonly string[],
  param: string,
  around: Surroundings,
): Promise<Step[]> {
  const nested = policyNameOf(step.model);
  if (nested !== null) {
    if (path.includes(nested)) {
      throw new ApiError(
        'invalid_value',
        `The policies go round in a circle: ${[...path, nested].join(' → ')}.`,
        { param },
      );
    }
    const found = await around.findPolicy(nested);
    if (!found) throw unknownPolicy(nested, param);
    const inner = await stepsOfPolicy(found.body, [...path, nested], param, around);
    return step.overrides
      ? inner.map((each) => ({ ...each, overrides: { ...each.overrides, ...step.overrides } }))
      : inner;
  }
  const problem = around.whyUnknown(step.model);
  if (problem !== null) throw new ApiError('unknown_model', problem, { param });
  return [
    {
      model: step.model,
      retries: step.retries ?? CHAIN_DEFAULTS.retries,
      timeoutMs: step.timeout_ms ?? CHAIN_DEFAULTS.timeoutMs,
      overrides: step.overrides ?? {},
      on,
      patienceMs: CHAIN_DEFAULTS.patienceMs,
      expect: null,
    },
  ];
}

/** The error for a policy that is not there. */
export function unknownPolicy(name: string, param: string): ApiError {
  return new ApiError(
    'unknown_policy',
    `There is no policy '${name.slice(0, 64)}'. GET /v1/policies lists those that are there; PUT /v1/policies/{name} makes one.`,
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
