/** Why a call may not be made now: said to people, with the time after which to ask again. */
import { FAILURES } from '../routing/failure.js';
import type { CircuitView } from './circuit-view.js';
import type { LimitKind, Refused } from './limiter.js';

export interface Refusal {
  readonly class: 'circuit_open' | 'locally_limited';
  /** A sentence: who, why, until when. */
  readonly message: string;
  readonly retryAfterMs: number;
  /** True if those who were sent away are told when there is room; a limit per minute tells them their turn at once. */
  readonly isRung: boolean;
}

/** Who else waits, to guess whose turn is when. */
export interface Line {
  /** How many were sent away before. */
  readonly waiting: number;
  /** How long a good answer takes; null if that is not known. */
  readonly meanMs: number | null;
}

const SHORTEST_MS = 250;
const LONGEST_MS = 30_000;
const UNKNOWN_MEAN_MS = 1_000;
/** One probes for all of them; the others come after it, one behind the other. */
const BEHIND_PROBE_MS = 10;
const LONGEST_BEHIND_MS = 5_000;
/** When to ask about what an operator has closed for good. */
const FOR_GOOD_MS = 60_000;
const WHILE_PROBED_MS = 1_000;

/** A circuit that lets nobody through, or nobody more while it recovers. */
export function circuitRefusal(view: CircuitView, nowMs: number, line: Line): Refusal {
  const behindMs = Math.min(line.waiting * BEHIND_PROBE_MS, LONGEST_BEHIND_MS);
  const refusal = { class: 'circuit_open', isRung: true } as const;
  const who = circuitName(view);
  if (view.state === 'closed') {
    const message = `${who} is recovering: no more than ${callsAtOnce(view.cap ?? 1)} for now.`;
    return { ...refusal, message, retryAfterMs: turnMs(line, view.cap ?? 1) };
  }
  if (view.state === 'half_open') {
    const message = `${who} has been failing (${reasonOf(view)}) and is being tried with one call.`;
    return { ...refusal, message, retryAfterMs: WHILE_PROBED_MS + behindMs };
  }
  const until = view.untilMs === null ? 'an operator opens it again' : toTime(view.untilMs);
  const why = view.isForced ? 'an operator has taken it out' : reasonOf(view);
  const waitMs = view.untilMs === null ? FOR_GOOD_MS : Math.max(0, view.untilMs - nowMs);
  const message = `${who} is left alone until ${until}: ${why}.`;
  return { ...refusal, message, retryAfterMs: Math.max(SHORTEST_MS, Math.ceil(waitMs + behindMs)) };
}

/** The model bears no more calls at once with this key, as far as we have found out. */
export function capRefusal(model: string, keyId: string | null, cap: number, line: Line): Refusal {
  return {
    class: 'locally_limited',
    message: `${model}${withKey(keyId)} bears no more than ${callsAtOnce(cap)} of late, and has them.`,
    retryAfterMs: turnMs(line, cap),
    isRung: true,
  };
}

const LIMIT_WORDS: Readonly<Record<LimitKind, string>> = {
  rpm: 'requests a minute',
  tpm: 'tokens a minute',
  concurrency: 'calls at once',
};

/** A limit of the config is used up. */
export function limitRefusal({ limit, kind, retryAfterMs }: Refused, most: number | undefined): Refusal {
  return {
    class: 'locally_limited',
    message: `${limit} is at its limit of ${most ?? 'so many'} ${LIMIT_WORDS[kind]} (\`limits\` in the config).`,
    retryAfterMs: Math.max(SHORTEST_MS, retryAfterMs),
    isRung: kind === 'concurrency',
  };
}

/** Of the refusals of several keys, the one that is over first. */
export function soonest(refusals: readonly Refusal[]): Refusal | undefined {
  const [first] = refusals.toSorted((a, b) => a.retryAfterMs - b.retryAfterMs);
  if (!first || refusals.length === 1) return first;
  return { ...first, message: `None of ${refusals.length} keys is ready. The first to be: ${first.message}` };
}

/** When the turn of one who comes now may be: those who wait go first, `cap` at a time; spread, so that they don't all come at once. */
function turnMs({ waiting, meanMs }: Line, cap: number): number {
  const ownMs = (meanMs ?? UNKNOWN_MEAN_MS) * ((waiting + 1) / cap);
  const spread = 0.75 + Math.random() / 2;
  return Math.ceil(Math.min(LONGEST_MS, Math.max(SHORTEST_MS, ownMs * spread)));
}

/** Whom a circuit guards, in words. */
export function circuitName({ id: { provider, keyId, model } }: CircuitView): string {
  if (model !== null) return `${provider}/${model}${withKey(keyId)}`;
  return keyId === null ? `The account at ${provider}` : `The key ${keyId} of ${provider}`;
}

function withKey(keyId: string | null): string {
  return keyId === null ? '' : ` with the key ${keyId}`;
}

/** Why a circuit is open, in the words of the table of failures. */
export function reasonOf({ class: why, isForced }: Pick<CircuitView, 'class' | 'isForced'>): string {
  if (why === null) return isForced ? 'set by an operator' : 'an operator had taken it out';
  return `${why}: ${FAILURES[why].meaning.replace(/\.$/, '')}`;
}

function callsAtOnce(count: number): string {
  return count === 1 ? 'one call at once' : `${count} calls at once`;
}

function toTime(atMs: number): string {
  return new Date(Math.ceil(atMs / 1_000) * 1_000).toISOString().replace('.000Z', 'Z');
}
