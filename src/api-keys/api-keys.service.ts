/** Api-keys: who may ask. Every `/v1` route stands behind a bearer key; there is no open mode. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { DEFAULT_PROJECT_ID, type Principal } from './principal.js';

export const ADMIN_KEY = Symbol('AdminKey');

/** Knows the keys. */
@Injectable()
export class ApiKeysService {
  private readonly adminDigest: Buffer;

  constructor(@Inject(ADMIN_KEY) adminKey: string) {
    this.adminDigest = digestOf(adminKey);
  }

  /** Who the key belongs to; null for a key that is nobody's. Takes the same time for every wrong key. */
  authenticate(key: string): Principal | null {
    return timingSafeEqual(digestOf(key), this.adminDigest) ? { projectId: DEFAULT_PROJECT_ID } : null;
  }
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
