/**
 * A Baton of several processes on a PostgreSQL and a Redis of its own, for tests that break things: every process reaches each
 * store through a proxy of its own, so that any of the ways between them can be cut alone.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BatonClient, JobReply, Reply } from './baton-client.js';
import { postgresBehindProxy, redisBehindProxy } from './behind-proxy.js';
import { BatonProcess, cleanUpBatons, newFolder } from './baton-process.js';
import { killOwners, Owner, postmasterPid, query } from './embedded-postgres-owner.js';
import { type CheckedRun, checkInvariants, type Figures } from './invariants.js';
import { type RedisOptions, type RunningRedis, startRedis } from './redis-server.js';
import { ScriptedUpstream } from './scripted-upstream.js';
import type { TcpProxy } from './tcp-proxy.js';
import { WebhookReceiver } from './webhook-receiver.js';

/** One process, and its two ways to the stores. */
export interface Member {
  readonly baton: BatonProcess;
  readonly api: BatonClient;
  readonly postgres: TcpProxy;
  readonly redis: TcpProxy;
}

/** Slots of each worker. */
export const CONCURRENCY = 20;

const KEY = 'a-key-for-the-tests';
const ENV = {
  BATON_ADMIN_KEY: KEY,
  ENCRYPTION_KEYS: Buffer.alloc(32, 7).toString('base64'),
  EGRESS_ALLOW_CIDRS: '127.0.0.0/8',
  WORKER_CONCURRENCY: String(CONCURRENCY),
  LOG_LEVEL: 'warn',
};

/** The command that runs another with a small disk mounted on a folder, which nobody else sees. */
function onSmallDisk(folder: string, sizeMb: number): string[] {
  const mount = `mkdir -p "$0" && mount -t tmpfs -o size=${sizeMb}m,mode=755 none "$0" && exec "$@"`;
  const namespaces = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user'];
  return ['unshare', ...namespaces, '--', 'sh', '-c', mount, folder];
}

export class FaultWorld {
  /** The ids of all jobs that were answered with 202. */
  readonly accepted: string[] = [];
  readonly members: Member[] = [];

  private constructor(
    /** Of the PostgreSQL. */
    readonly dataDir: string,
    private owner: Owner,
    /** Straight to the PostgreSQL, past every proxy. */
    readonly databaseUrl: string,
    public redis: RunningRedis,
    readonly upstream: ScriptedUpstream,
    readonly receiver: WebhookReceiver,
  ) {}

  /**
   * Starts the stores, an upstream that is called as `up/…`, and a receiver; no Baton yet. With `diskMb` the PostgreSQL
   * has a disk of its own of that size.
   */
  static async start(options: { redis?: RedisOptions; diskMb?: number } = {}): Promise<FaultWorld> {
    let dataDir = join(await newFolder(), 'data');
    const owner = new Owner(dataDir, options.diskMb ? onSmallDisk(dataDir, options.diskMb) : []);
    const [said, redis, upstream, receiver] = await Promise.all([
      owner.until('ready'),
      startRedis(options.redis),
      ScriptedUpstream.start(),
      WebhookReceiver.start(),
    ]);
    let url = said;
    if (options.diskMb) {
      // A disk of its own is mounted where this process does not see it, but through that one.
      const root = `/proc/${owner.pid}/root`;
      url = said.replace(encodeURIComponent(dataDir), encodeURIComponent(root + dataDir));
      dataDir = root + dataDir;
    }
    return new FaultWorld(dataDir, owner, url, redis, upstream, receiver);
  }

  /** Starts a process and waits until it is ready. The first one makes the tables: let it be alone. */
  async add(roles: string, env: Readonly<Record<string, string>> = {}, program?: string): Promise<Member> {
    const [postgres, redis] = await Promise.all([
      postgresBehindProxy(this.databaseUrl),
      redisBehindProxy(this.redis.url),
    ]);
    const stores = { DATABASE_URL: postgres.url, REDIS_URL: redis.url };
    const baton = await BatonProcess.start({
      file: {
        // A model that keeps failing is called all the same: what is looked at is who was called.
        providers: { up: { base_url: this.upstream.url, api_key: 'k', protect: false } },
        models: { 'up/a': { input_usd_per_mtok: 1, output_usd_per_mtok: 3 } },
      },
      env: { ...ENV, ...stores, ROLES: roles, ...env },
      ...(program === undefined ? {} : { program }),
    });
    const member = { baton, api: baton.api, postgres: postgres.proxy, redis: redis.proxy };
    this.members.push(member);
    return member;
  }

  /** An API and so many workers. */
  async addAll(workers: number, env: Readonly<Record<string, string>> = {}): Promise<[Member, ...Member[]]> {
    const api = await this.add('api', env);
    return [api, ...(await Promise.all(Array.from({ length: workers }, () => this.add('worker', env))))];
  }

