import { createHash } from 'node:crypto';
import pg from 'pg';
import { ConnectionWatch } from './connection-watch.js';

/** Statements whose text is made up as they go (lists of values) would fill the server's memory: only so many are kept. */
const MOST_STATEMENTS = 500;
/** A text that comes again and again is worth preparing. */
const WORTH_PREPARING = 3;

/**
 * Stands in a statement that is planned each time it is sent, by how many rows there are now: a plan that was made while there were
 * few may look at all of them when there are many.
 */
export const PLANNED_ANEW = '/* planned anew */';

const seen = new Map<string, { count: number; readonly name: string }>();

/**
 * A connection whose break fails what runs on it, and nothing more. A pool listens only to its idle connections: one in
 * use that breaks would end the whole process if nobody listened.
 */
export class SturdyClient extends pg.Client {
  private readonly watch: ConnectionWatch;

  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
    const address = typeof config === 'string' ? config : (config?.connectionString ?? '');
    this.watch = ConnectionWatch.of(address);
    for (const event of ['drain', 'end'] as const) this.on(event, () => this.watch.isIdle(this));
  }

  // pg's own signature is a pile of overloads.
  override query(...args: unknown[]): never {
    this.watch.isBusy(this);
    return (super.query as (...args: unknown[]) => never).apply(this, args);
  }
}

/**
 * A connection that has the server prepare the statements that are run over and over, so that they are parsed and
 * planned once and not each time: parsing and planning is most of what a small statement costs.
 */
export class PreparedClient extends SturdyClient {
  // Kysely's driver uses this overload alone.
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
    if (text.includes(PLANNED_ANEW)) return undefined;
    if (seen.size >= MOST_STATEMENTS) return undefined;
    entry = { count: 0, name: createHash('sha256').update(text).digest('base64url').slice(0, 22) };
    seen.set(text, entry);
  }
  entry.count += 1;
  return entry.count > WORTH_PREPARING ? entry.name : undefined;
}
