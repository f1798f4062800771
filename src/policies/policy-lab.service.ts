import { Injectable } from '@nestjs/common';
import { ApiError } from '../http/api-error.js';
import { ProvidersService } from '../providers/providers.service.js';
import type { Chain, Step } from '../routing/chain.js';
import { type DryRun, dryRun, type Incompatibility } from '../routing/dry-run.js';
import { orderSteps } from '../routing/order.js';
import { parseOutcome, type ScriptedOutcome } from '../routing/outcome-script.js';
import type { StepOrder } from '../routing/plan.js';
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
    const { chain, version } = await this.chainOf(projectId, name, dto);
    const seed = dto.seed ?? 0;
    const incompatible = chain.steps.map((step) => this.whyIncompatible(step, dto, body));
    const order = this.order(chain, incompatible, { seed, metadata: dto.metadata ?? {} });
    const steps = order.steps.flatMap((index) => chain.steps[index] ?? []);
    const played = dryRun({
      chain: { ...chain, steps },
      script,
      lifetimeMs: (dto.expires_in ?? DEFAULT_EXPIRES_IN_SECONDS) * 1000,
      seed,
      keyIds: steps.map(({ model }) => this.providers.keyIdsOf(model)),
      incompatible: order.steps.map((index) => incompatible[index] ?? null),
    });
    return {
      object: 'policy.dry_run',
      policy: { name, version },
      order: { models: steps.map(({ model }) => model), reason: chain.plan && order.reason },
      ...toReply(played, steps),
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

  private whyIncompatible(
    { model, overrides }: Step,
    { endpoint = '/v1/chat/completions' }: DryRunDto,
    body: Readonly<Record<string, unknown>>,
  ): Incompatibility | null {
    const message = this.providers.whyNot(model, endpoint, { ...body, ...overrides });
    return message === null ? null : { class: 'incompatible', message };
  }

  private order(
    { steps, plan }: Chain,
    incompatible: readonly (Incompatibility | null)[],
    lot: { seed: number; metadata: Record<string, string> },
  ): StepOrder {
    if (plan === null) return { steps: [...steps.keys()], reason: '' };
    const facts = incompatible.map((why) => {
      return { latencyMs: null, costMicros: null, incompatible: why?.class ?? null };
    });
    return orderSteps(steps, plan, facts, lot);
  }
}

function toScript(outcomes: readonly string[]): ScriptedOutcome[] {
  return outcomes.map((text, index) => {
    const outcome = parseOutcome(text);
    if (typeof outcome !== 'string') return outcome;
    const param = `outcomes.${index}`;
    throw new ApiError('invalid_value', `${param}: ${outcome}`, { param });
  });
}

/** The request as it would go out, but for the model. It may name the policy that is played and no other model. */
function bodyOf(request: Record<string, unknown>, name: string): Record<string, unknown> {
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
  steps: readonly Step[],
): Pick<DryRunReplyDto, 'attempts' | 'result'> {
  const modelAt = (step: number): string => steps[step]?.model ?? '';
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