  /** Ends a process as a crash does, and starts another in its place. */
  async replace(member: Member, roles: string): Promise<Member> {
    await member.baton.kill9();
    return this.add(roles);
  }

  /**
   * Submits one job to `up/a` with a webhook, once: what came, or null if no answer did. The number is its text; the
   * same key is the same job.
   */
  async trySubmit(
    api: BatonClient,
    key: string,
    envelope: Record<string, unknown> = {},
  ): Promise<Reply | null> {
    const request = { model: 'up/a', messages: [{ role: 'user', content: key }] };
    const body = { request, webhook_url: this.receiver.url('/hook'), ...envelope };
    const reply = await api
      .request('POST', '/v1/jobs', body, { 'idempotency-key': key })
      .catch((error: Error) => {
        if (error.message === 'fetch failed' || error.message === 'terminated') return null;
        throw error;
      });
    if (reply?.status === 202) this.accepted.push((reply.body as unknown as JobReply).id);
    return reply;
  }

  /** Submits one job as a client does: again with the same key, at any of the APIs, until it is accepted. Gives its id. */
  async submit(apis: () => readonly Member[], envelope: Record<string, unknown> = {}): Promise<string> {
    const key = randomUUID();
    for (let turn = Math.floor(Math.random() * 100); ; turn++) {
      const there = apis();
      const member = there[turn % there.length];
      const reply = member ? await this.trySubmit(member.api, key, envelope) : null;
      if (reply?.status === 202) return String(reply.body['id']);
      if (reply && reply.status !== 503) throw new Error(`${reply.status}: ${reply.text}`);
      await delay(50);
    }
  }

  /** Submits so many jobs, some at a time. */
  async submitMany(
    apis: () => readonly Member[],
    count: number,
    options: { lanes?: number; pauseMs?: number; envelope?: Record<string, unknown> } = {},
  ): Promise<string[]> {
    const ids: string[] = [];
    let left = count;
    const lane = async (): Promise<void> => {
      while (left-- > 0) {
        ids.push(await this.submit(apis, options.envelope));
        if (options.pauseMs) await delay(options.pauseMs);
      }
    };
    await Promise.all(Array.from({ length: options.lanes ?? 10 }, lane));
    return ids;
  }

  async query<T extends object>(sql: string): Promise<T[]> {
    return (await query(this.databaseUrl, sql)) as T[];
  }

  /** Resolves when every job has ended and every webhook is told. Throws after `timeoutMs`, with some that did not. */
  async allEnded(timeoutMs: number): Promise<void> {
    const endMs = Date.now() + timeoutMs;
    for (;;) {
      const open = await this.query(
        `select id, status, rung_at, due_at - now() as due_in, lease_until - now() as lease_left, worker,
           crash_count, attempt_count from jobs where finished_at is null
         union all select id, 'webhook ' || status, rung_at, due_at - now(), lease_until - now(), last_error,
           null, try_count from webhook_deliveries where status = 'pending' limit 5`,
      );
      if (open.length === 0) return;
      if (Date.now() > endMs)
        throw new Error(`Some are open after ${timeoutMs} ms: ${JSON.stringify(open, null, 2)}`);
      await delay(250);
    }
  }

  /** Holds everything that happened against the invariants; throws with what does not hold. */
  async check(run: Partial<CheckedRun> = {}): Promise<Figures> {
    return checkInvariants({
      databaseUrl: this.databaseUrl,
      accepted: this.accepted,
      calledAttempts: this.upstream.calls().map((call) => String(call.headers['x-baton-attempt-id'])),
      deliveredIds: this.receiver.received().map((each) => String(each.headers['webhook-id'])),
      mostExtraCalls: 0,
      ...run,
    });
  }

  /** Ends the PostgreSQL: SIGKILL as a crash does, SIGQUIT as an immediate stop does. Resolves when it is gone. */
  async endPostgres(signal: 'SIGKILL' | 'SIGQUIT'): Promise<void> {
    process.kill(await postmasterPid(this.dataDir), signal);
    await this.owner.until('exit');
    await this.owner.kill();
  }

  /** Starts the PostgreSQL again, at the same address. */
  async startPostgres(): Promise<void> {
    this.owner = new Owner(this.dataDir);
    await this.owner.until('ready');
  }

  /** Starts a Redis at the address of the one that is gone. */
  async startRedis(options: RedisOptions = {}): Promise<void> {
    this.redis = await startRedis({ ...options, port: this.redis.port });
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(({ baton }) => baton.kill9()));
    await Promise.all(this.members.flatMap(({ postgres, redis }) => [postgres.close(), redis.close()]));
    await Promise.all([this.upstream.close(), this.receiver.close(), this.redis.kill(), this.owner.stop()]);
    await killOwners();
    // Their folders, in which the PostgreSQL was as well.
    await cleanUpBatons();
  }
}
