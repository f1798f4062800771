import { Injectable, Logger } from '@nestjs/common';
import { BatchJobsService, type CancelReason, type Tally } from '../jobs/batch-jobs.service.js';
import { RENEW_EVERY_MS } from '../storage/lease.js';
import { BatchEndings } from './batch-endings.js';
import { BatchIngest, linesOf } from './batch-ingest.js';
import { stopReason } from './batch-limits.js';
import { BatchOutput } from './batch-output.js';
import { type BatchLease, BatchStepsRepository, type HeldBatch } from './batch-steps.repository.js';

/** A batch that runs is looked after this often even if nobody calls: whoever ends a line of it does. */
const LOOK_AGAIN_MS = 5_000;

/** What one step came to: look again at once, or not before something happens. */
type Step = 'again' | 'rest';

/**
 * Advances batches: reads the input, lets the lines run, writes the output, ends the batch. What is written is the whole
 * state, so whoever comes next goes on where the last one stopped.
 */
@Injectable()
export class BatchAdvancer {
  private readonly logger = new Logger('Batches');

  constructor(
    private readonly steps: BatchStepsRepository,
    private readonly ingest: BatchIngest,
    private readonly output: BatchOutput,
    private readonly endings: BatchEndings,
    private readonly jobs: BatchJobsService,
  ) {}

  /** Does all that can be done now for a batch, unless somebody else is at it. Throws when a store is away; nothing is lost by it. */
  async advance(batchId: string, stopping: AbortSignal): Promise<void> {
    const lease = await this.steps.claim(batchId);
    if (!lease) return;
    const lost = new AbortController();
    const timer = setInterval(() => void this.renew(lease, lost), RENEW_EVERY_MS);
    try {
      await this.walk(lease, AbortSignal.any([stopping, lost.signal]));
    } finally {
      clearInterval(timer);
    }
  }

  private async walk(lease: BatchLease, signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const batch = await this.steps.read(lease);
        if (!batch) return;
        const step = await this.step(batch, lease, signal);
        if (step === 'again') continue;
        if (await this.steps.release(lease, batch.news, LOOK_AGAIN_MS)) return;
      }
      await this.steps.giveUp(lease);
    } catch (error) {
      await this.steps.giveUp(lease).catch(() => undefined);
      throw error;
    }
  }

  private async step(batch: HeldBatch, lease: BatchLease, signal: AbortSignal): Promise<Step> {
    switch (batch.status) {
      case 'validating':
        return this.read(batch, lease, signal);
      case 'in_progress':
        return this.run(batch, lease, signal);
      case 'finalizing':
      case 'cancelling':
        return this.finish(batch, lease, signal);
      default:
        return 'rest';
    }
  }

  /** Reads the input; then lets the lines run, or ends the batch for what is wrong with it. */
  private async read(batch: HeldBatch, lease: BatchLease, signal: AbortSignal): Promise<Step> {
    const found = await this.ingest.read(batch, lease, signal);
    if (found === null) return 'again';
    const problem = this.endings.problemOf(batch, found);
    if (problem !== null) {
      await this.jobs.drop(batch.id, signal);
      if (!signal.aborted) await this.endings.fail(batch, lease, problem);
      return 'again';
    }
    await this.steps.within(lease, 'validating', async (trx) => {
      if (batch.dedupe) await this.jobs.shareEqual(trx, batch.id);
      await this.steps.begin(trx, batch.id);
      await this.jobs.open(trx, linesOf(batch));
      // It may have been paused while it was read.
      const now = await this.steps.isPaused(trx, batch.id);
      if (now) await this.jobs.close(trx, batch.id);
    });
    return 'again';
  }

  /** Looks how far the lines are: the output is written, a limit may be passed, all may have ended. */
  private async run(batch: HeldBatch, lease: BatchLease, signal: AbortSignal): Promise<Step> {
    this.jobs.dispatchSoon();
    const tally = await this.jobs.tally(batch.id);
    const ended = endedOf(tally);
    if (ended >= batch.job_count) {
      await this.steps.within(lease, 'in_progress', (trx) => this.steps.finalize(trx, batch.id));
      return 'again';
    }
    if (batch.stop_code !== null) {
      await this.cancelRest(batch, lease, { code: batch.stop_code, message: batch.stop_message });
      return 'again';
    }
    const limits = { maxCostMicros: batch.max_cost_micros, maxErrorRate: batch.max_error_rate };
    const reason = stopReason(limits, tally);
    if (reason !== null) {
      await this.steps.within(lease, 'in_progress', async (trx) => {
        const stop = { stop_code: reason.code, stop_message: reason.message, paused_at: null };
        await this.steps.set(trx, batch.id, stop);
        await this.jobs.close(trx, batch.id);
      });
      return 'again';
    }
    await this.output.write(batch, lease, ended, false, signal);
    return 'rest';
  }

  /** Ends what is left of a batch that is cancelled, writes what is left of the output, and ends the batch. */
  private async finish(batch: HeldBatch, lease: BatchLease, signal: AbortSignal): Promise<Step> {
    if (batch.status === 'cancelling') {
      if (batch.in_progress_at === null) {
        await this.jobs.drop(batch.id, signal);
        if (!signal.aborted) await this.endings.end(batch, lease);
        return 'again';
      }
      await this.cancelRest(batch, lease, { code: null, message: null });
      if (endedOf(await this.jobs.tally(batch.id)) < batch.job_count) return 'again';
    }
    let written = await this.output.write(batch, lease, batch.job_count, true, signal);
    if (written && isShort(written)) {
      this.logger.warn(`The output of batch ${batch.id} is not whole and is written again`);
      const empty = await this.output.startOver(written, lease);
      written = empty && (await this.output.write(empty, lease, empty.job_count, true, signal));
      if (written && isShort(written)) throw new Error(`The output of batch ${batch.id} can't be made whole`);
    }
    if (written) await this.endings.end(written, lease);
    return 'again';
  }

  /** Ends all that is left. The batch is closed by now, and committed so: else lines would go on to begin while others end. */
  private async cancelRest(batch: HeldBatch, lease: BatchLease, reason: CancelReason): Promise<void> {
    await this.steps.within(lease, batch.status, (trx) => this.jobs.cancelAll(trx, batch.id, reason));
  }

  private async renew(lease: BatchLease, lost: AbortController): Promise<void> {
    try {
      if (!(await this.steps.renew(lease))) lost.abort();
    } catch (error) {
      // The step goes on: its writes are guarded by the token.
      this.logger.warn(`The lease of a batch could not be renewed: ${String(error)}`);
    }
  }
}

function endedOf(tally: Tally): number {
  return tally.completed + tally.failed + tally.cancelled + tally.expired;
}

/** Whether the files hold fewer lines than they must. */
function isShort(batch: HeldBatch): boolean {
  return batch.written_count !== batch.job_count || batch.written_rejects !== batch.reject_count;
}
