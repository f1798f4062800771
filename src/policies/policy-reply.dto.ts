import type { FailureClass, RuleDecision } from '../routing/failure.js';
import type { Strategy } from '../routing/plan.js';
import type { FinishReason } from './policy.dto.js';

/** One step of a policy, with its defaults filled in. */
export class PolicyStepReplyDto {
  model: string;
  /** Null beside `policy/name`, here and in the next two: that policy's own steps say it. */
  retries: number | null;
  timeout_ms: number | null;
  patience_ms: number | null;
  weight: number;
  overrides: Record<string, unknown>;
}

/** What a policy asks of an answer, with its defaults filled in. */
export class PolicyExpectReplyDto {
  json: boolean;
  json_schema: boolean;
  /** Null for any. */
  finish_reason: FinishReason[] | null;
  not_empty: boolean;
  /** Characters; null for any. */
  min_length: number | null;
  pattern: string | null;
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
  strategy: Strategy;
  /** Null unless the strategy is `weighted`; then null if each job draws for itself. */
  sticky_by: string | null;
  steps: PolicyStepReplyDto[];
  /** By class of failure; the defaults are not repeated. */
  on: Partial<Record<FailureClass, RuleDecision>>;
  expect: PolicyExpectReplyDto;
  rounds: number;
  /** Null if it is left to the number of models that nested policies lay out: that many, at least 10. */
  max_attempts: number | null;
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
