/**
 * Reads an object of a request field by field. Each field has to be taken by someone: what is left over is told, so that nothing
 * of a caller's request can be lost without a word.
 */
import { isObject, type JsonObject } from './json.js';

/** An object of a body, with the problems that were met in it and in all objects within it. A field that is null counts as absent. */
export class BodyFields {
  private readonly left: Set<string>;

  /** @param path where it stands in the body, to name a field in a problem: `messages[2]`; empty for the body itself */
  constructor(
    private readonly value: JsonObject,
    private readonly path: string,
    private readonly problems: string[],
  ) {
    this.left = new Set(
      Object.keys(value).filter((name) => value[name] !== null && value[name] !== undefined),
    );
  }

  has(name: string): boolean {
    return Object.hasOwn(this.value, name) && this.value[name] !== null && this.value[name] !== undefined;
  }

  /** The value as it came; undefined if it is absent. */
  take(name: string): unknown {
    this.left.delete(name);
    return this.has(name) ? this.value[name] : undefined;
  }

  text(name: string): string | null {
    const value = this.take(name);
    if (value === undefined || typeof value === 'string') return value ?? null;
    this.problem(name, 'is not a text');
    return null;
  }

  number(name: string): number | null {
    const value = this.take(name);
    if (value === undefined || typeof value === 'number') return value ?? null;
    this.problem(name, 'is not a number');
    return null;
  }

  boolean(name: string): boolean | null {
    const value = this.take(name);
    if (value === undefined || typeof value === 'boolean') return value ?? null;
    this.problem(name, 'is not true or false');
    return null;
  }

  /** An object that is handed on as it is, such as a schema. */
  json(name: string): JsonObject | null {
    const value = this.take(name);
    if (value === undefined || isObject(value)) return value ?? null;
    this.problem(name, 'is not an object');
    return null;
  }

  object(name: string): BodyFields | null {
    const value = this.json(name);
    return value === null ? null : new BodyFields(value, this.at(name), this.problems);
  }

  /** The objects of a list; empty if it is absent. */
  objects(name: string): BodyFields[] {
    const list = this.take(name);
    if (list === undefined) return [];
    if (!Array.isArray(list)) {
      this.problem(name, 'is not a list');
      return [];
    }
    return list.flatMap((value: unknown, index) => {
      if (isObject(value)) return [new BodyFields(value, `${this.at(name)}[${index}]`, this.problems)];
      this.problem(`${name}[${index}]`, 'is not an object');
      return [];
    });
  }

  /** Passes over fields that have no effect on the answer. */
  ignore(names: readonly string[]): void {
    for (const name of names) this.left.delete(name);
  }

  /** The fields that nobody has taken, which takes them. */
  rest(): Record<string, unknown> {
    const rest = Object.fromEntries([...this.left].map((name) => [name, this.value[name]]));
    this.left.clear();
    return rest;
  }

  /** Notes as a problem each field that nobody has taken. */
  end(): void {
    for (const name of this.left) this.problem(name, 'is a field that cannot be translated');
    this.left.clear();
  }

  /** @param text what follows the field's name in the sentence: `is missing` */
  problem(name: string, text: string): void {
    this.problems.push(`\`${this.at(name)}\` ${text}`);
  }

  private at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }
}
