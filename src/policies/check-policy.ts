import { ApiError } from '../http/api-error.js';
import { checkedDeep } from '../http/validation.js';
import { PolicyDto } from './policy.dto.js';

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
  return policy;
}
