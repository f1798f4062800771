/** Where two bodies are not the same, field by field, and which of these differences are on purpose. */
import { at, isObject } from '../../src/providers/json.js';

/** A field that is not the same in our body and in the oracle's; undefined is a field that is not there. */
export interface Difference {
  /** Names and indexes, with dots between. */
  readonly path: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

/** A difference on purpose: which one it is, exactly, and why we are right. */
export interface Deviation {
  readonly why: string;
  readonly is: (difference: Difference, body: Record<string, unknown>, model: string) => boolean;
}

/** All fields that differ, as deep as they can be told apart. */
export function differences(ours: unknown, theirs: unknown, path = ''): Difference[] {
  const isComparable = (isObject(ours) && isObject(theirs)) || (Array.isArray(ours) && Array.isArray(theirs));
  if (!isComparable) return same(ours, theirs) ? [] : [{ path, ours, theirs }];
  const names = new Set([...Object.keys(ours as object), ...Object.keys(theirs as object)]);
  return [...names].flatMap((name) =>
    differences(at(ours, name), at(theirs, name), path === '' ? name : `${path}.${name}`),
  );
}

/** Whether two values are the same as JSON. */
export function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
