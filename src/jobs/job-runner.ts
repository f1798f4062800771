import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { AdmissionService, type Permit } from '../admission/admission.service.js';
import type { WaitingPlace } from '../admission/room-bell.js';
import type { CallRequest } from '../providers/adapter.js';
import { AnswerChecker } from '../providers/answer-check.js';
import { ProvidersService } from '../providers/providers.service.js';
import type { CallResult } from '../routing/call-result.js';
import type { Step } from '../routing/chain.js';
import { isFailure, isHeldBack } from '../routing/history.js';
import { type Action, nextAction } from '../routing/next-action.js';
import { stepAt } from '../routing/situation.js';
import { isDatabaseOutage } from '../storage/database-outage.js';
import { newUuid, toPublicId } from '../storage/ids.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import type { NewAttempt } from './attempts.repository.js';
import { Dispatcher } from './dispatcher.js';
import { JobEndings } from './job-endings.js';
import { JobGates } from './job-gates.js';
import { type ClaimedJob, JobRunsRepository } from './job-runs.repository.js';
import { type HeldLease, LeaseKeeper } from './lease-keeper.js';
import { type OpenAttempt, outcomeOf, toEnding, toFinished, toLedger } from './run-outcome.js';
import { bodyFor, type Run, RunPreparer } from './run-preparer.js';
import { RunWriter, WORKER } from './run-writer.js';

/** A longer wait gives the worker's slot back: the job is due later. */
const LONGEST_HELD_WAIT_MS = 2_000;
/** How long a finished answer is kept while the database is away. */
const LONGEST_OUTAGE_MS = 60_000;

type Call = Extract<Action, { type: 'call' }>;
type Wait = Extract<Action, { type: 'wait' }>;

/** What the walk holds in its hands. */
interface Hand {
  /** The attempt that is over and not yet written down as such. */
  open: OpenAttempt | null;
  /** Where the job may wait for room, by the steps at which it was turned away. */
  readonly parking: Map<number, WaitingPlace>;
  /** True until the first attempt of a job that was woken because there is room again. */
  isRoom: boolean;
}

