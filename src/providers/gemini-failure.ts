/**
 * What Google's errors mean where their status and general code alone do not tell. Google answers a wrong key with 400, a used-up
 * day and a busy minute both with 429 and `RESOURCE_EXHAUSTED`, and puts the difference into `details`.
 * Source: google.rpc.Status with ErrorInfo, QuotaFailure and RetryInfo; Gemini API pages "Troubleshooting" and "Rate limits".
 */
import type { FailureClass } from '../routing/failure.js';
import { classifyError, type ErrorFacts } from './classify-error.js';
import { at, objectsOf, type JsonObject } from './json.js';

/** The class of an error of Google's with this status. `body` is the parsed reply, `facts` what was read out of it. */
export function classifyGoogleError(status: number, body: unknown, facts: ErrorFacts): FailureClass {
  const details = objectsOf(at(Array.isArray(body) ? at(body, 0) : body, 'error', 'details'));
  const reasons = details.map((detail) => CLASS_BY_REASON.get(detail.reason));
  return (
    reasons.find((found) => found !== undefined) ??
    (details.some(hasLongQuota) ? 'quota_exhausted' : undefined) ??
    CLASS_BY_SENTENCE.find(([sentence]) => sentence.test(facts.message))?.[1] ??
    classifyError(status, facts)
  );
}

/** The reasons of an ErrorInfo that tell more than the status. */
const CLASS_BY_REASON: ReadonlyMap<unknown, FailureClass> = new Map([
  ['API_KEY_INVALID', 'unauthorized'], // Comes with 400.
  ['API_KEY_EXPIRED', 'unauthorized'],
  ['SERVICE_DISABLED', 'unauthorized'],
  ['CONSUMER_SUSPENDED', 'unauthorized'],
  ['BILLING_DISABLED', 'quota_exhausted'],
  ['MODEL_CAPACITY_EXHAUSTED', 'overloaded'], // Comes with 429: the model is full, not the caller's quota.
]);

/** Sentences that come without a reason. */
const CLASS_BY_SENTENCE: readonly (readonly [RegExp, FailureClass])[] = [
  [/credits are depleted|spending cap|limit: 0\b/i, 'quota_exhausted'],
  [/user location is not supported|reported as leaked|not available in your country/i, 'unauthorized'],
  // A file that the caller names, not the key: comes with 403.
  [/permission to access the file/i, 'invalid_request'],
  [/request payload size exceeds|exceeds the maximum number of tokens/i, 'context_length_exceeded'],
];

/**
 * True for a quota of a day: it is free again at midnight in California, so waiting does not help a job. A quota of a minute
 * does heal. Where both are used up the day counts, although Google's RetryInfo then speaks of seconds.
 */
function hasLongQuota(detail: JsonObject): boolean {
  return objectsOf(detail.violations).some((violation) => /PerDay/i.test(String(violation.quotaId)));
}
