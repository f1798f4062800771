import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { PoliciesService } from '../policies/policies.service.js';
import type { Endpoint } from '../providers/adapter.js';
import { ProvidersService } from '../providers/providers.service.js';
import type { Chain, Step } from '../routing/chain.js';
import { type Action, nextAction } from '../routing/next-action.js';
import { isDatabaseOutage } from '../storage/database-outage.js';
import { newUuid, toPublicId } from '../storage/ids.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { JobEndings } from './job-endings.js';
import type { LedgerAttempt, NewAttempt } from './attempts.repository.js';
import { type ClaimedJob, JobRunsRepository } from './job-runs.repository.js';
import { type HeldLease, LeaseKeeper } from './lease-keeper.js';
import { type OpenAttempt, outcomeOf, toEnding, toFinished, toLedger } from './run-outcome.js';

/** A longer wait gives the worker's slot back: the job is due later. */
const LONGEST_HELD_WAIT_MS = 2_000;
/** How long a finished answer is kept while the database is away. */
const LONGEST_OUTAGE_MS = 60_000;
const WORKER = `${hostname()}:${process.pid}`;

type Call = Extract<Action, { type: 'call' }>;

/** One job on its way down its chain, in this process. */
interface Run {
  readonly job: ClaimedJob;
  readonly chain: Chain;
  readonly lease: HeldLease;
  readonly request: Record<string, unknown>;
  readonly past: LedgerAttempt[];
  readonly deadlineMs: number;
}

/**
 * Runs a job: asks the pure core what is next, does it, writes it down, asks again. What is written is the whole state,
 * so a run that was cut off anywhere is taken up by asking again.
 */
@Injectable()
export class JobRunner {
  private readonly logger = new Logger('JobRunner');

  constructor(
    private readonly runs: JobRunsRepository,
    private readonly leases: LeaseKeeper,
    private readonly policies: PoliciesService,
    private readonly providers: ProvidersService,
    private readonly endings: JobEndings,
    private readonly metrics: MetricsService,
  ) {}

  /** Runs the job if it is there to be run, until it ends, must wait, or is taken away. */
  async run(jobId: string): Promise<void> {
    const job = await this.runs.claim(jobId, WORKER);
    if (!job) return;
    const lease = this.leases.hold(job);
    try {
      await this.walk(await this.prepare(job, lease));
    } finally {
      this.leases.letGo(lease);
    }
  }

  private async prepare(job: ClaimedJob, lease: HeldLease): Promise<Run> {
    // The ledger speaks in the database's time and this process thinks in its own.
    const skewMs = Date.now() - job.databaseNowMs;
    const past = job.token === 1 ? [] : await this.runs.attempts(job.jobId);
    return {
      job,
      lease,
      chain: await this.policies.chain(job.chainId),
      request: JSON.parse(job.request) as Record<string, unknown>,
      past: past.map((attempt) => ({ ...attempt, endedAtMs: attempt.endedAtMs + skewMs })),
      deadlineMs: job.expiresAtMs + skewMs,
    };
  }

  private async walk(run: Run): Promise<void> {
    const seed = Number.parseInt(run.job.jobId.slice(-8), 16);
    let open: OpenAttempt | null = null;
    for (;;) {
      if (mustStop(run.lease, open)) return this.stop(run, open);
      const nowMs = Date.now();
      const action = nextAction({
        chain: run.chain,
        attempts: run.past,
        nowMs,
        deadlineMs: run.deadlineMs,
        seed,
        keyCounts: run.chain.steps.map(({ model }) => this.providers.keyIdsOf(model).length),
        isRoom: false,
      });
      switch (action.type) {
        case 'call': {
          const attempt = await this.begin(run, open, action);
          if (!attempt) return this.stop(run, open);
          open = await this.call(run, attempt, action.timeoutMs);
          run.past.push(toLedger(open));
          break;
        }
        case 'wait': {
          const finished = open && toFinished(open, action);
          const waitMs = action.untilMs - nowMs;
          if (waitMs > LONGEST_HELD_WAIT_MS) {
            if (await this.surely(run, () => this.runs.postpone(run.lease, finished, waitMs, null))) return;
            return this.stop(run, open);
          }
          if (finished && !(await this.surely(run, () => this.runs.finish(run.lease, finished))))
            return this.stop(run, open);
          open = null;
          await sleep(waitMs, undefined, { signal: run.lease.signal }).catch(() => undefined);
          break;
        }
        case 'succeed':
        case 'fail':
        case 'expire': {
          const finished = open && toFinished(open, action);
          const ending = toEnding(action, run.past, open);
          const ended = await this.surely(run, () => this.endings.end(run.lease, finished, ending));
          return ended ? undefined : this.stop(run, open);
        }
      }
    }
  }

