import { Injectable } from '@nestjs/common';
import { ApiError } from '../http/api-error.js';
import type { Endpoint } from '../providers/adapter.js';
import { type Fit, fitOf } from '../providers/fit.js';
import { ProvidersService } from '../providers/providers.service.js';
import type { Chain, Step } from '../routing/chain.js';
import { type DryRun, dryRun } from '../routing/dry-run.js';
import type { PastAttempt } from '../routing/history.js';
import { type Lot, orderSteps } from '../routing/order.js';
import { parseOutcome, type ScriptedOutcome } from '../routing/outcome-script.js';
import type { StepFacts, StepOrder } from '../routing/plan.js';
import { stepAt } from '../routing/situation.js';
import { PoliciesService } from './policies.service.js';
import { diff } from './policy-diff.js';
import type { DryRunDto, DryRunReplyDto, PolicyDiffDto } from './policy-lab.dto.js';
import { toPolicyReply } from './policy-reply.js';

const DEFAULT_EXPIRES_IN_SECONDS = 86_400;

/** Tries policies out: what a change changes, and what a job would do. Nothing is called and nothing is kept. */
@Injectable()
export class PolicyLabService {
  constructor(
    private readonly policies: PoliciesService,
    private readonly providers: ProvidersService,
  ) {}

  /** What became different between two versions; `to` null is the current one. Throws `unknown_policy` if one is not there. */
  async diff(projectId: string, name: string, from: number, to: number | null): Promise<PolicyDiffDto> {
    const older = await this.policies.version(projectId, name, from, 'from');
    const newer =
      to === null
        ? await this.policies.get(projectId, name)
        : await this.policies.version(projectId, name, to, 'to');
    const [before, after] = [older, newer].map((row) => {
      const {
        object: _,
        name: _name,
        version: _version,
        source: _source,
        created_at: _at,
        ...said
      } = toPolicyReply(row);
      return said;
    });
    return { object: 'policy.diff', name, from, to: newer.version, changes: diff(before, after) };
  }

  /** Plays a job by its script. Throws an ApiError when the request, the script or the policy is wrong. */
  async dryRun(projectId: string, name: string, dto: DryRunDto): Promise<DryRunReplyDto> {
    const script = toScript(dto.outcomes);
    const body = bodyOf(dto.request, name);
    const { chain: written, version } = await this.chainOf(projectId, name, dto);
    const seed = dto.seed ?? 0;
    const endpoint = dto.endpoint ?? '/v1/chat/completions';
    const fits = written.steps.map((step) => this.fitOf(step, endpoint, body));
    const order = orderOf(written, fits, { seed, metadata: dto.metadata ?? {} });
    const chain = { ...written, steps: order.steps.map((index) => stepAt(written, index)) };
    const walked = order.steps.map((index) => fits[index]);
    const played = dryRun({
      chain,
      script,
      lifetimeMs: (dto.expires_in ?? DEFAULT_EXPIRES_IN_SECONDS) * 1000,
      seed,
      keyIds: chain.steps.map(({ model }) => this.providers.keyIdsOf(model)),
      whyNot: (step, attempts) => walked[step]?.whyNot(tooLongFor(chain, attempts)) ?? null,
    });
    return {
      object: 'policy.dry_run',
      policy: { name, version },
      order: { models: chain.steps.map(({ model }) => model), reason: order.reason },
      ...toReply(played, chain),
    };
  }

  private async chainOf(
    projectId: string,
    name: string,
    { policy, version }: DryRunDto,
  ): Promise<{ chain: Chain; version: number | null }> {
    if (policy) {
      if ((version ?? null) !== null) {
        throw new ApiError('invalid_value', 'version must be left out beside policy: a draft has none.', {
          param: 'version',
        });
      }
      const chain = await this.policies.chainOf(projectId, name, policy).catch(inside('policy'));
      return { chain, version: null };
    }
    const row = version
      ? await this.policies.version(projectId, name, version)
      : await this.policies.get(projectId, name);
    return { chain: await this.policies.chainOf(projectId, name, row.body), version: row.version };
  }

