import { nearestName } from './nearest-name.js';

/**
 * One mapping of the config file while it is being read. It knows where it stands, so that each problem says where it is;
 * it gathers problems and never throws. Values are never repeated in a problem: they may be secrets.
 */
export class Section {
  private constructor(
    private readonly path: string,
    private readonly entries: ReadonlyMap<string, unknown>,
    private readonly problems: string[],
  ) {}

  /** Opens a value as a mapping; what is absent is an empty one, what is no mapping is a problem and an empty one. */
  static open(path: string, value: unknown, problems: string[]): Section {
    if (value === undefined || value === null) return new Section(path, new Map(), problems);
    if (typeof value !== 'object' || Array.isArray(value)) {
      problems.push(`${path.replace(/: $/, '')}: must be a mapping of names to values`);
      return new Section(path, new Map(), problems);
    }
    return new Section(path, new Map(Object.entries(value)), problems);
  }

  names(): string[] {
    return [...this.entries.keys()];
  }

  has(name: string): boolean {
    const value = this.entries.get(name);
    return value !== undefined && value !== null;
  }

  raw(name: string): unknown {
    return this.entries.get(name);
  }

  section(name: string): Section {
    return Section.open(this.pathOf(name), this.entries.get(name), this.problems);
  }

  problem(name: string | null, sentence: string): void {
    this.problems.push(`${name === null ? this.path : this.pathOf(name)}: ${sentence}`);
  }

  /** Every name that is not one of these is a problem, with the name that was probably meant. */
  allowOnly(known: readonly string[]): void {
    for (const name of this.entries.keys()) {
      if (known.includes(name)) continue;
      const meant = nearestName(name, known);
      this.problem(
        name,
        meant === null
          ? `unknown name; known are ${known.join(', ')}`
          : `unknown name; did you mean ${meant}?`,
      );
    }
  }

  text(name: string): string | undefined {
    if (!this.has(name)) return undefined;
    const value = this.entries.get(name);
    if (typeof value === 'string') return value.trim();
    this.problem(name, 'must be text; put it in quotes');
    return undefined;
  }

  /** A number of at least `least`; digits that came out of a variable are a number too. */
  number(name: string, least: number, kind: 'whole' | 'any'): number | undefined {
    if (!this.has(name)) return undefined;
    const written = this.entries.get(name);
    const value = typeof written === 'string' && /^\d+(\.\d+)?$/.test(written) ? Number(written) : written;
    if (
      typeof value === 'number' &&
      value >= least &&
      (kind === 'any' ? Number.isFinite(value) : Number.isSafeInteger(value))
    ) {
      return value;
    }
    this.problem(name, `must be a ${kind === 'whole' ? 'whole number' : 'number'} of at least ${least}`);
    return undefined;
  }

  boolean(name: string): boolean | undefined {
    if (!this.has(name)) return undefined;
    const value = this.entries.get(name);
    if (value === true || value === 'true') return true;
    if (value === false || value === 'false') return false;
    this.problem(name, 'must be true or false');
    return undefined;
  }

  /** A list of some of these words. */
  words<Word extends string>(name: string, allowed: readonly Word[]): Word[] | undefined {
    if (!this.has(name)) return undefined;
    const value = this.entries.get(name);
    const found = Array.isArray(value) ? allowed.filter((word) => value.includes(word)) : [];
    if (Array.isArray(value) && value.every((word) => allowed.some((each) => each === word))) return found;
    this.problem(name, `must be a list of ${allowed.join(', ')}`);
    return undefined;
  }

  private pathOf(name: string): string {
    return this.path.endsWith(': ') ? `${this.path}${name}` : `${this.path}.${name}`;
  }
}

/** The same object without the fields that are undefined. */
export function withoutAbsent<T extends object>(fields: T): T {
  const copy = { ...fields };
  for (const name of Object.keys(copy) as (keyof T)[]) {
    if (copy[name] === undefined) delete copy[name];
  }
  return copy;
}
