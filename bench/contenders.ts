/** The two that are measured against each other, on one kind of queue: Baton, and BullMQ with one HTTP call. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Arena, QueueKind } from './arena.js';
import type { BareBullmq } from './bare-bullmq.js';
import type { CleanUp } from './clean-up.js';
import type { Usage } from './client.js';
import { type Round, startMeter } from './meter.js';
import { Part } from './part.js';
import type { TestedBaton } from './tested-baton.js';

export interface BatonRound extends Round {
  /** How long each submission took, in milliseconds. */
  readonly submitMs: readonly number[];
}

export interface BareRound extends Round {
  /** Jobs per second when they are added while the worker runs; `jobsPerSecond` is with all of them waiting. */
  readonly withAddPerSecond: number;
}

const LOOK_EVERY_MS = 5;
const MOST_SECONDS = 120;

/** A Baton. */
export class BatonContender {
  constructor(
    private readonly arena: Arena,
    private readonly baton: TestedBaton,
  ) {}

  /** Submits the jobs and waits until their rows are terminal. Throws unless each was called once and completed. */
  async round(jobs: number): Promise<BatonRound> {
    const { arena } = this;
    const callsBefore = await arena.upstream.ask('calls');
    const rowsBefore = await this.completedRows();
    const meter = startMeter(arena.stores, this.baton.process.pids);
    const submitMs = await arena.client.ask('submit', this.usage(jobs, arena.concurrency));
    await this.untilAllEnded();
    const round = { ...meter(jobs), submitMs };
    const rows = await this.completedRows();
    const calls = (await arena.upstream.ask('calls')) - callsBefore;
    expectAll(jobs, {
      calls,
      jobs: rows.jobs - rowsBefore.jobs,
      attempts: rows.attempts - rowsBefore.attempts,
    });
    return round;
  }

  /** Runs jobs one after the other; gives the time from submission to result of each, in milliseconds. */
  idle(jobs: number): Promise<number[]> {
    return this.arena.client.ask('run', this.usage(jobs, 1));
  }

  private usage(jobs: number, connections: number): Usage {
    const { url, key } = this.baton;
    return { url, key, model: 'bench/instant', jobs, connections };
  }

  private async untilAllEnded(): Promise<void> {
    // Each half has an index of its own kind of rows, so that to look costs next to nothing.
    const look = `select exists (select from jobs where status = 'queued')
      or exists (select from jobs where status = 'in_progress') as "areLeft"`;
    const endMs = performance.now() + MOST_SECONDS * 1000;
    while ((await this.baton.database.query<{ areLeft: boolean }>(look)).rows[0]?.areLeft !== false) {
      if (performance.now() > endMs) throw new Error(`Jobs are left after ${MOST_SECONDS} s`);
      await delay(LOOK_EVERY_MS);
    }
  }

  private async completedRows(): Promise<{ jobs: number; attempts: number }> {
    return this.baton.row(
      `select (select count(*)::int from jobs where status = 'completed') as jobs,
        (select count(*)::int from attempts where outcome = 'succeeded') as attempts`,
    );
  }
}

/** BullMQ with one HTTP call: a process that adds, and one that works. */
export class BareContender {
  private constructor(
    private readonly arena: Arena,
    private readonly producer: Part<BareBullmq>,
    private readonly worker: Part<BareBullmq>,
  ) {}

  static async start(arena: Arena, kind: QueueKind, cleanUp: CleanUp): Promise<BareContender> {
    const storeUrl =
      kind === 'redis' ? arena.stores.redisUrl : await arena.stores.createDatabase(`bare_${kind}`);
    const open = async (): Promise<Part<BareBullmq>> => {
      const part = Part.start<BareBullmq>('bare-bullmq');
      cleanUp.later(() => part.stop());
      await part.ask('open', { storeUrl, upstreamUrl: arena.upstreamUrl, concurrency: arena.concurrency });
      return part;
    };
    return new BareContender(arena, await open(), await open());
  }

  /** Runs the jobs twice: from a queue that holds them all, and while they are added. Throws unless each was called once. */
  async round(jobs: number): Promise<BareRound> {
    const { producer, worker } = this;
    const callsBefore = await this.arena.upstream.ask('calls');
    await producer.ask('add', jobs);
    const meter = startMeter(this.arena.stores, [worker.pid]);
    await worker.ask('work', jobs);
    const seconds = await worker.ask('drained');
    const round = { ...meter(jobs), jobsPerSecond: jobs / seconds };

    await worker.ask('work', jobs);
    const addMeter = startMeter(this.arena.stores, []);
    await Promise.all([producer.ask('add', jobs), worker.ask('drained')]);
    const withAddPerSecond = addMeter(jobs).jobsPerSecond;
    expectAll(2 * jobs, { calls: (await this.arena.upstream.ask('calls')) - callsBefore });
    return { ...round, withAddPerSecond };
  }

  /** Runs jobs one after the other; gives the time from adding to end of each, in milliseconds. */
  idle(jobs: number): Promise<number[]> {
    return this.worker.ask('run', jobs);
  }
}

function expectAll(jobs: number, seen: Record<string, number>): void {
  if (Object.values(seen).every((count) => count === jobs)) return;
  throw new Error(`Not all of ${jobs} were done exactly once: ${JSON.stringify(seen)}`);
}
