import { createHash } from 'node:crypto';
import pg from 'pg';

/** Statements whose text is made up as they go (lists of values) would fill the server's memory: only so many are kept. */
const MOST_STATEMENTS = 500;
/** A text that comes again and again is worth preparing. */
const WORTH_PREPARING = 3;

const seen = new Map<string, { count: number; readonly name: string }>();

/**
 * A connection whose break fails what runs on it, and nothing more. A pool listens only to its idle connections: one in
 * use that breaks would end the whole process if nobody listened.
 */
export class SturdyClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

/**
 * A connection that has the server prepare the statements that are run over and over, so that they are parsed and
 * planned once and not each time: parsing and planning is most of what a small statement costs.
 */
export class PreparedClient extends SturdyClient {
  // pg's own signature is a pile of overloads, of which kysely's driver uses this one alone.
  override query(...args: unknown[]): never {
    const [text, values] = args;
    const isPlain = typeof text === 'string' && Array.isArray(values) && args.length === 2;
    const name = isPlain ? nameOf(text) : undefined;
    const query = super.query.bind(this) as (...args: unknown[]) => never;
    return name === undefined ? query(...args) : query({ name, text, values });
  }
}

/** The statement's name on the server; undefined if it is not prepared. */
function nameOf(text: string): string | undefined {
  let entry = seen.get(text);
  if (!entry) {
    if (seen.size >= MOST_STATEMENTS) return undefined;
    entry = { count: 0, name: createHash('sha256').update(text).digest('base64url').slice(0, 22) };
    seen.set(text, entry);
  }
  entry.count += 1;
  return entry.count > WORTH_PREPARING ? entry.name : undefined;
}
