import { ApiError } from '../http/api-error.js';
import { checkedDeep } from '../http/validation.js';
import { problemOfPattern } from '../providers/safe-pattern.js';
import { PolicyDto, type PolicyStepDto } from './policy.dto.js';
import { policyNameOf } from './resolve-chain.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Whether a policy can have this name; nothing is asked of the database by any other. */
export function isPolicyName(name: string): boolean {
  return NAME.test(name);
}

/** Checks what stands in the policy itself; whether its models are there is for the chain. Throws an ApiError. */
export function checkPolicy(name: string, body: unknown): PolicyDto {
  if (!isPolicyName(name)) {
    throw new ApiError(
      'invalid_value',
      `'${name.slice(0, 64)}' is no name for a policy: 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit.`,
      { param: 'name' },
    );
  }
  const policy = checkedDeep(PolicyDto, body);
  const written = policy.name ?? name;
  if (written !== name) {
    throw new ApiError(
      'invalid_value',
      `name is '${written.slice(0, 64)}', but the policy's name is '${name}'. Leave it out, or make them equal.`,
      { param: 'name' },
    );
  }
  for (const [index, step] of policy.steps.entries()) assertPlain(step, `steps.${index}`);
  assertStrategy(policy);
  assertRules(policy.on ?? {});
  const pattern = policy.expect?.pattern ?? null;
  const problem = pattern === null ? null : problemOfPattern(pattern);
  if (problem !== null) refuse('expect.pattern', `is no pattern: ${problem}`);
  return policy;
}

/** What would be passed over in silence is refused; null is taken as left out. */
function assertPlain(step: PolicyStepDto, place: string): void {
  const overrides = step.overrides ?? {};
  if (overrides['stream'] === true) {
    refuse(`${place}.overrides.stream`, 'must be left out: a job collects the whole answer.');
  }
  for (const field of ['model', 'models']) {
    if (!(field in overrides)) continue;
    refuse(`${place}.overrides.${field}`, "must be left out: the step's own model says which one is called.");
  }
  if (policyNameOf(step.model) === null) return;
  for (const field of ['retries', 'timeout_ms', 'patience_ms'] as const) {
    if ((step[field] ?? null) === null) continue;
    refuse(`${place}.${field}`, `must be left out beside ${step.model.slice(0, 80)}: its own steps say it.`);
  }
}

function assertStrategy(policy: PolicyDto): void {
  const strategy = policy.strategy ?? 'fallback';
  if (strategy === 'weighted') {
    if (policy.steps.some(({ weight }) => weight !== 0)) return;
    refuse('steps', 'must have a weight above 0: with none, no model would come first.');
  }
  const only = `must be left out beside the strategy '${strategy}': only 'weighted' has a use for it.`;
  if ((policy.sticky_by ?? null) !== null) refuse('sticky_by', only);
  const weighted = policy.steps.findIndex(({ weight }) => (weight ?? 1) !== 1);
  if (weighted >= 0) refuse(`steps.${weighted}.weight`, only);
}

/** What is known of a model and a request does not change while a job waits. */
function assertRules({ incompatible }: NonNullable<PolicyDto['on']>): void {
  if (incompatible !== 'retry' && incompatible !== 'wait') return;
  refuse(
    'on',
    `says '${incompatible}' for incompatible. It must be one of: next, stop. No wait makes the model fit.`,
  );
}

function refuse(param: string, predicate: string): never {
  throw new ApiError('invalid_value', `${param} ${predicate}`, { param });
}
