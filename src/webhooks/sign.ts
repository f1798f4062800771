import { createHmac, randomBytes } from 'node:crypto';

const SECRET_PREFIX = 'whsec_';
/** The specification asks for 24 to 64 random bytes. */
const SECRET_BYTES = 32;

/** The headers that a receiver verifies. */
export interface SignedHeaders {
  /** The event's public id, the same on every try: what a receiver drops duplicates by. */
  readonly 'webhook-id': string;
  /** Unix seconds of this try. */
  readonly 'webhook-timestamp': string;
  /** One `v1,<base64>` for each secret, with spaces between. */
  readonly 'webhook-signature': string;
}

/** A new secret as it is shown to users: `whsec_` and the base64 of 32 random bytes. */
export function newSecret(): string {
  return `${SECRET_PREFIX}${randomBytes(SECRET_BYTES).toString('base64')}`;
}

/** What of a secret may be shown again: enough to tell two of them apart. */
export function hintOf(secret: string): string {
  return `${SECRET_PREFIX}…${secret.slice(-4)}`;
}

/**
 * Signs exactly the bytes of `body` with each secret (several while one is rotated), by Standard Webhooks 1.0.0, scheme v1:
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
 * `timestampS` is in Unix seconds. Throws when there is no secret or one is not of the form `whsec_<base64>`.
 */
export function sign(
  id: string,
  timestampS: number,
  body: Buffer,
  secrets: readonly string[],
): SignedHeaders {
  if (secrets.length === 0) throw new Error('A webhook can not be signed without a secret');
  const signatures = secrets.map((secret) => {
    const hmac = createHmac('sha256', keyOf(secret)).update(`${id}.${timestampS}.`).update(body);
    return `v1,${hmac.digest('base64')}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': signatures.join(' '),
  };
}

/** The bytes that key the HMAC: the decoded secret, not its text. */
function keyOf(secret: string): Buffer {
  const key = secret.startsWith(SECRET_PREFIX)
    ? Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64')
    : null;
  if (!key || key.length === 0) throw new Error('A webhook secret must be whsec_ followed by base64');
  return key;
}
