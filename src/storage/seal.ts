import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { AppConfig } from '../config/config.js';
import { keptSecret } from './kept-secret.js';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** The first byte of every blob, so that another form can be told apart later. */
const VERSION = 1;
const HEAD_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES;

/**
 * Seals secrets before they are stored (AES-256-GCM). A blob is: version (1 byte), key id (4), nonce (12), ciphertext,
 * tag (16). The key ring is newest first: the first key seals, all of them open.
 */
export class SecretSeal {
  private readonly newest: { readonly id: Buffer; readonly key: Buffer };
  private readonly keysById: ReadonlyMap<string, Buffer>;

  /** Throws when there is no key or one is not 32 bytes long. */
  constructor(keys: readonly Buffer[]) {
    const [newest] = keys;
    if (!newest) throw new Error('There is no encryption key to seal secrets with');
    if (keys.some((key) => key.length !== KEY_BYTES))
      throw new Error(`An encryption key must be ${KEY_BYTES} bytes long`);
    this.newest = { id: idOf(newest), key: newest };
    this.keysById = new Map(keys.map((key) => [idOf(key).toString('hex'), key]));
  }

  /** Seals a text. `aad` names the place where the blob is kept (`projects|<uuid>`): it opens nowhere else. */
  seal(plaintext: string, aad: string): Buffer {
    // 96 random bits: safe for 2^32 secrets under one key (NIST SP 800-38D, 8.3).
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.newest.key, nonce, { authTagLength: TAG_BYTES }).setAAD(
      Buffer.from(aad),
    );
    const sealed = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.of(VERSION), this.newest.id, nonce, sealed, cipher.getAuthTag()]);
  }

  /** The text that was sealed. Throws when the key ring lacks the key, or the blob was changed, cut or moved. */
  open(blob: Buffer, aad: string): string {
    if (blob.length < HEAD_BYTES + TAG_BYTES || blob[0] !== VERSION) {
      throw new Error(`The sealed secret of ${aad} is damaged: it is not a blob that Baton made`);
    }
    const keyId = blob.subarray(1, 1 + KEY_ID_BYTES).toString('hex');
    const key = this.keysById.get(keyId);
    if (!key) {
      throw new Error(
        `The secret of ${aad} was sealed with the encryption key ${keyId}, which is not at hand: ` +
          'add that key to ENCRYPTION_KEYS (it may be the one in the file encryption-key of another data folder)',
      );
    }
    const nonce = blob.subarray(1 + KEY_ID_BYTES, HEAD_BYTES);
    const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(aad))
      .setAuthTag(blob.subarray(-TAG_BYTES));
    try {
      return Buffer.concat([
        decipher.update(blob.subarray(HEAD_BYTES, -TAG_BYTES)),
        decipher.final(),
      ]).toString('utf8');
    } catch (cause) {
      throw new Error(`The sealed secret of ${aad} does not open: it was changed, or belongs elsewhere`, {
        cause,
      });
    }
  }
}

/**
 * The key ring, newest first: `ENCRYPTION_KEYS`, or else the one key in `<data dir>/encryption-key`, which is made at
 * the first start (mode 0600). Processes that start at once on one folder get the same key. Throws when the file can
 * not be written or holds no key.
 */
export async function loadEncryptionKeys(
  config: Pick<AppConfig, 'encryptionKeys' | 'dataDir'>,
): Promise<Buffer[]> {
  if (config.encryptionKeys.length > 0) return [...config.encryptionKeys];
  const path = join(config.dataDir, 'encryption-key');
  const { text } = await keptSecret(path, () => randomBytes(KEY_BYTES).toString('base64'));
  const key = Buffer.from(text, 'base64');
  if (key.length === KEY_BYTES) return [key];
  throw new Error(
    `${path} must hold ${KEY_BYTES} bytes in base64. Secrets sealed with the lost key can not be read again`,
  );
}

/** The first 8 hex digits of the key's SHA-256: tells keys apart and nothing about them. */
function idOf(key: Buffer): Buffer {
  return createHash('sha256').update(key).digest().subarray(0, KEY_ID_BYTES);
}
