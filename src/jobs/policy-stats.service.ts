import { Injectable } from '@nestjs/common';
import { ApiError } from '../http/api-error.js';
import { PoliciesService } from '../policies/policies.service.js';
import type { FailureClass } from '../routing/failure.js';
import type { LatencyDto, ModelStatsDto, PolicyStatsDto, SpendingDto } from './policy-stats.dto.js';
import {
  type ModelStatsRow,
  type Percentiles,
  PolicyStatsRepository,
  type StatsScope,
} from './policy-stats.repository.js';
import { Turns } from '../queue/turns.js';

const ONE_DAY_SECONDS = 86_400;
const MOST_COUNTS_AT_ONCE = 2;
const MOST_COUNTS_WAITING = 10;
const BUSY_SECONDS = 10;

/** What narrows the figures; null for what the caller does not say. Times are Unix seconds. */
export interface StatsQuery {
  readonly version: number | null;
  readonly createdAfter: number | null;
  readonly createdBefore: number | null;
}

/** What became of a policy's jobs: who served them, how fast, at which cost, and what failed. */
@Injectable()
export class PolicyStatsService {
  /** A count may hold a connection for long, and those that jobs need are few. */
  private readonly turns = new Turns(MOST_COUNTS_AT_ONCE, MOST_COUNTS_WAITING);

  constructor(
    private readonly stats: PolicyStatsRepository,
    private readonly policies: PoliciesService,
  ) {}

  /** Of the last 24 hours, or the 24 before `createdBefore`. Throws an ApiError for a policy that never was, for a wrong or too long time, and when too many ask. */
  async read(projectId: string, name: string, query: StatsQuery): Promise<PolicyStatsDto> {
    const { version, createdBefore } = query;
    const untilSeconds = createdBefore ?? Math.floor(Date.now() / 1000);
    const createdAfter = query.createdAfter ?? Math.max(0, untilSeconds - ONE_DAY_SECONDS);
    if (createdBefore !== null && createdAfter >= createdBefore) {
      throw new ApiError('invalid_value', 'created_after must be earlier than created_before.', {
        param: 'created_after',
      });
    }
    // A deleted policy's jobs are still there to be counted.
    if (version === null) await this.policies.versions(projectId, name, 1, null, true);
    else await this.policies.version(projectId, name, version);
    return this.count({ projectId, policy: name, version, createdAfter, createdBefore });
  }

  private async count(scope: StatsScope): Promise<PolicyStatsDto> {
    if (this.turns.isFull) {
      throw new ApiError(
        'overloaded',
        'Too many figures are being counted just now. Try again in a moment.',
        {
          retryAfterSeconds: BUSY_SECONDS,
        },
      );
    }
    const rows = await this.turns.take(() => this.stats.count(scope));
    if (rows === null) {
      throw new ApiError(
        'invalid_value',
        'created_after goes back over more jobs than can be counted: name a later one.',
        {
          param: 'created_after',
        },
      );
    }
    const { fellBack, latencyMs, ...jobs } = rows.jobs;
    return {
      object: 'policy.stats',
      name: scope.policy,
      version: scope.version,
      created_after: scope.createdAfter,
      created_before: scope.createdBefore,
      jobs,
      fell_back: fellBack,
      fallback_rate: shareOf(fellBack, jobs.total - jobs.queued - jobs.in_progress),
      latency_ms: toLatency(latencyMs),
      spending: sumOf(rows.models),
      models: rows.models.map((row) => toModel(row, jobs.completed)),
      failures: rows.failures.map(({ model, class: name, attempts, fellBack: moved }) => {
        // Only these words are ever written.
        return { model, class: name as FailureClass, attempts, fell_back: moved };
      }),
    };
  }
}

function toModel(row: ModelStatsRow, completed: number): ModelStatsDto {
  const { model, served, succeeded, failed, skipped } = row;
  return {
    model,
    served,
    served_share: shareOf(served, completed),
    succeeded,
    failed,
    skipped,
    broken_off: row.brokenOff,
    latency_ms: toLatency(row.latencyMs),
    ...sumOf([row]),
  };
}

/** As the class says, without being one of its instances. */
type Spending = Pick<SpendingDto, keyof SpendingDto>;

function sumOf(rows: readonly ModelStatsRow[]): Spending {
  const sum = (pick: (row: ModelStatsRow) => number) => rows.reduce((total, row) => total + pick(row), 0);
  const isPriced = rows.some(({ costMicros }) => costMicros !== null);
  return {
    input_tokens: sum((row) => row.inputTokens),
    output_tokens: sum((row) => row.outputTokens),
    total_tokens: sum((row) => row.totalTokens),
    cost_usd: isPriced ? sum((row) => row.costMicros ?? 0) / 1e6 : null,
    calls_without_cost: sum((row) => row.withoutCost),
  };
}

function shareOf(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function toLatency(percentiles: Percentiles): LatencyDto | null {
  if (percentiles === null) return null;
  const [p50, p90, p95, p99] = percentiles;
  return { p50, p90, p95, p99 };
}