  private fitOf({ model, overrides }: Step, endpoint: Endpoint, request: Body): PricedFit {
    const fit = fitOf(this.providers, model, endpoint, { ...request, ...overrides });
    return { ...fit, costMicros: this.providers.estimateCostMicros(model, fit.needs.tokens) };
  }
}

/** The models that found the request too long, so far. */
function tooLongFor(chain: Chain, attempts: readonly PastAttempt[]): string[] {
  const tooLong = attempts.filter((attempt) => attempt.class === 'context_length_exceeded');
  return tooLong.map(({ step }) => stepAt(chain, step).model);
}

type Body = Readonly<Record<string, unknown>>;

/** How a step and the request fit together, and what the call is estimated to cost. */
interface PricedFit extends Fit {
  readonly costMicros: number | null;
}

/** The order of the steps, and why; no reason for one that is as written. */
function orderOf({ steps, plan }: Chain, fits: readonly PricedFit[], lot: Lot): Order {
  if (plan === null) return { steps: [...steps.keys()], reason: null };
  const facts = fits.map(({ costMicros, whyNot }): StepFacts => {
    return { latencyMs: null, costMicros, incompatible: whyNot([]) === null ? null : 'incompatible' };
  });
  return orderSteps(steps, plan, facts, lot);
}

type Order = Omit<StepOrder, 'reason'> & { readonly reason: string | null };

function toScript(outcomes: readonly string[]): ScriptedOutcome[] {
  return outcomes.map((text, index) => {
    const outcome = parseOutcome(text);
    if (typeof outcome !== 'string') return outcome;
    const param = `outcomes.${index}`;
    throw new ApiError('invalid_value', `${param}: ${outcome}`, { param });
  });
}

/** The request as it would go out, but for the model. It may name the policy that is played and no other model. */
function bodyOf(request: Body, name: string): Body {
  const { model, ...body } = request;
  const refuse = (param: string, predicate: string): never => {
    throw new ApiError('invalid_value', `${param} ${predicate}`, { param });
  };
  if ((model ?? `policy/${name}`) !== `policy/${name}`) {
    refuse(
      'request.model',
      `must be left out, or be 'policy/${name.slice(0, 64)}', the policy that is played.`,
    );
  }
  if ('models' in body)
    refuse('request.models', 'must be left out: the policy says which models are called.');
  if (body['stream'] === true) {
    refuse('request.stream', 'must be left out: a job collects the whole answer.');
  }
  return body;
}

/** Says of an error where its places stand. */
function inside(field: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof ApiError)) throw error;
    throw new ApiError(error.code, `In ${field}: ${error.message}`, {
      param: error.param === null ? field : `${field}.${error.param}`,
    });
  };
}

function toReply(
  { attempts, status, by, reason, endsAtMs }: DryRun,
  chain: Chain,
): Pick<DryRunReplyDto, 'attempts' | 'result'> {
  const modelAt = (step: number): string => stepAt(chain, step).model;
  const shown = by === null ? undefined : attempts[by];
  return {
    attempts: attempts.map((attempt, index) => ({
      index,
      round: attempt.round,
      step: attempt.step,
      model: modelAt(attempt.step),
      key_id: attempt.keyId,
      outcome: attempt.outcome,
      class: attempt.class,
      message: attempt.message,
      retry_after_ms: attempt.retryAfterMs,
      decision: attempt.decision,
      decision_reason: attempt.reason,
      at_ms: attempt.startsAtMs,
      waited_ms: attempt.waitedMs,
      duration_ms: attempt.endedAtMs - attempt.startsAtMs,
    })),
    result: {
      status,
      served_by: shown && status === 'completed' ? modelAt(shown.step) : null,
      error_code: status === 'expired' ? 'expired' : (shown?.class ?? null),
      reason,
      at_ms: endsAtMs,
    },
  };
}
