/** Makes what a provider wrote fit to be shown and kept: bounded, without secrets, without characters that act. */

const MAX_MESSAGE_LENGTH = 500;
const MAX_BODY_BYTES = 64 * 1024;

/** One line of at most 500 characters. */
export function toMessage(text: string, secrets: readonly string[]): string {
  const line = withoutSecrets(text, secrets).replace(ACTING_CHARACTERS, ' ').replace(/\s+/g, ' ').trim();
  if (line.length <= MAX_MESSAGE_LENGTH) return wellFormed(line);
  return wellFormed(`${line.slice(0, MAX_MESSAGE_LENGTH - 1)}…`);
}

/** The text as it is but for secrets and NUL (which PostgreSQL cannot hold), cut at 64 KiB of UTF-8. */
export function toBody(text: string, secrets: readonly string[]): string {
  const clean = wellFormed(withoutSecrets(text, secrets).replaceAll('\u0000', '\uFFFD'));
  const { read } = new TextEncoder().encodeInto(clean, new Uint8Array(MAX_BODY_BYTES));
  return clean.slice(0, read);
}

/** Controls, line and paragraph separators, and what changes the direction of writing. */
const ACTING_CHARACTERS = /[\p{Cc}\u2028\u2029\u200E\u200F\u202A-\u202E\u2066-\u2069]+/gu;

/** Shorter ones are placeholders such as `none`, and would mask common words. */
const MIN_SECRET_LENGTH = 8;

function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= MIN_SECRET_LENGTH)
    .reduce((masked, secret) => masked.replaceAll(secret, '[key]'), text);
}

/** Without halves of characters, which a cut leaves and JSON can carry, and which no UTF-8 can hold. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD');
}
