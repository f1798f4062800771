/** How much of a receiver's answer is kept, in bytes of UTF-8. */
const KEPT_BYTES = 1_024;

/**
 * The start of a receiver's answer as text that PostgreSQL can hold: at most 1 KiB of UTF-8, broken bytes replaced, NUL
 * left out, no letter cut in two. Null if nothing is left.
 */
export function toStoredText(body: Buffer): string | null {
  const text = decodeStart(body).replaceAll('\0', '');
  // What replaces a broken byte is three bytes long.
  return decodeStart(Buffer.from(text)) || null;
}

/** Decodes the first bytes; in stream mode a letter that the cut goes through is left out instead of replaced. */
function decodeStart(bytes: Buffer): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, KEPT_BYTES), {
    stream: true,
  });
}
