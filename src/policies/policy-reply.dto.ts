import type { FailureClass, RuleDecision } from '../routing/failure.js';

/** One step of a policy, with its defaults filled in. */
export class PolicyStepReplyDto {
  model: string;
  retries: number;
  timeout_ms: number;
  overrides: Record<string, unknown>;
}

/** A version of a policy, with its defaults filled in. */
export class PolicyReplyDto {
  object: 'policy';
  name: string;
  /** 1 for the first. */
  version: number;
  /** `config`: it stands in the config file and is changed only there. */
  source: 'api' | 'config';
  description: string | null;
  strategy: 'fallback';
  steps: PolicyStepReplyDto[];
  /** By class of failure; the defaults are not repeated. */
  on: Partial<Record<FailureClass, RuleDecision>>;
  rounds: number;
  max_attempts: number;
  /** Unix seconds at which this version was made. */
  created_at: number;
}

/** A page of policies, or of a policy's versions; `first_id` and `last_id` are names or versions. */
export class PolicyListDto {
  object: 'list';
  data: PolicyReplyDto[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

/** What the deletion of a policy is answered with. */
export class PolicyDeletedDto {
  object: 'policy.deleted';
  name: string;
  deleted: true;
}
