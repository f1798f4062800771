import { isAscii } from 'node:buffer';
import { createHash } from 'node:crypto';

const kept = new WeakMap<object, Buffer>();

/**
 * Has the value stand for JSON that was never built: {@link jsonOf} gives these bytes. JSON.stringify gives their digest, so
 * that whatever holds the value can still be compared by its own JSON.
 */
export function keepJson<T extends object>(value: T, bytes: Buffer): T {
  keepItemJson(value, bytes);
  return Object.defineProperty(value, 'toJSON', {
    value: () => ({ sha256: createHash('sha256').update(bytes).digest('hex') }),
  });
}

/** As {@link keepJson}, for an item of a list that keeps its own: JSON.stringify does not come to it. */
export function keepItemJson<T extends object>(value: T, bytes: Buffer): T {
  kept.set(value, bytes);
  return value;
}

/** UTF-8 as text; several times as fast as `toString` where it is ASCII. */
export function textOf(bytes: Buffer): string {
  return bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8');
}

/** The JSON of a value of a request's body, in UTF-8: its own bytes if they were kept. */
export function jsonOf(value: unknown): Buffer {
  const bytes = typeof value === 'object' && value !== null ? kept.get(value) : undefined;
  return bytes ?? Buffer.from(JSON.stringify(value));
}
