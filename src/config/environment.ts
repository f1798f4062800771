import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { nearestName } from './nearest-name.js';
import { VARIABLES, type Variable, type VariableName, type VariableValues } from './variables.js';

/**
 * The environment as text: each variable from itself or, if `NAME_FILE` is set, from that file. An empty variable is one
 * that is not set. Problems are gathered, never thrown.
 */
export class Environment {
  readonly problems: string[] = [];

  constructor(
    private readonly env: NodeJS.ProcessEnv,
    private readonly cwd: string,
  ) {}

  /** The text of a variable without blanks around it; null if it is not set or cannot be read. */
  text(name: string): string | null {
    const own = this.env[name]?.trim() || null;
    const file = this.env[`${name}_FILE`]?.trim() || null;
    if (file === null) return own;
    if (own !== null) {
      this.problems.push(`${name}: both ${name} and ${name}_FILE are set; keep one of them`);
      return null;
    }
    return this.textOfFile(name, file);
  }

  /** The checked value of a variable, or its default. */
  value<Name extends VariableName>(name: Name): VariableValues[Name] {
    const variable: Variable<VariableValues[Name]> = VARIABLES[name];
    const text = this.text(name);
    if (text === null) return variable.fallback;
    const parsed = variable.parse(text);
    if (parsed.problem === undefined) return parsed.value;
    this.problems.push(`${name}: ${parsed.problem}`);
    return variable.fallback;
  }

  /** The text of a variable that must be set because `reason`, another variable, is. Empty, with a problem, if it is not. */
  needed(name: 'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY', reason: VariableName): string {
    const knownProblems = this.problems.length;
    const text = this.value(name);
    // A file that cannot be read has been told already.
    if (text === null && this.problems.length === knownProblems) {
      this.problems.push(`${name}: must be set because ${reason} is`);
    }
    return text ?? '';
  }

  /** Names that begin as ours do and are one slip away from one of ours: a typing mistake that would go unseen. */
  findTypingMistakes(): void {
    const own = Object.keys(VARIABLES).filter((name) => name.startsWith(OWN_PREFIX));
    const known = own.flatMap((name) => [name, `${name}_FILE`]);
    for (const name of Object.keys(this.env)) {
      if (!name.startsWith(OWN_PREFIX) || known.includes(name)) continue;
      const meant = nearestName(
        name.slice(OWN_PREFIX.length),
        known.map((each) => each.slice(OWN_PREFIX.length)),
      );
      if (meant !== null) {
        this.problems.push(`${name}: Baton has no such variable; did you mean ${OWN_PREFIX}${meant}?`);
      }
    }
  }

  private textOfFile(name: string, file: string): string | null {
    try {
      const text = readFileSync(resolve(this.cwd, file), 'utf8').trim();
      if (text !== '') return text;
      this.problems.push(`${name}_FILE: the file ${file} is empty`);
    } catch (error) {
      this.problems.push(`${name}_FILE: cannot read ${file} (${codeOf(error)})`);
    }
    return null;
  }
}

const OWN_PREFIX = 'BATON_';

/** The system's name of an error, such as `ENOENT`. */
export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
  return typeof code === 'string' ? code : 'unknown error';
}
