/** What became different between two versions of a policy. */

/** One place at which two values differ. */
export interface Change {
  /** `add` and `remove` for what only one of them has, `replace` for what both have. */
  readonly op: 'add' | 'remove' | 'replace';
  /** A JSON Pointer (RFC 6901): `/steps/0/model`. */
  readonly path: string;
  /** Null where it was not there. */
  readonly from: unknown;
  /** Null where it is no longer there. */
  readonly to: unknown;
}

/**
 * All places at which two JSON values differ, as deep as they go: objects by key, whatever the order of their keys, lists
 * by place. So a step that was put in first shows as a change of every step behind it.
 */
export function diff(from: unknown, to: unknown, path = ''): Change[] {
  if (Object.is(from, to)) return [];
  if (!isTree(from) || !isTree(to) || Array.isArray(from) !== Array.isArray(to)) {
    return [{ op: 'replace', path, from, to }];
  }
  const [before, after] = [new Map(Object.entries(from)), new Map(Object.entries(to))];
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key): Change[] => {
    const place = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (!before.has(key)) return [{ op: 'add', path: place, from: null, to: after.get(key) }];
    if (!after.has(key)) return [{ op: 'remove', path: place, from: before.get(key), to: null }];
    return diff(before.get(key), after.get(key), place);
  });
}

function isTree(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
