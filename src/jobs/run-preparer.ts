import { Injectable } from '@nestjs/common';
import { AdmissionService } from '../admission/admission.service.js';
import { PoliciesService } from '../policies/policies.service.js';
import type { Endpoint } from '../providers/adapter.js';
import { ProvidersService } from '../providers/providers.service.js';
import type { Chain, Step } from '../routing/chain.js';
import { orderSteps } from '../routing/order.js';
import { stepAt } from '../routing/situation.js';
import type { Plan, StepFacts, StepOrder } from '../routing/plan.js';
import type { LedgerAttempt } from './attempts.repository.js';
import { ClockWatch } from './clock-watch.js';
import { JobGates } from './job-gates.js';
import { type ClaimedJob, JobRunsRepository } from './job-runs.repository.js';
import type { HeldLease } from './lease-keeper.js';

/** One job on its way down its chain, in this process. */
export interface Run {
  readonly job: ClaimedJob;
  /** In the order in which this job walks it. */
  readonly chain: Chain;
  readonly lease: HeldLease;
  readonly endpoint: Endpoint;
  /** The caller's body, without what is ours. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly past: LedgerAttempt[];
  readonly deadlineMs: number;
  /** The job's own for life: what is drawn for it is drawn from this. */
  readonly seed: number;
  /** How many keys the provider of each step has. */
  readonly keyCounts: readonly number[];
}

/** Makes a claimed job ready to be walked. */
@Injectable()
export class RunPreparer {
  private readonly clock = new ClockWatch();

  constructor(
    private readonly runs: JobRunsRepository,
    private readonly policies: PoliciesService,
    private readonly providers: ProvidersService,
    private readonly admission: AdmissionService,
    private readonly gates: JobGates,
  ) {}

  async prepare(job: ClaimedJob, lease: HeldLease): Promise<Run> {
    // The ledger speaks in the database's time and this process thinks in its own.
    const skewMs = Date.now() - job.databaseNowMs;
    this.clock.heard(skewMs);
    const past = job.token === 1 ? [] : await this.runs.attempts(job.jobId);
    const { models: _ours, ...request } = JSON.parse(job.request) as Record<string, unknown>;
    const written = {
      job,
      lease,
      endpoint: job.endpoint as Endpoint,
      request,
      past: past.map((attempt) => ({ ...attempt, endedAtMs: attempt.endedAtMs + skewMs })),
      deadlineMs: job.expiresAtMs + skewMs,
      seed: Number.parseInt(job.jobId.slice(-8), 16),
    };
    const chain = await this.inOrder(written, await this.policies.chain(job.chainId));
    const keyCounts = chain.steps.map(({ model }) => this.providers.keyIdsOf(model).length);
    return { ...written, chain, keyCounts };
  }

  /** The chain as this job walks it. Chosen once, and written down: a job that is taken up again walks on the same way. */
  private async inOrder(run: Omit<Run, 'chain' | 'keyCounts'>, chain: Chain): Promise<Chain> {
    if (chain.plan === null) return chain;
    let steps = run.job.stepOrder;
    if (steps === null) {
      const order = this.order(run, chain, chain.plan);
      await this.runs.pinOrder(run.lease, order.steps, order.reason);
      steps = order.steps;
    }
    return { ...chain, steps: steps.map((index) => stepAt(chain, index)) };
  }

  private order(run: Omit<Run, 'chain' | 'keyCounts'>, chain: Chain, plan: Plan): StepOrder {
    const facts = chain.steps.map((step): StepFacts => {
      const { needs, incompatible } = this.gates.needsOf({
        model: step.model,
        endpoint: run.endpoint,
        body: bodyFor(run.request, step),
        past: [],
      });
      return {
        latencyMs: this.admission.latencyMsOf(step.model),
        costMicros: this.providers.estimateCostMicros(step.model, needs.tokens),
        incompatible: incompatible === null ? null : 'incompatible',
      };
    });
    return orderSteps(chain.steps, plan, facts, { seed: run.seed, metadata: run.job.metadata });
  }
}

/** The body that a step sends: the caller's with the step's overrides laid over it. */
export function bodyFor(request: Run['request'], step: Step): Readonly<Record<string, unknown>> {
  return Object.keys(step.overrides).length === 0 ? request : { ...request, ...step.overrides };
}
