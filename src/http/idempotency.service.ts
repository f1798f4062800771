import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { ApiError } from './api-error.js';
import { type IdempotencyKey, IdempotencyRepository, type KnownKey } from './idempotency.repository.js';

export type { IdempotencyKey } from './idempotency.repository.js';

const LOCK_NOT_AVAILABLE = '55P03';

/** What came of work that is to be done once for its key. */
export type Once<Made> =
  | { readonly made: Made }
  /** It was done before, by a request with the same key. */
  | { readonly knownId: string };

/** Has what a request makes made once, however often the request comes. */
@Injectable()
export class IdempotencyService {
  constructor(private readonly keys: IdempotencyRepository) {}

  /** The uuid of what a request with this key has made; null if none has. Throws `idempotency_mismatch` if it asked for something else. */
  async known(projectId: string, key: IdempotencyKey): Promise<string | null> {
    const known = await this.keys.find(projectId, key);
    return known === undefined ? null : sameRequest(known, key);
  }

  /**
   * Does the work in one transaction with the keeping of its key, which from then on stands for `resourceId`. Throws
   * `idempotency_mismatch` if the key stands for another request, and `idempotency_in_flight` if one with the same key is
   * under way for longer than 2 s.
   */
  async once<Made>(
    projectId: string,
    key: IdempotencyKey,
    resourceId: string,
    work: (trx: DatabaseOrTransaction) => Promise<Made>,
  ): Promise<Once<Made>> {
    try {
      const done = await this.keys.once(projectId, key, resourceId, work);
      return 'made' in done ? done : { knownId: sameRequest(done.known, key) };
    } catch (error) {
      if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
      throw new ApiError(
        'idempotency_in_flight',
        'A request with this Idempotency-Key is still under way. Try again in a second.',
        { retryAfterSeconds: 1 },
      );
    }
  }
}

/** The digest of what a request asks: two that ask the same have the same. */
export function digestOf(asked: unknown): Buffer {
  return createHash('sha256').update(JSON.stringify(asked)).digest();
}

function sameRequest(known: KnownKey, key: IdempotencyKey): string {
  if (known.digest.equals(key.digest)) return known.resourceId;
  throw new ApiError(
    'idempotency_mismatch',
    'This Idempotency-Key was used with another body. Use a new key for a new request.',
  );
}