  /** Writes the next attempt down, and the finished one before it; null if the lease is lost. */
  private async begin(run: Run, open: OpenAttempt | null, action: Call): Promise<NewAttempt | null> {
    const { model } = stepAt(run.chain, action.step);
    const attempt: NewAttempt = {
      id: newUuid(),
      index: run.past.length,
      round: action.round,
      step: action.step,
      model,
      provider: model.slice(0, model.indexOf('/')),
      keyId: this.providers.keyIdsOf(model)[0] ?? null,
      worker: WORKER,
    };
    const begun = await this.surely(run, () =>
      open
        ? this.runs.passOn(run.lease, toFinished(open, action), attempt)
        : this.runs.begin(run.lease, attempt),
    );
    if (begun && action.decision === 'next' && run.past.length > 0) this.metrics.fallbacks.inc();
    return begun ? attempt : null;
  }

  private async call(run: Run, attempt: NewAttempt, timeoutMs: number): Promise<OpenAttempt> {
    const { models: _ours, ...body } = run.request;
    const startedMs = performance.now();
    const result = await this.providers.call({
      model: attempt.model,
      endpoint: run.job.endpoint as Endpoint,
      body: { ...body, ...stepAt(run.chain, attempt.step).overrides },
      keyId: attempt.keyId,
      attemptIndex: attempt.index,
      timeoutMs,
      signal: run.lease.signal,
      attemptId: toPublicId('att', attempt.id),
    });
    const endedMs = performance.now();
    const open = { attempt, result, isSkip: false, endedMs };
    this.metrics.attempts.inc({
      provider: attempt.provider,
      outcome: outcomeOf(open),
      class: result.ok ? '' : result.class,
    });
    this.metrics.attemptDuration.observe({ provider: attempt.provider }, (endedMs - startedMs) / 1000);
    return open;
  }

  /**
   * Does a write, again and again while the database is away: an answer in hand was paid for, and a restart of the
   * database is no reason to pay twice. Gives up when the run is stopped, or after a minute; every write is fenced by
   * the lease, so one that comes late or twice does no harm.
   */
  private async surely<T>(run: Run, write: () => Promise<T>): Promise<T> {
    const endsMs = performance.now() + LONGEST_OUTAGE_MS;
    for (let delayMs = 100; ; delayMs = Math.min(delayMs * 2, 2_000)) {
      try {
        return await write();
      } catch (error) {
        if (!isDatabaseOutage(error) || run.lease.signal.aborted || performance.now() > endsMs) throw error;
        await sleep(delayMs, undefined, { signal: run.lease.signal }).catch(() => undefined);
      }
    }
  }

  /** The run is over because it was taken away: whatever is known is written where it can do no harm. */
  private async stop(run: Run, open: OpenAttempt | null): Promise<void> {
    const { stopReason } = run.lease;
    // An answer that came in spite of it was paid for.
    if (open?.result.ok || (open && !run.lease.signal.aborted)) {
      await this.runs.supersede(
        run.lease,
        toFinished(open, { decision: 'stop', reason: 'the job went on without this answer' }),
      );
    }
    if (stopReason === 'stopping') await this.runs.release(run.lease, 'the worker was stopped');
    this.logger.debug(`Stopped running ${toPublicId('job', run.job.jobId)}: ${stopReason ?? 'lease_lost'}`);
  }
}

/** A process that stops still takes home the answer that it has in its hands. */
function mustStop(lease: HeldLease, open: OpenAttempt | null): boolean {
  return lease.signal.aborted && !(lease.stopReason === 'stopping' && open?.result.ok);
}

function stepAt(chain: Chain, index: number): Step {
  const step = chain.steps[index];
  if (!step) throw new Error(`The chain has no step ${index}`);
  return step;
}
