/**
 * Routing: what to do next with a job. PURE: no Nest, no I/O, no clock, no random of its own; it imports only itself.
 *
 * This page: the classes of failure and what each means.
 */

/** Every class of failure that an attempt can end in (the contract's list, in its order). */
export const FAILURE_CLASSES = [
  // Not sent.
  'incompatible',
  'circuit_open',
  'locally_limited',
  'budget_exceeded',
  'not_approved',
  'connect_failed',
  // Refused.
  'rate_limited',
  'overloaded',
  'quota_exhausted',
  'unauthorized',
  'model_not_found',
  'context_length_exceeded',
  'invalid_request',
  'content_filtered',
  // Uncertain: it may have run and cost.
  'timeout',
  'connection_lost',
  'server_error',
  // Bad answer.
  'malformed',
  'empty',
  'truncated',
  'refused',
  'schema_mismatch',
] as const;

export type FailureClass = (typeof FAILURE_CLASSES)[number];

/** What a policy may say of a class: try the same model again, go on, wait for it, or end the job. */
export const RULE_DECISIONS = ['retry', 'next', 'wait', 'stop'] as const;
export type RuleDecision = (typeof RULE_DECISIONS)[number];

/** What is known of a request when it failed, as a sentence for the documentation. */
export const FAILURE_GROUPS = {
  not_sent: '**Not sent.** The model never saw the request, so it cost nothing.',
  refused: '**Refused.** The provider answered, and said no.',
  uncertain: '**Uncertain.** The request may have run, and may have cost.',
  bad_answer: '**Bad answer.** The model ran and is paid, but its answer is of no use.',
} as const;
type FailureGroup = keyof typeof FAILURE_GROUPS;

interface FailureFacts {
  readonly group: FailureGroup;
  /** What happens where no policy says otherwise. `retry` falls back to `next` once the step's retries are used up. */
  readonly rule: 'retry' | 'next';
  /** True if a later round may find it gone, so that waiting is worth it. */
  readonly heals: boolean;
  /** One sentence for the documentation. */
  readonly meaning: string;
}

/**
 * The one table of what each class means by default; `docs/routing.md` is printed from it.
 *
 * Bad answers heal where the answer is drawn anew each time (garbage, nothing, a wrong shape). A limit on length and a
 * model's own refusal would be met again by the same request, and every such answer is paid for: those do not.
 */
export const FAILURES = {
  incompatible: {
    group: 'not_sent',
    rule: 'next',
    heals: false,
    meaning:
      'The catalogue says that this model cannot take this request (context, modality, tools, schema).',
  },
  circuit_open: {
    group: 'not_sent',
    rule: 'next',
    heals: true,
    meaning: 'This model has been failing for everyone, and is left alone until its circuit closes.',
  },
  locally_limited: {
    group: 'not_sent',
    rule: 'next',
    heals: true,
    meaning: 'A limit that you set on this provider or model is reached for the moment.',
  },
  budget_exceeded: {
    group: 'not_sent',
    rule: 'next',
    heals: false,
    meaning:
      'The call would cost more than the budget has left; budgets last days, so waiting does not help.',
  },
  not_approved: {
    group: 'not_sent',
    rule: 'next',
    heals: false,
    meaning: 'The key may not use this model.',
  },
  connect_failed: {
    group: 'not_sent',
    rule: 'retry',
    heals: true,
    meaning: 'No connection: refused, name not found, TLS failed.',
  },
  rate_limited: {
    group: 'refused',
    rule: 'retry',
    heals: true,
    meaning: 'Too many requests for the provider; its Retry-After is kept.',
  },
  overloaded: {
    group: 'refused',
    rule: 'retry',
    heals: true,
    meaning: 'The provider has no capacity just now.',
  },
  quota_exhausted: {
    group: 'refused',
    rule: 'next',
    heals: false,
    meaning: 'The account at the provider is out of credit; a person has to top it up.',
  },
  unauthorized: {
    group: 'refused',
    rule: 'next',
    heals: false,
    meaning: 'The provider does not accept the key; a person has to change it.',
  },
  model_not_found: {
    group: 'refused',
    rule: 'next',
    heals: false,
    meaning: 'The provider does not have this model.',
  },
  context_length_exceeded: {
    group: 'refused',
    rule: 'next',
    heals: false,
    meaning: 'The request is longer than the model can take.',
  },
  invalid_request: {
    group: 'refused',
    rule: 'next',
    heals: false,
    meaning: 'The provider says that the request is wrong; another provider may take it.',
  },
  content_filtered: {
    group: 'refused',
    rule: 'next',
    heals: false,
    meaning: "The provider's content filter stopped the request or the answer.",
  },
  timeout: {
    group: 'uncertain',
    rule: 'retry',
    heals: true,
    meaning: "No whole answer within the step's timeout.",
  },
  connection_lost: {
    group: 'uncertain',
    rule: 'retry',
    heals: true,
    meaning: 'The connection broke after the request had begun to leave.',
  },
  server_error: {
    group: 'uncertain',
    rule: 'retry',
    heals: true,
    meaning: 'The provider failed inside (500, 502, 504 and the like).',
  },
  malformed: {
    group: 'bad_answer',
    rule: 'next',
    heals: true,
    meaning: 'The answer is not what the endpoint promises: not JSON, an HTML page, parts missing.',
  },
  empty: {
    group: 'bad_answer',
    rule: 'next',
    heals: true,
    meaning: 'The answer has nothing in it.',
  },
  truncated: {
    group: 'bad_answer',
    rule: 'next',
    heals: false,
    meaning: 'The answer stops at the output limit; the same request would meet the same limit.',
  },
  refused: {
    group: 'bad_answer',
    rule: 'next',
    heals: false,
    meaning: 'The model itself declined to answer.',
  },
  schema_mismatch: {
    group: 'bad_answer',
    rule: 'next',
    heals: true,
    meaning: 'The answer does not have the JSON shape that was asked for.',
  },
} as const satisfies Record<FailureClass, FailureFacts>;

/** What was decided after an attempt; `accept` is a success. */
export type Decision = 'accept' | RuleDecision;

/** How an attempt ended; null while it runs. */
export type Outcome = 'succeeded' | 'failed' | 'skipped' | 'interrupted' | 'cancelled' | 'superseded';
