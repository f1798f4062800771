import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, validateSync, type ValidationError } from 'class-validator';
import { nearestName } from '../config/nearest-name.js';
import { ApiError, type ErrorCode } from './api-error.js';

type Dto<T> = new () => T;

/** One thing that is wrong with a body. */
interface Problem {
  readonly code: ErrorCode;
  readonly param: string;
  readonly sentence: string;
}

/**
 * The body as an instance of a DTO whose rules it keeps. Only the top level is looked at: values come through as they
 * are, neither copied nor walked, so an opaque field may hold megabytes. Throws {@link ApiError} with every problem.
 */
export function checked<T extends object>(dto: Dto<T>, body: unknown): T {
  const fields = objectOf(body);
  const known = knownFields(dto);
  const unknown = Object.keys(fields).filter((name) => !known.includes(name));
  const instance = new dto();
  for (const name of known) {
    if (Object.hasOwn(fields, name)) Object.assign(instance, { [name]: fields[name] });
  }
  // A body of a hundred thousand wrong names must not cost a hundred thousand comparisons.
  const shown = unknown.slice(0, MOST_PROBLEMS + 1);
  const problems = [...shown.map((name) => unknownField(name, '', known)), ...problemsOf(instance)];
  if (problems.length > 0) throw toApiError(problems);
  return instance;
}

/** As {@link checked}, for small bodies whose DTO has nested ones: the whole body is copied and checked. */
export function checkedDeep<T extends object>(dto: Dto<T>, body: unknown): T {
  const fields = objectOf(body);
  lookThrough(fields);
  const instance = plainToInstance(dto, fields);
  const problems = problemsOf(instance);
  if (problems.length > 0) throw toApiError(problems);
  return instance;
}

function objectOf(body: unknown): Record<string, unknown> {
  if (body === undefined) {
    throw new ApiError(
      'invalid_json',
      'The request has no body. Send a JSON object with content-type: application/json.',
    );
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError('invalid_body', 'The body must be a JSON object, {…}.');
  }
  return body as Record<string, unknown>;
}

function knownFields(dto: Dto<object>): string[] {
  const rules = getMetadataStorage().getTargetValidationMetadatas(dto, '', true, false);
  return [...new Set(rules.map((rule) => rule.propertyName))];
}

function problemsOf(instance: object): Problem[] {
  const errors = validateSync(instance, {
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    validationError: { target: true, value: true },
  });
  const problems = errors.flatMap((error) => problemsOfError(error, ''));
  // A slip in a name also makes the right name missing: the slip is the better thing to say first.
  return problems.sort((a, b) => Number(b.code === 'unknown_field') - Number(a.code === 'unknown_field'));
}

function problemsOfError(error: ValidationError, prefix: string): Problem[] {
  const param = `${prefix}${error.property}`;
  // What is wrong inside of a value that is wrong itself helps nobody.
  if (error.constraints !== undefined) return [problemOf(error, param, prefix)];
  return (error.children ?? []).flatMap((child) => problemsOfError(child, `${param}.`));
}

function problemOf(error: ValidationError, param: string, prefix: string): Problem {
  const constraints = Object.entries(error.constraints ?? {});
  if (constraints.some(([rule]) => rule === 'whitelistValidation')) {
    const dto = error.target?.constructor as Dto<object> | undefined;
    return unknownField(error.property, prefix, dto === undefined ? [] : knownFields(dto));
  }
  // Decorators run from the last to the first, and the first says the type: it explains the others.
  const [rule, message = 'is wrong'] = constraints.at(-1) ?? [];
  const predicate =
    rule === 'nestedValidation' ? 'must be an object' : withoutSubject(message, error.property);
  if (error.value === undefined) {
    return { code: 'missing_field', param, sentence: `${param} is missing: it ${predicate}` };
  }
  return { code: 'invalid_value', param, sentence: `${param} ${predicate}` };
}

/** class-validator's messages begin with the property's own name; ours with its whole path. */
function withoutSubject(message: string, property: string): string {
  if (message.startsWith(`${property} `)) return message.slice(property.length + 1);
  const each = `each value in ${property} `;
  return message.startsWith(each)
    ? `must be a list in which each value ${message.slice(each.length)}`
    : `is wrong: ${message}`;
}

const SHOWN_LETTERS = 64;

function unknownField(name: string, prefix: string, known: readonly string[]): Problem {
  const shown = name.length > SHOWN_LETTERS ? `${name.slice(0, SHOWN_LETTERS)}…` : name;
  const meant = nearestName(name, known);
  const hint = meant === null ? '' : ` Did you mean '${prefix}${meant}'?`;
  return {
    code: 'unknown_field',
    param: `${prefix}${shown}`,
    sentence: `Unknown field '${prefix}${shown}'.${hint} Known fields: ${known.join(', ')}`,
  };
}

const MOST_PROBLEMS = 10;
/** Far more than any policy has; copying and checking take some microseconds for each. */
const MOST_VALUES = 10_000;

/** Throws if there are too many values, or a key that class-transformer would take for the class of its object. */
function lookThrough(body: object): void {
  const open: object[] = [body];
  let count = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (Object.hasOwn(next, 'constructor')) {
      throw new ApiError('forbidden_key', "The body has the key 'constructor', which it may not have.");
    }
    for (const value of Object.values(next)) {
      count += 1;
      if (count > MOST_VALUES) {
        throw new ApiError('invalid_body', `The body has more than ${MOST_VALUES} values.`);
      }
      if (typeof value === 'object' && value !== null) open.push(value);
    }
  }
}

function toApiError(problems: readonly Problem[]): ApiError {
  const sentences = problems.slice(0, MOST_PROBLEMS).map((problem) => problem.sentence);
  const more = problems.length > MOST_PROBLEMS ? ' There are more.' : '';
  const [first] = problems;
  return new ApiError(first?.code ?? 'invalid_body', `${sentences.join('. ')}.${more}`, {
    param: first?.param ?? null,
  });
}
