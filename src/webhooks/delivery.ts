import type { DeliveryStatus } from '../storage/schema.js';
import type { StoredEvent } from './event.js';

/** A delivery that this worker alone may try now. */
export interface ClaimedDelivery {
  /** The row's uuid. */
  readonly id: string;
  readonly projectId: string;
  readonly url: string;
  readonly lane: string;
  /** Fences off a worker that was thought dead: its later writes must carry the token of its own claim. */
  readonly leaseToken: number;
  readonly event: StoredEvent;
}

/** One HTTP call of a delivery, as it ended. */
export interface FinishedTry {
  /** 0 for the first. */
  readonly index: number;
  readonly durationMs: number;
  readonly httpStatus: number | null;
  readonly error: string | null;
  readonly responseText: string | null;
}

/** A delivery with all its tries. */
export interface DeliveryRecord {
  readonly id: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly jobId: string | null;
  readonly url: string;
  readonly status: DeliveryStatus;
  readonly tryCount: number;
  readonly createdAt: Date;
  readonly dueAt: Date;
  readonly finishedAt: Date | null;
  readonly lastError: string | null;
  readonly tries: readonly TryRecord[];
}

/** A try; what only its end tells is null while it runs. */
export interface TryRecord {
  readonly index: number;
  readonly startedAt: Date;
  readonly durationMs: number | null;
  readonly httpStatus: number | null;
  readonly error: string | null;
  readonly responseText: string | null;
}
