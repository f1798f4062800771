import type { WrittenPolicies } from '../config/read-config.js';
import { ApiError } from '../http/api-error.js';
import { whyUnknown } from '../providers/why-unknown.js';
import { checkPolicy } from './check-policy.js';
import type { PolicyDto } from './policy.dto.js';
import { chainOfPolicy, policyNameOf, type Surroundings } from './resolve-chain.js';

/**
 * All that is wrong with the policies of the config file, one line each; empty if nothing is. It needs no database: a
 * policy of the file can nest only others of the file, so what it says does not hang on what was put over the API.
 */
export async function problemsOfPolicies({
  place,
  policies,
  providerNames,
}: WrittenPolicies): Promise<string[]> {
  const problems: string[] = [];
  const sound = new Map<string, PolicyDto>();
  for (const [name, raw] of policies) {
    const checked = checkedOrProblem(name, raw);
    if (typeof checked === 'string') problems.push(`${place}.${name}: ${checked}`);
    else sound.set(name, checked);
  }
  const around: Surroundings = {
    whyUnknown: (model) => whyUnknown(model, providerNames),
    findPolicy: (name) => Promise.resolve({ body: sound.get(name) ?? { steps: [] }, version: 0 }),
  };
  for (const [name, policy] of sound) {
    const unknown = unknownSteps(policy, policies, around);
    const found = unknown.length > 0 ? unknown : await problemOfChain(name, policy, around);
    problems.push(...found.map((problem) => `${place}.${name}.${problem}`));
  }
  return problems;
}

function checkedOrProblem(name: string, raw: unknown): PolicyDto | string {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return 'must be a mapping, such as { steps: [ { model: sim/echo } ] }';
  }
  try {
    return checkPolicy(name, raw);
  } catch (error) {
    return sentenceOf(error);
  }
}

/** Each step that names nothing that is there. */
function unknownSteps(
  policy: PolicyDto,
  policies: ReadonlyMap<string, unknown>,
  around: Surroundings,
): string[] {
  return policy.steps.flatMap(({ model }, index) => {
    const nested = policyNameOf(model);
    const problem =
      nested === null
        ? around.whyUnknown(model)
        : policies.has(nested)
          ? null
          : `There is no policy '${nested.slice(0, 64)}' in this file, and a policy of the file can nest only those.`;
    return problem === null ? [] : [`steps.${index}.model: ${problem}`];
  });
}

/** What shows only when the chain is laid out: circles, and too many models. */
async function problemOfChain(name: string, policy: PolicyDto, around: Surroundings): Promise<string[]> {
  try {
    await chainOfPolicy(policy, name, 'steps', around);
    return [];
  } catch (error) {
    if (error instanceof ApiError && error.code === 'unknown_model') return []; // said at the policy that names it
    const param = error instanceof ApiError ? error.param : null;
    return [`${param ?? 'steps'}: ${sentenceOf(error)}`];
  }
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  return error.message;
}
