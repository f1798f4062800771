/**
 * Which JSON schemas Gemini keeps to. It takes any, but holds its answer to the keywords of a dialect only; the others it passes
 * over. Where the caller asked for an answer that matches exactly, such a schema can't be carried.
 * Source: Gemini API reference, `GenerationConfig.responseJsonSchema`.
 */
import { isObject, type JsonObject } from './json.js';

/** Names the first part of a schema that Gemini would not keep to, as `path.keyword`; null if there is none. */
export function findUnkept(schema: JsonObject, path: string): string | null {
  for (const [keyword, value] of Object.entries(schema)) {
    const here = `${path}.${keyword}`;
    if (!KEPT.has(keyword)) return here;
    // Only texts and numbers can be listed.
    if (keyword === 'enum' && !(Array.isArray(value) && value.every(isTextOrNumber))) return here;
    for (const [inner, at] of subschemasOf(keyword, value, here)) {
      const unkept = findUnkept(inner, at);
      if (unkept !== null) return unkept;
    }
  }
  return null;
}

/**
 * A copy in the words that Gemini knows: each `const` is the `enum` of one, and the `definitions` of older drafts, which Zod
 * writes, are `$defs`. All else is left as it is.
 */
export function toKnownWords(schema: JsonObject): JsonObject {
  return reworded(schema, 'definitions' in schema && !('$defs' in schema));
}

function reworded(schema: JsonObject, isOld: boolean): JsonObject {
  const convert = (value: unknown) => (isObject(value) ? reworded(value, isOld) : value);
  return Object.fromEntries(
    Object.entries(schema).map(([written, value]) => {
      const keyword = isOld && written === 'definitions' ? '$defs' : written;
      if (keyword === 'const' && isTextOrNumber(value) && !('enum' in schema)) return ['enum', [value]];
      if (isOld && keyword === '$ref') return [keyword, String(value).replace(OLD_REF, '#/$defs/')];
      if (LISTS.has(keyword) && Array.isArray(value)) return [keyword, value.map(convert)];
      if (MAPS.has(keyword) && isObject(value)) {
        return [
          keyword,
          Object.fromEntries(Object.entries(value).map(([name, each]) => [name, convert(each)])),
        ];
      }
      return [keyword, SINGLES.has(keyword) ? convert(value) : value];
    }),
  );
}

const OLD_REF = /^#\/definitions\//;

/** Where schemas lie within a schema. */
const LISTS = new Set(['anyOf', 'oneOf', 'prefixItems']);
const MAPS = new Set(['properties', '$defs']);
const SINGLES = new Set(['items', 'additionalProperties']);

/** Constraints that Gemini keeps to, and words that constrain nothing. */
const KEPT = new Set([
  ...LISTS,
  ...MAPS,
  ...SINGLES,
  'type',
  'format',
  'enum',
  'required',
  'minItems',
  'maxItems',
  'minimum',
  'maximum',
  'propertyOrdering',
  '$ref',
  '$id',
  '$anchor',
  '$schema',
  '$comment',
  'title',
  'description',
  'default',
  'example',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
]);

function subschemasOf(keyword: string, value: unknown, path: string): (readonly [JsonObject, string])[] {
  if (SINGLES.has(keyword)) return isObject(value) ? [[value, path]] : [];
  const isInside = LISTS.has(keyword) || MAPS.has(keyword);
  if (!isInside || typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) =>
    isObject(each) ? [[each, `${path}.${name}`] as const] : [],
  );
}

function isTextOrNumber(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number';
}
