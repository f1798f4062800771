import type { FailureClass } from './failure.js';

/** Tokens of one call as the provider counted them. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  /** The part of `inputTokens` that came from the provider's cache. */
  readonly cachedInputTokens: number;
  /** The part of `inputTokens` that was written to the provider's cache, where that has a price of its own. */
  readonly cacheWriteTokens: number;
  /** The part of `outputTokens` that was spent on reasoning. */
  readonly reasoningTokens: number;
  /** What of it is sound, which has prices of its own; absent where there is none, or the provider does not say. Not kept. */
  readonly audio?: AudioUsage;
  /** True where the call ran in a class of service that has other prices than those that are published for the model. Not kept. */
  readonly isOffList?: boolean;
}

/** Tokens of sound, as parts of the counts of the same name in {@link Usage}. */
export interface AudioUsage {
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
}

interface Called {
  /** HTTP status of the reply; null if there was none. */
  readonly httpStatus: number | null;
  /** The provider's own id for the call (`x-request-id`), if it gave one. */
  readonly upstreamRequestId: string | null;
  /** Null where the provider did not say. */
  readonly usage: Usage | null;
  /** Price in millionths of a US dollar; null where it is not known. */
  readonly costMicros: number | null;
  /** Which of the provider's keys was used; null for a provider without keys. */
  readonly keyId: string | null;
}

/** A good answer: `body` is OpenAI's JSON, the provider's own byte for byte or translated from another format. */
export interface Answer extends Called {
  readonly ok: true;
  readonly httpStatus: number;
  readonly body: string;
}

/** A failed call. A model's failure is a value, never an exception. */
export interface Failure extends Called {
  readonly ok: false;
  readonly class: FailureClass;
  /** One sentence for people, bounded in length, without secrets. */
  readonly message: string;
  /** True if bytes of the request may have left this machine: the call may have run and may cost. */
  readonly sent: boolean;
  /** How long the provider asks us to stay away, in milliseconds; null if it does not say. */
  readonly retryAfterMs: number | null;
  /** The provider's error body as text (at most 64 KiB), to show the caller when the job fails; null if there is none. */
  readonly body: string | null;
}

export type CallResult = Answer | Failure;

/** What is not known of a call that brought no reply, or was not made. */
export const NO_REPLY = {
  ok: false,
  httpStatus: null,
  upstreamRequestId: null,
  usage: null,
  costMicros: null,
  retryAfterMs: null,
  body: null,
} as const;