/** A job that this process has taken, and its right to run it. */
export interface TakenJob {
  readonly job: ClaimedJob;
  readonly lease: HeldLease;
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
    private readonly writer: RunWriter,
    private readonly leases: LeaseKeeper,
    private readonly preparer: RunPreparer,
    private readonly gates: JobGates,
    private readonly admission: AdmissionService,
    private readonly providers: ProvidersService,
    private readonly answers: AnswerChecker,
    private readonly endings: JobEndings,
    private readonly dispatcher: Dispatcher,
    private readonly metrics: MetricsService,
  ) {}

  /** Takes the job if it is there to be run; null if it is not. Whoever takes one must {@link run} it. */
  async take(jobId: string): Promise<TakenJob | null> {
    const job = await this.writer.claim(jobId);
    this.dispatcher.taken();
    return job && { job, lease: this.leases.hold(job) };
  }

  /** Runs the job until it ends, must wait, or is taken away. */
  async run({ job, lease }: TakenJob): Promise<void> {
    try {
      await this.walk(await this.preparer.prepare(job, lease));
    } finally {
      this.leases.letGo(lease);
    }
  }

  private async walk(run: Run): Promise<void> {
    const hand: Hand = { open: null, parking: new Map(), isRoom: run.job.wasWoken };
    for (;;) {
      if (mustStop(run.lease, hand.open)) return this.stop(run, hand.open);
      const { chain, past: attempts, deadlineMs, seed, keyCounts } = run;
      const { isRoom } = hand;
      const nowMs = Date.now();
      const action = nextAction({ chain, attempts, nowMs, deadlineMs, seed, keyCounts, isRoom });
      switch (action.type) {
        case 'call': {
          if (!(await this.attempt(run, hand, action))) return this.stop(run, hand.open);
          break;
        }
        case 'wait': {
          const waited = await this.wait(run, hand, action, action.untilMs - nowMs);
          if (waited === 'given back') return;
          if (waited === 'lost') return this.stop(run, hand.open);
          break;
        }
        case 'succeed':
        case 'fail':
        case 'expire': {
          const finished = hand.open && toFinished(hand.open, action);
          const end = { lease: run.lease, finished, ending: toEnding(action, run.past, hand.open) };
          const ended = await this.surely(run, () => this.endings.end(end, run.job.isQuiet));
          return ended ? undefined : this.stop(run, hand.open);
        }
      }
    }
  }

  /** Calls the model, or writes down why not. False if the lease is lost. */
  private async attempt(run: Run, hand: Hand, action: Call): Promise<boolean> {
    const step = stepAt(run.chain, action.step);
    const attempt = newAttempt(run, action, step);
    const body = bodyFor(run.request, step);
    const gate = await this.gates.pass(
      { model: step.model, endpoint: run.endpoint, body, past: run.past },
      { step: action.step, round: action.round, attemptId: attempt.id, timeoutMs: action.timeoutMs },
    );
    if (gate.isOpen) {
      const begun = { ...attempt, keyId: gate.keyId };
      const result = await this.call(run, hand, action, begun, body, gate.permit);
      if (result === null) return false;
      hand.open = { attempt: begun, result, isSkip: false, endedMs: performance.now() };
    } else {
      const finished = hand.open && toFinished(hand.open, action);
      if (finished && !(await this.surely(run, () => this.writer.finish(run.lease, finished)))) return false;
      hand.open = { attempt, result: gate.failure, isSkip: true, endedMs: performance.now() };
    }
    if (gate.isOpen || gate.parkOn === null) hand.parking.delete(action.step);
    else hand.parking.set(action.step, gate.parkOn);
    hand.isRoom = false;
    run.past.push(toLedger(hand.open));
    this.count(hand.open);
    return true;
  }

  /** Writes the attempt down, and the finished one before it, and makes the call; null if the lease is lost. */
  private async call(
    run: Run,
    hand: Hand,
    action: Call,
    attempt: NewAttempt,
    body: CallRequest['body'],
    permit: Permit,
  ): Promise<CallResult | null> {
    const { open } = hand;
    let isBegun = false;
    try {
      isBegun = await this.surely(run, () =>
        this.writer.begin(run.lease, attempt, open && toFinished(open, action)),
      );
    } finally {
      if (!isBegun) this.admission.cancel(permit);
    }
    if (!isBegun) return null;
    if (action.decision === 'next' && run.past.length > 0) this.metrics.fallbacks.inc();
    try {
      const answer = await this.ask(run, attempt, action.timeoutMs, body);
      // What we stopped ourselves says nothing of the model, nor does what a policy expects of its answers.
      this.admission.settle(permit, run.lease.signal.aborted && !answer.ok ? null : answer);
      return this.judge(run, action.step, body, answer);
    } finally {
      this.admission.settle(permit, null);
    }
  }

  private async ask(
    run: Run,
    attempt: NewAttempt,
    timeoutMs: number,
    body: CallRequest['body'],
  ): Promise<CallResult> {
    const startedMs = performance.now();
    const answer = await this.providers.call({
      model: attempt.model,
      endpoint: run.endpoint,
      body,
      keyId: attempt.keyId,
      timeoutMs,
      signal: run.lease.signal,
      attemptId: toPublicId('att', attempt.id),
      attemptIndex: attempt.index,
    });
    this.metrics.attemptDuration.observe(
      { provider: attempt.provider },
      (performance.now() - startedMs) / 1000,
    );
    return answer;
  }

  /** Holds an answer against what the step expects. */
  private judge(run: Run, step: number, body: CallRequest['body'], answer: CallResult): CallResult {
    const { expect } = stepAt(run.chain, step);
    return (answer.ok && expect && this.answers.check(expect, run.endpoint, body, answer)) || answer;
  }

  /**
   * Holds a short wait; gives the slot back for a long one, and for every wait for room: who waits
   * for a model holds up nobody else.
   */
  private async wait(
    run: Run,
    hand: Hand,
    action: Wait,
    waitMs: number,
  ): Promise<'waited' | 'given back' | 'lost'> {
    const finished = hand.open && toFinished(hand.open, action);
    const parkOn = hand.parking.get(action.step) ?? null;
    if (isHeldBackAt(run, action) || waitMs > LONGEST_HELD_WAIT_MS) {
      const isBack = await this.surely(run, () =>
        this.runs.postpone(run.lease, finished, waitMs, parkOn?.model ?? null),
      );
      if (isBack && parkOn !== null) this.admission.park(parkOn);
      return isBack ? 'given back' : 'lost';
    }
    if (finished && !(await this.surely(run, () => this.writer.finish(run.lease, finished)))) return 'lost';
    hand.open = null;
    await sleep(waitMs, undefined, { signal: run.lease.signal }).catch(() => undefined);
    return 'waited';
  }

  private count(open: OpenAttempt): void {
    this.metrics.attempts.inc({
      provider: open.attempt.provider,
      outcome: outcomeOf(open),
      class: open.result.ok ? '' : open.result.class,
    });
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
    // What came in spite of it was paid for, a bad answer too.
    const isPaid = open !== null && (open.result.ok || open.result.usage !== null);
    if (open?.isSkip === false && (isPaid || !run.lease.signal.aborted)) {
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

/** True if the job waits for a model that it was turned away from on our side. */
function isHeldBackAt(run: Run, { step }: Wait): boolean {
  const last = run.past.findLast((attempt) => attempt.step === step);
  return last !== undefined && isFailure(last) && isHeldBack(last);
}

function newAttempt(run: Run, { step, round }: Call, { model }: Step): NewAttempt {
  return {
    id: newUuid(),
    index: run.past.length,
    round,
    step,
    model,
    provider: model.slice(0, model.indexOf('/')),
    keyId: null,
    worker: WORKER,
  };
}
