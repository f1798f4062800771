/**
 * JSON schemas in the part of JSON Schema that Anthropic's structured outputs take: every object closed, no rules on numbers and
 * lengths. Source: Anthropic's page "Structured outputs", "JSON Schema limitations", and how its own SDKs transform a schema.
 */
import { isObject, type JsonObject } from './json.js';

/**
 * The schema as Anthropic takes it; a sentence that names the keyword where it would say something else than the caller's.
 * @param strict whether each rule must be enforced; if not, a rule that can't be is told to the model in the description
 */
export function toAnthropicSchema(schema: JsonObject, strict: boolean): JsonObject | string {
  const problems: string[] = [];
  const written = toNode(schema, { strict, problems });
  if (problems.length === 0 && refersToItself(schema)) problems.push('its definitions refer to themselves');
  return problems[0] ?? written;
}

interface Walk {
  readonly strict: boolean;
  readonly problems: string[];
}

/** Keywords that are passed on as they are. */
const KEPT = ['$schema', '$id', 'title', 'description', 'default', 'const', 'enum', 'type', 'required'];

/** Notes for people, without a rule in them. */
const DROPPED = ['$comment', 'examples', 'deprecated', 'readOnly', 'writeOnly'];

/** Rules that are not enforced there. */
const UNENFORCED = [
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
];

const FORMATS = ['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid'];

/** Keywords that hold schemas, and how they are written. */
const NESTED: Readonly<Record<string, (value: unknown, walk: Walk) => JsonObject>> = {
  properties: (value, walk) => ({ properties: toMap(value, walk) }),
  $defs: (value, walk) => ({ $defs: toMap(value, walk) }),
  definitions: (value, walk) => ({ definitions: toMap(value, walk) }),
  items: (value, walk) => ({ items: toNode(value, walk) }),
  anyOf: (value, walk) => ({ anyOf: toList(value, walk) }),
  // Exactly one of several is not a rule there; one at least is.
  oneOf: (value, walk) => ({ anyOf: toList(value, walk) }),
  allOf: (value, walk) => ({ allOf: toList(value, walk) }),
};

function toNode(node: unknown, walk: Walk): JsonObject {
  if (!isObject(node)) {
    walk.problems.push('a schema in it is not an object');
    return {};
  }
  const told: string[] = [];
  let written: JsonObject = {};
  for (const [keyword, value] of Object.entries(node)) {
    const nested = Object.hasOwn(NESTED, keyword) ? NESTED[keyword] : undefined;
    if (isNoRule(keyword, value)) continue;
    if (KEPT.includes(keyword) || isEnforced(keyword, value)) written = { ...written, [keyword]: value };
    else if (nested !== undefined) written = { ...written, ...nested(value, walk) };
    else if (keyword === 'format' && FORMATS.includes(String(value))) written = { ...written, format: value };
    else if (keyword === 'format' || UNENFORCED.includes(keyword)) told.push(tell(keyword, value, walk));
    else if (keyword === '$ref') written = { ...written, $ref: toRef(value, walk) };
    else if (!DROPPED.includes(keyword) && keyword !== 'additionalProperties')
      walk.problems.push(`it uses \`${keyword}\``);
  }
  if (Object.hasOwn(node, 'anyOf') && Object.hasOwn(node, 'oneOf'))
    walk.problems.push('it uses `oneOf` beside `anyOf`');
  if (told.length > 0) {
    const rules = `${told.join('; ')}.`;
    written = {
      ...written,
      description: typeof node.description === 'string' ? `${node.description}\n${rules}` : rules,
    };
  }
  return isObjectSchema(node) ? { ...written, ...close(node, walk) } : written;
}

/** True for a rule that every value meets. Zod writes the last two for each whole number. */
function isNoRule(keyword: string, value: unknown): boolean {
  if (keyword === 'uniqueItems') return value === false;
  if (keyword === 'minimum') return typeof value === 'number' && value <= Number.MIN_SAFE_INTEGER;
  if (keyword === 'maximum') return typeof value === 'number' && value >= Number.MAX_SAFE_INTEGER;
  return ['minLength', 'minItems', 'minProperties'].includes(keyword) && value === 0;
}

/** At least one item is the one rule on lengths that is enforced there. */
function isEnforced(keyword: string, value: unknown): boolean {
  return keyword === 'minItems' && value === 1;
}

function isObjectSchema({ type, properties }: JsonObject): boolean {
  return type === 'object' || (Array.isArray(type) && type.includes('object')) || properties !== undefined;
}

/** Objects can only be closed there. An answer without other fields satisfies a schema that allows them, but a map would stay empty. */
function close({ properties, additionalProperties }: JsonObject, walk: Walk): JsonObject {
  if (additionalProperties === false) return { additionalProperties: false };
  if (additionalProperties !== undefined || properties === undefined)
    walk.problems.push('it has an object whose fields are not all named (`additionalProperties`)');
  return { additionalProperties: false };
}

/** The rule in words, for the description; a problem if it must be enforced. */
function tell(keyword: string, value: unknown, { strict, problems }: Walk): string {
  if (strict) problems.push(`it is strict, and \`${keyword}\` is not enforced there`);
  const words = keyword.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return `${words}: ${typeof value === 'string' ? value : JSON.stringify(value)}`;
}

const LOCAL_REF = /^#\/(?:\$defs|definitions)\/([^/]+)$/;

function toRef(value: unknown, { problems }: Walk): unknown {
  if (value !== '#' && !LOCAL_REF.test(String(value)))
    problems.push('it has a `$ref` to something else than its own definitions');
  return value;
}

function toMap(value: unknown, walk: Walk): JsonObject {
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, node]) => [name, toNode(node, walk)]));
  walk.problems.push('a list of named schemas in it is not an object');
  return {};
}

function toList(value: unknown, walk: Walk): JsonObject[] {
  if (Array.isArray(value)) return value.map((node: unknown) => toNode(node, walk));
  walk.problems.push('a choice of schemas in it is not a list');
  return [];
}

/** Whether following the references of a schema ever leads back: such schemas are refused there. */
function refersToItself(schema: JsonObject): boolean {
  if (refsOf(schema).has('#')) return true;
  const definitions = [schema.$defs, schema.definitions].flatMap((named) =>
    isObject(named) ? Object.entries(named) : [],
  );
  const users = new Map<string, string[]>(definitions.map(([name]) => [name, []]));
  const unsettled = new Map<string, number>();
  for (const [name, node] of definitions) {
    const used = [...refsOf(node)].filter((ref) => users.has(ref));
    unsettled.set(name, used.length);
    for (const ref of used) users.get(ref)?.push(name);
  }
  // A definition is settled once all that it refers to are; what can never be settled is a circle.
  const settled = [...unsettled.keys()].filter((name) => unsettled.get(name) === 0);
  for (const name of settled) {
    for (const user of users.get(name) ?? []) {
      const left = (unsettled.get(user) ?? 0) - 1;
      unsettled.set(user, left);
      if (left === 0) settled.push(user);
    }
  }
  return settled.length < unsettled.size;
}

/** What a schema refers to, anywhere in it: the names of definitions, and whatever else stands there. */
function refsOf(node: unknown): ReadonlySet<string> {
  const refs = new Set<string>();
  const waiting: unknown[] = [node];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value !== 'object' || value === null) continue;
    if (isObject(value) && typeof value.$ref === 'string')
      refs.add(LOCAL_REF.exec(value.$ref)?.[1] ?? value.$ref);
    for (const each of Object.values(value) as unknown[]) waiting.push(each);
  }
  return refs;
}
