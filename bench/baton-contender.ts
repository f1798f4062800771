/** A Baton with its whole ledger: jobs that are submitted one by one, and lines of a batch. */
import { toUuid } from '../src/storage/ids.js';
import { type Arena, CONNECTIONS } from './arena.js';
import type { BatchClient } from './batch-client.js';
import { type Contender, expectAll, type Work } from './contender.js';
import { type Round, startMeter } from './meter.js';
import type { Part } from './part.js';
import type { TestedBaton } from './tested-baton.js';

const SEED = 20_261_128;
/** So much text makes a line's request as long as every other one here, 1 kB. */
const LINE_TEXT_BYTES = 955;

/** Each half has an index of its own kind of rows, so that to look costs next to nothing. */
export const ALL_ENDED = `select not exists (select from jobs where status = 'queued')
  and not exists (select from jobs where status = 'in_progress') as is`;
/** Of the batch `$1`. */
export const IS_COMPLETED = `select completed_at is not null as is from batches where id = $1`;

abstract class BatonContender implements Contender {
  constructor(
    protected readonly arena: Arena,
    protected readonly baton: TestedBaton,
  ) {}

  async round(work: Work): Promise<Round> {
    const { arena } = this;
    const callsBefore = await arena.upstream.ask('calls');
    const rowsBefore = await this.completedRows();
    const round = await this.run(work, work.isFlaky ? 'policy/flaky' : 'bench/instant');
    const rows = await this.completedRows();
    const calls = (await arena.upstream.ask('calls')) - callsBefore;
    expectAll(work.jobs, {
      calls,
      jobs: rows.jobs - rowsBefore.jobs,
      attempts: rows.attempts - rowsBefore.attempts,
    });
    return round;
  }

  protected abstract run(work: Work, model: string): Promise<Round>;

  protected meter(): (jobs: number) => Round {
    return startMeter(this.arena.stores, this.baton.process.pids);
  }

  private async completedRows(): Promise<{ jobs: number; attempts: number }> {
    return this.baton.row(
      `select (select count(*)::int from jobs where status = 'completed') as jobs,
        (select count(*)::int from attempts where outcome = 'succeeded') as attempts`,
    );
  }
}

/** From the first submission to the last end, API and worker working at the same time. */
export class BatonSingles extends BatonContender {
  /** How long each submission of all rounds took, in milliseconds. */
  readonly submitMs: number[] = [];

  /** Runs jobs one after the other; gives the time from submission to result of each, in milliseconds. */
  idle(jobs: number): Promise<number[]> {
    const { url, key } = this.baton;
    return this.arena.client.ask('run', { url, key, model: 'bench/instant', jobs, connections: 1 });
  }

  protected async run({ jobs }: Work, model: string): Promise<Round> {
    const { url, key } = this.baton;
    const meter = this.meter();
    this.submitMs.push(
      ...(await this.arena.client.ask('submit', { url, key, model, jobs, connections: CONNECTIONS })),
    );
    await this.baton.until(ALL_ENDED);
    return meter(jobs);
  }
}

/** All lines wait before the first is run: from the moment at which they may run to the last one's end. */
export class BatonBatch extends BatonContender {
  /** From the batch's creation to `completed`, its output written, of all rounds: lines a second. */
  readonly wholePerSecond: number[] = [];

  constructor(
    arena: Arena,
    baton: TestedBaton,
    private readonly user: Part<BatchClient>,
  ) {
    super(arena, baton);
  }

  protected async run({ jobs }: Work, model: string): Promise<Round> {
    await this.user.ask('open', this.baton.url, this.baton.key);
    const { fileId } = await this.user.ask('upload', {
      seed: SEED,
      requests: jobs,
      textBytes: LINE_TEXT_BYTES,
      model,
    });
    const batchId = await this.user.ask('create', fileId);
    const row = [toUuid('batch', batchId)];
    await this.baton.until(`select in_progress_at is not null as is from batches where id = $1`, row);
    const meter = this.meter();
    await this.baton.until(IS_COMPLETED, row);
    const { run, whole } = await this.baton.row<{ run: number; whole: number }>(
      `select extract(epoch from (select max(finished_at) from jobs where batch_id = $1) - in_progress_at)::float8 as run,
        extract(epoch from completed_at - created_at)::float8 as whole from batches where id = $1`,
      row,
    );
    this.wholePerSecond.push(jobs / whole);
    return { ...meter(jobs), jobsPerSecond: jobs / run };
  }
}
