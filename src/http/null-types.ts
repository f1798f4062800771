/** A schema as @nestjs/swagger writes it. */
interface Schema {
  readonly nullable?: boolean;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly allOf?: readonly object[];
}

/**
 * Writes what may be null as OpenAPI 3.1 does, with the type `null`, in a whole description. The generator writes 3.0's
 * `nullable`, which 3.1 does not have and which never let null through a reference or a list of words.
 */
export function withNullTypes<T>(value: T): T {
  if (Array.isArray(value)) return value.map((each: unknown) => withNullTypes(each)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withNullTypes(each)]));
  return ('nullable' in copy ? withNullType(copy) : copy) as T;
}

function withNullType({ nullable, type, allOf, ...rest }: Schema): object {
  if (nullable !== true) return { ...rest, type, allOf };
  if (allOf) return { ...rest, anyOf: [...allOf, { type: 'null' }] };
  return { ...rest, type: [type, 'null'], ...(rest.enum ? { enum: [...rest.enum, null] } : {}) };
}
