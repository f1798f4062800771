/** A PostgreSQL and a Redis of a test's own, on loopback, that it may kill and get back on the same address. */
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { killOwners, Owner, postmasterPid, query } from './embedded-postgres-owner.js';
import { type RunningRedis, startRedis } from './redis-server.js';

/** Where the messages are, and what a test may do to it: a single Redis, or whatever stands in front of several. */
export interface MessageStore {
  /** What a Baton is given as its `REDIS_URL`. */
  readonly url: string;
  /** Takes away all that is in it, while it runs. */
  wipe(): Promise<void>;
  /** Ends it as a crash does, and resolves when it is there again, empty, after it was away for so long. */
  kill(awayMs: number): Promise<void>;
  /** Lets nothing more be written for so long, as when its memory is full. */
  fill(forMs: number): Promise<void>;
  /** What it is, for a report: `7.2.5`. */
  version(): Promise<string>;
  stop(): Promise<void>;
}

/** So little that every write is refused (`OOM command not allowed`). */
const TINY = '1kb';

/** A Redis that keeps nothing on disk: killed, it comes back empty. */
export class OwnRedis implements MessageStore {
  private constructor(private server: RunningRedis) {}

  static async start(): Promise<OwnRedis> {
    return new OwnRedis(await startRedis());
  }

  get url(): string {
    return this.server.url;
  }

  async wipe(): Promise<void> {
    await this.tell((redis) => redis.flushall());
  }

  async kill(awayMs: number): Promise<void> {
    const { port } = this.server;
    await this.server.kill();
    await pause(awayMs);
    this.server = await startOn(port);
  }

  async fill(forMs: number): Promise<void> {
    await this.tell((redis) => redis.config('SET', 'maxmemory', TINY));
    await pause(forMs);
    await this.tell((redis) => redis.config('SET', 'maxmemory', '0'));
  }

  async version(): Promise<string> {
    const info = await this.tell((redis) => redis.info('server'));
    return /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown';
  }

  async stop(): Promise<void> {
    await this.server.kill();
  }

  private async tell<T>(say: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.url, { maxRetriesPerRequest: 3 });
    redis.on('error', () => undefined);
    try {
      return await say(redis);
    } finally {
      redis.disconnect();
    }
  }
}

const LONGEST_START_MS = 30_000;

/**
 * Starts a Redis on a port that clients try to reach all the time. One of them may just have been given that very port for its own
 * end, and so have reached itself: it lets go of it soon.
 */
async function startOn(port: number): Promise<RunningRedis> {
  for (const endMs = Date.now() + LONGEST_START_MS; ;) {
    try {
      return await startRedis({ port });
    } catch (error) {
      if (Date.now() > endMs) throw error;
      await pause(100);
    }
  }
}

/** Every process of a Baton may hold 21, and those of a killed one are there a moment longer. */
const MOST_CONNECTIONS = 300;

/** An embedded PostgreSQL, as durable as Baton's own; it is killed without a word and comes back with all that was committed. */
export class OwnPostgres {
  private constructor(
    private readonly dataDir: string,
    private owner: Owner,
    /** The same after each start. */
    readonly url: string,
  ) {}

  /** Starts it below `folder`. */
  static async start(folder: string): Promise<OwnPostgres> {
    const dataDir = join(folder, 'postgres');
    const owner = new Owner(dataDir);
    const url = await owner.until('ready');
    await owner.stop();
    // Its own role may not do that with SQL.
    await appendFile(
      join(dataDir, 'postgres/data/postgresql.conf'),
      `max_connections = ${MOST_CONNECTIONS}\n`,
    );
    const postgres = new OwnPostgres(dataDir, owner, url);
    await postgres.startAgain();
    return postgres;
  }

  /** SIGKILL to its first process: the others end as soon as they see it. Resolves when it answers again. */
  async kill(awayMs: number): Promise<void> {
    process.kill(await postmasterPid(this.dataDir), 'SIGKILL');
    await this.owner.until('exit');
    await this.owner.kill();
    await pause(awayMs);
    await this.startAgain();
  }

  /** Ends about such a share (0 to 1) of its clients' connections; gives how many that were. */
  async cut(share: number): Promise<number> {
    const rows = await query(
      this.url,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where backend_type = 'client backend' and pid <> pg_backend_pid() and random() < ${share}`,
    );
    return rows.length;
  }

  async stop(): Promise<void> {
    await this.owner.stop();
    await killOwners();
  }

  private async startAgain(): Promise<void> {
    this.owner = new Owner(this.dataDir);
    await this.owner.until('ready');
  }
}

const pause = (ms: number): Promise<void> => new Promise((next) => setTimeout(next, ms));
