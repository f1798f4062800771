/** The scripted faults of the simulation: replies that are read as the class that a script asks for. */
import type { FailureClass } from '../routing/failure.js';
import { parseOutcome, type ScriptedOutcome } from '../routing/outcome-script.js';
import { answerBody, answerLast, refusal, say, type SimCall, type SimReply } from './sim-answer.js';

/** The longest script that is read, far more than a job may make calls. */
const MOST_OUTCOMES = 1_000;

/** What the request's script says of this attempt; null if it says nothing, or there is none. */
export function scriptedReply(call: SimCall): SimReply | null {
  const script = call.body.sim;
  if (script === undefined) return null;
  if (!Array.isArray(script) || script.length > MOST_OUTCOMES) {
    return wrongScript(
      call,
      `\`sim\` must be a list of at most ${MOST_OUTCOMES} outcomes, as ["rate_limited:5", "ok"].`,
    );
  }
  const written: unknown = script[call.attemptIndex];
  if (written === undefined) return null;
  const outcome = parseOutcome(typeof written === 'string' ? written : JSON.stringify(written));
  return typeof outcome === 'string' ? wrongScript(call, outcome) : toReply(call, outcome);
}

function toReply(call: SimCall, outcome: ScriptedOutcome): SimReply {
  if (outcome.class === null) return answerLast(call);
  const fault = FAULTS[outcome.class];
  const reply =
    typeof fault === 'function' ? fault(call) : refusal(...fault, call, 'does as its script says');
  if (outcome.retryAfterMs === null) return reply;
  return { ...reply, headers: { 'retry-after-ms': String(outcome.retryAfterMs) } };
}

/** A status and code, or a reply of its own, for each class; the classes that no call can end in are told as a wrong request. */
const FAULTS: Readonly<
  Record<FailureClass, readonly [status: number, code: string] | ((call: SimCall) => SimReply)>
> = {
  incompatible: notOfCalls,
  circuit_open: notOfCalls,
  locally_limited: notOfCalls,
  budget_exceeded: notOfCalls,
  not_approved: notOfCalls,
  connect_failed: () => lost('connect', false),
  rate_limited: [429, 'rate_limit_exceeded'],
  overloaded: [503, 'overloaded_error'],
  quota_exhausted: [429, 'insufficient_quota'],
  unauthorized: [401, 'invalid_api_key'],
  model_not_found: [404, 'model_not_found'],
  context_length_exceeded: [400, 'context_length_exceeded'],
  invalid_request: [400, 'invalid_request_error'],
  content_filtered: [400, 'content_filter'],
  timeout: [504, 'timeout'],
  connection_lost: () => lost('reset', true),
  server_error: [500, 'server_error'],
  malformed: (call) => ({ status: 200, body: JSON.stringify(answerLast(call).body).slice(0, -20) }),
  empty: (call) => ({ status: 200, body: answerBody(call, {}) }),
  refused: (call) => textOnly(call, { refusal: say(call, 'refuses.') }),
  // These two are good answers where no policy expects another.
  truncated: (call) => textOnly(call, { text: say(call, 'was cut in the'), isCut: true }),
  schema_mismatch: (call) => textOnly(call, { text: say(call, 'says what was not asked for') }),
};

function lost(kind: 'connect' | 'reset', sent: boolean): SimReply {
  return { status: 0, lost: { kind, sent, message: 'the simulated call does as its script says' } };
}

function textOnly(call: SimCall, said: Parameters<typeof answerBody>[1]): SimReply {
  if (call.path === '/embeddings') return wrongScript(call, 'No embedding can end so.');
  return { status: 200, body: answerBody(call, said) };
}

function notOfCalls(call: SimCall): SimReply {
  return wrongScript(call, 'This is decided before a call, so no call can end so.');
}

function wrongScript(call: SimCall, why: string): SimReply {
  return refusal(400, 'invalid_request_error', call, `cannot follow its script: ${why}`);
}
