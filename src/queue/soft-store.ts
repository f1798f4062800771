/**
 * What Redis holds besides messages: counters that all processes share, which may be lost at any moment. No promise rests
 * on them, so nobody waits for them: whoever asks must have a second answer ready.
 */
import { createHash } from 'node:crypto';
import { Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Cluster, Redis } from 'ioredis';
import { reconnectDelayMs } from './reconnect-delay.js';
import { openRedis } from './redis-client.js';

/** A deed that Redis does in one go. `name` is for people; what it does is `lua`. */
export interface SoftScript {
  readonly name: string;
  readonly lua: string;
}

const ANSWER_TIMEOUT_MS = 250;
/** So many times as long may a connection take to be made, or be silent while it owes an answer, before it is given up. */
const CONNECTION_PATIENCE = 4;
/** After a question that was not answered: long enough that a slow Redis costs few callers their 250 ms. */
const REST_MS = 1_000;
/** A process that ends would otherwise be held for 2 s by a connection that is gone already. */
const DISCONNECT_TIMEOUT_MS = 100;

export class SoftStore implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger('SoftStore');
  private readonly redis: Redis | Cluster | null;
  private readonly hashes = new WeakMap<SoftScript, string>();
  private restsUntilMs = 0;
  private isAway = false;

  /**
   * `redisUrl` is null where the queue lives in PostgreSQL: then there is nothing to share. After `answerTimeoutMs` a question counts
   * as not answered.
   */
  constructor(
    redisUrl: string | null,
    private readonly prefix: string,
    answerTimeoutMs = ANSWER_TIMEOUT_MS,
  ) {
    this.redis = redisUrl === null ? null : open(redisUrl, answerTimeoutMs);
    // Unheard, an error event would end the process; the reason is told where a question fails.
    this.redis?.on('error', (error) => this.logger.debug(error.message));
    this.redis?.on('close', () => this.away('the connection is closed'));
  }

  /** True while Redis answers: what is kept in it is seen by all processes. */
  get isShared(): boolean {
    return this.redis?.status === 'ready' && performance.now() >= this.restsUntilMs;
  }

  /** Gives the first connection a moment, so that a process's first questions are answered like its later ones. */
  async onModuleInit(): Promise<void> {
    await this.redis?.connect().catch((error: unknown) => this.away(wordsOf(error)));
  }

  /**
   * Runs a script in Redis. The keys are put under this Baton's own prefix, all in one slot of a cluster. Null when
   * there is no Redis, or it is away, slow or refuses; never throws. After a null the script may have run all the same.
   */
  async run(
    script: SoftScript,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    if (this.redis === null || !this.isShared) return null;
    const operands = [...keys.map((key) => `${this.prefix}:soft:${key}`), ...args];
    try {
      const answer = await this.evaluate(this.redis, script, keys.length, operands);
      this.isAway = false;
      return answer;
    } catch (error) {
      this.restsUntilMs = performance.now() + REST_MS;
      this.away(`${script.name}: ${wordsOf(error)}`);
      return null;
    }
  }

  onApplicationShutdown(): void {
    this.isAway = true;
    // No goodbye: one that is away would never answer it.
    this.redis?.disconnect();
  }

  private async evaluate(
    redis: Redis | Cluster,
    script: SoftScript,
    keyCount: number,
    operands: (string | number)[],
  ): Promise<unknown> {
    try {
      return await redis.evalsha(this.hashOf(script), keyCount, ...operands);
    } catch (error) {
      if (!wordsOf(error).startsWith('NOSCRIPT')) throw error;
      return await redis.eval(script.lua, keyCount, ...operands);
    }
  }

  private hashOf(script: SoftScript): string {
    const known = this.hashes.get(script);
    if (known !== undefined) return known;
    const hash = createHash('sha1').update(script.lua).digest('hex');
    this.hashes.set(script, hash);
    return hash;
  }

  /** Many find out at once; one says so. */
  private away(why: string): void {
    if (!this.isAway) this.logger.warn(`Redis does not answer, so each process counts for itself: ${why}`);
    this.isAway = true;
  }
}

function open(url: string, answerTimeoutMs: number): Redis | Cluster {
  return openRedis(url, {
    lazyConnect: true,
    connectTimeout: CONNECTION_PATIENCE * answerTimeoutMs,
    commandTimeout: answerTimeoutMs,
    socketTimeout: CONNECTION_PATIENCE * answerTimeoutMs,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: reconnectDelayMs,
  });
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
