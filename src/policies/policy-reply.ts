import { CHAIN_DEFAULTS } from '../routing/chain.js';
import type { PolicyRow } from './policies.repository.js';
import type { PolicyDto, PolicyStepDto } from './policy.dto.js';
import type { PolicyReplyDto, PolicyStepReplyDto } from './policy-reply.dto.js';
import { defaultMaxAttempts, expectationOf, policyNameOf, stickyByOf } from './resolve-chain.js';

/** How users see a version of a policy: every default is said. */
export function toPolicyReply(row: PolicyRow): PolicyReplyDto {
  // Checked when it was written.
  const policy = row.body as unknown as PolicyDto;
  const expect = expectationOf(policy.expect);
  return {
    object: 'policy',
    name: row.name,
    version: row.version,
    source: row.source,
    description: policy.description ?? null,
    strategy: policy.strategy ?? 'fallback',
    sticky_by: stickyByOf(policy),
    steps: policy.steps.map(toStepReply),
    on: policy.on ?? {},
    expect: {
      json: expect.json,
      json_schema: expect.jsonSchema,
      finish_reason: policy.expect?.finish_reason ?? null,
      not_empty: expect.notEmpty,
      min_length: expect.minLength,
      pattern: expect.pattern,
    },
    rounds: policy.rounds ?? CHAIN_DEFAULTS.rounds,
    max_attempts: policy.max_attempts ?? mostAttemptsOf(policy.steps),
    created_at: Math.floor(row.created_at.getTime() / 1000),
  };
}

function toStepReply(step: PolicyStepDto): PolicyStepReplyDto {
  const isNested = policyNameOf(step.model) !== null;
  return {
    model: step.model,
    retries: isNested ? null : (step.retries ?? CHAIN_DEFAULTS.retries),
    timeout_ms: isNested ? null : (step.timeout_ms ?? CHAIN_DEFAULTS.timeoutMs),
    patience_ms: isNested ? null : (step.patience_ms ?? CHAIN_DEFAULTS.patienceMs),
    weight: step.weight ?? 1,
    overrides: step.overrides ?? {},
  };
}

/** How many models a nested policy has is its own affair, and may change. */
function mostAttemptsOf(steps: readonly PolicyStepDto[]): number | null {
  const isNested = steps.some(({ model }) => policyNameOf(model) !== null);
  return isNested ? null : defaultMaxAttempts(steps.length);
}
