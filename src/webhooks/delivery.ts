import type { DeliveryStatus } from '../storage/webhook-tables.js';
import type { StoredEvent } from './event.js';

/** A delivery that this worker alone may try now. */
export interface ClaimedDelivery {
  /** The row's uuid. */
  readonly id: string;
  readonly projectId: string;
  /** Null if it goes to the URL that its job or batch names. */
  readonly endpointId: string | null;
  readonly jobId: string | null;
  /** The endpoint's own as it is now, or the job's or batch's. */
  readonly url: string;
  readonly lane: string;
  /** Whether the receiver asked for results. */
  readonly includeResult: boolean;
  /** Made up to try an endpoint: it says nothing of how that fares. */
  readonly isSample: boolean;
  /** Fences off a worker that was thought dead: its later writes must carry the token of its own claim. */
  readonly leaseToken: number;
  readonly event: StoredEvent;
}

/** A try that is about to be made. */
export interface BegunTry {
  /** 0 for the first. */
  readonly index: number;
  /** Its place in the schedule, which begins anew when a delivery is sent anew; 0 for the first. */
  readonly place: number;
  readonly startedAt: Date;
}

/** One HTTP call of a delivery, as it ended. */
export interface FinishedTry {
  /** 0 for the first. */
  readonly index: number;
  readonly durationMs: number;
  readonly httpStatus: number | null;
  readonly error: string | null;
  readonly responseText: string | null;
  /** Whether the job's whole result was sent along. */
  readonly carriedResult: boolean;
}

/** A delivery with all its tries. */
export interface DeliveryRecord {
  readonly id: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly jobId: string | null;
  readonly batchId: string | null;
  readonly endpointId: string | null;
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
