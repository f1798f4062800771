/** Whether a value has the shape that a JSON schema asks for. Schema and value come from strangers: the work is bounded. */
import { createHash } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { Ajv, type Options, type ValidateFunction } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { BoundedCache } from './bounded-cache.js';
import type { JsonObject } from './json.js';
import { toSchemaPattern } from './safe-pattern.js';
import { runWithin } from './time-bound.js';

/** As many as OpenAI takes (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas). */
const MAX_SCHEMA_CHARACTERS = 120_000;
const MOST_SCHEMAS = 100;
const COMPILE_TIMEOUT_MS = 2_000;
const CHECK_TIMEOUT_MS = 500;

/** A schema that was compiled, or why it can't be. */
type Compiled = ValidateFunction | string;

/** Checks values against schemas; each schema is compiled once. */
export class SchemaChecker {
  private readonly logger = new Logger('SchemaChecker');
  private readonly compiled = new BoundedCache<Compiled>(MOST_SCHEMAS);

  /**
   * What is wrong with the value, to stand after its name; null if nothing is.
   *
   * A schema that cannot be checked lets every value pass: one that is invalid, too large, refers to another document, or has a
   * pattern that is not RE2. It would be the same with every model's answer, and each of those is paid. The log says so once.
   * A value on which the check takes too long does not pass.
   */
  findProblem(schema: JsonObject, value: unknown): string | null {
    const text = JSON.stringify(schema);
    const digest = createHash('sha256').update(text).digest('base64');
    const validate = this.compiled.get(digest, () => this.compile(text));
    if (typeof validate === 'string') return null;
    try {
      const done = runWithin(CHECK_TIMEOUT_MS, () => validate(value));
      if (done === null) {
        this.compiled.delete(digest);
        return `takes more than ${CHECK_TIMEOUT_MS} ms to check`;
      }
      return done.result === true ? null : firstError(validate);
    } catch (error) {
      if (error instanceof RangeError) return 'is nested too deep to check';
      throw error;
    } finally {
      validate.errors = null; // They hold parts of the answer.
    }
  }

  private compile(text: string): Compiled {
    const compiled = text.length > MAX_SCHEMA_CHARACTERS ? 'it is too large' : compileWithin(text);
    if (typeof compiled === 'string')
      this.logger.warn(`A request's JSON schema cannot be checked, so answers pass it: ${compiled}`);
    return compiled;
  }
}

function compileWithin(text: string): Compiled {
  try {
    const { $schema, ...rest } = JSON.parse(text) as JsonObject;
    const dialect = DIALECTS.find(({ uri }) => String($schema).includes(uri)) ?? DIALECTS[0];
    // Compiling the schema of schemas takes longer than most schemas do: one Ajv has it for all, and is never stopped half-way.
    dialect.schemas ??= withSchemaOfSchemas(dialect);
    const { schemas } = dialect;
    const done = runWithin(COMPILE_TIMEOUT_MS, () => {
      const schema = { ...rest, $async: false }; // Or its check would be a promise.
      if (schemas.validateSchema(schema) !== true) throw new Error(schemas.errorsText());
      // An Ajv of its own, so that no `$id` of one caller is another's `$ref`, and it goes when the schema goes.
      return new dialect.Ajv(OPTIONS).compile(schema);
    });
    return done?.result ?? `it takes more than ${COMPILE_TIMEOUT_MS} ms to compile`;
  } catch {
    // What was thrown may repeat the caller's words, which no log may have.
    return 'it is invalid, refers to what is not in it, or has a pattern that is not RE2';
  }
}

function withSchemaOfSchemas(dialect: Dialect): Ajv {
  const schemas = new dialect.Ajv({ ...OPTIONS, meta: true });
  void schemas.validateSchema({}); // Compiles it.
  return schemas;
}

/** By what stands in `$schema`; without it, the first. */
const DIALECTS: readonly [Dialect, ...Dialect[]] = [
  { uri: '2020-12', Ajv: Ajv2020 },
  { uri: '2019-09', Ajv: Ajv2019 },
  { uri: 'draft-07', Ajv },
  { uri: 'draft-06', Ajv },
  { uri: 'draft-04', Ajv },
];

interface Dialect {
  readonly uri: string;
  readonly Ajv: typeof Ajv | typeof Ajv2019 | typeof Ajv2020;
  schemas?: Ajv;
}

const OPTIONS: Options = {
  strict: false,
  logger: false,
  meta: false,
  validateSchema: false,
  validateFormats: false,
  // A schema that is referred to often would be copied often.
  inlineRefs: false,
  // `required: ["constructor"]` is not met by what every object inherits.
  ownProperties: true,
  // Cents are not exact in binary.
  multipleOfPrecision: 6,
  // Optimizing takes longer than a few hundred checks of the code would gain.
  code: { optimize: false, regExp: Object.assign(toSchemaPattern, { code: 'toSchemaPattern' }) },
};

function firstError({ errors }: ValidateFunction): string {
  const [error] = errors ?? [];
  const path = error?.instancePath ?? '';
  return `${path === '' ? '' : `at ${path.slice(0, 200)} `}${error?.message ?? 'is wrong'}`;
}
