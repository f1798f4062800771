/** What is asked of whoever keeps our limits: room for a call in all of them at once, or in none. */
import type { CallLimits } from '../config/config.js';

/** The limits that go by one name: a key (`openai/openai-ab12cd34`), or a model with a key (`openai/openai-ab12cd34/gpt-4o`). */
export interface NamedLimits {
  readonly name: string;
  readonly limits: CallLimits;
}

/** One call, and the limits in which it must find room. */
export interface Demand {
  /** Unlike any other call's: the attempt's id. */
  readonly id: string;
  /** How many tokens it is estimated to use, both ways. */
  readonly tokens: number;
  readonly limits: readonly NamedLimits[];
  /**
   * How long its place among the concurrent calls is kept when nobody renews or gives it back: so long does a dead
   * worker's call stand in the way. Renew it several times in that span.
   */
  readonly holdMs: number;
}

export type LimitKind = keyof CallLimits;

/** Room was found in every limit, and is taken. */
export interface Granted {
  readonly ok: true;
  readonly demand: Demand;
  /** When, on the monotonic clock of the limiter. */
  readonly sinceMs: number;
  /** True if it was taken from what all processes share. */
  readonly isShared: boolean;
}

/** Nothing was taken. */
export interface Refused {
  readonly ok: false;
  /** The name of the limit that stays full the longest, and which of them it is. */
  readonly limit: string;
  readonly kind: LimitKind;
  /** The call's likely place in the line of those who wait, in milliseconds; at least 1. No promise. */
  readonly retryAfterMs: number;
}

export interface Limiter {
  take(demand: Demand): Promise<Granted | Refused>;
  /**
   * Frees the place, and corrects the tokens by what was really used (the estimate, where that is not known). Null says that the
   * call was not made: everything goes back. Once for each grant.
   */
  giveBack(granted: Granted, usedTokens: number | null): Promise<void>;
  /** Keeps the place for another `holdMs`. */
  renew(granted: Granted): Promise<void>;
}
