/** What a job costs, and what a question to the history, when there are few rows of it and when there are many. */
import { APART, type Arena } from './arena.js';
import { BatonBatch } from './baton-contender.js';
import type { BatchClient } from './batch-client.js';
import type { CleanUp } from './clean-up.js';
import { Part } from './part.js';
import type { Figures } from './report.js';
import type { Round } from './meter.js';
import { median, medianOrNull, percentile } from './statistics.js';
import { TestedBaton } from './tested-baton.js';

const FEW = 10_000;
const MANY = 1_000_000;
const ROUNDS = 5;
const WARM_LINES = 3_000;
const QUESTIONS = 200;
const PATHS = [
  '/v1/jobs?limit=100',
  '/v1/jobs?limit=100&status=failed',
  '/v1/jobs?limit=100&model=bench/instant',
];

/** A Baton with so many rows of history. */
interface Kept {
  readonly batch: BatonBatch;
  readonly user: Part<BatchClient>;
}

/** Measures with so many lines a round, with few rows and with many in turns. */
export async function measureHistory(arena: Arena, lines: number, outer: CleanUp): Promise<Figures> {
  const cleanUp = outer.inner();
  const work = { jobs: lines, isFlaky: false };
  const [few, many] = [await keep(arena, FEW, cleanUp), await keep(arena, MANY, cleanUp)];
  const rounds: { few: Round; many: Round }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push({ few: await few.batch.round(work), many: await many.batch.round(work) });
  }
  const asked = { few: await ask(few), many: await ask(many) };
  await cleanUp.run();
  const costs = rounds.map((round) => ({ few: costOf(round.few), many: costOf(round.many) }));
  return {
    history_few_cpu_us: medianOrNull(costs.map((cost) => cost.few)),
    history_many_cpu_us: medianOrNull(costs.map((cost) => cost.many)),
    history_cost_ratio: medianOrNull(costs.map((cost) => cost.few && cost.many && cost.many / cost.few)),
    history_rate_ratio: median(rounds.map((round) => round.many.jobsPerSecond / round.few.jobsPerSecond)),
    history_few_asked_p95_ms: percentile(asked.few, 95),
    history_many_asked_p95_ms: percentile(asked.many, 95),
  };
}

/** A Baton with so many rows, warm. */
async function keep(arena: Arena, rows: number, cleanUp: CleanUp): Promise<Kept> {
  const baton = await TestedBaton.start({ ...arena, roles: APART }, `history_${rows}`, cleanUp);
  const user = Part.start<BatchClient>('batch-client', cleanUp);
  const batch = new BatonBatch(arena, baton, user);
  await batch.round({ jobs: WARM_LINES, isFlaky: false });
  await fill(baton, rows);
  return { batch, user };
}

async function ask({ user }: Kept): Promise<number[]> {
  return user.ask('askAll', PATHS, QUESTIONS);
}

function costOf({ cpuMicros, storesCpuMicros }: Round): number | null {
  return cpuMicros === null || storesCpuMicros === null ? null : cpuMicros + storesCpuMicros;
}

/** Copies jobs that have ended, with all that hangs on them, until there are so many. */
async function fill({ database }: TestedBaton, rows: number): Promise<void> {
  const { rows: counted } = await database.query<{ count: number }>(
    'select count(*)::int as count from jobs',
  );
  const missing = rows - (counted[0]?.count ?? 0);
  if (missing <= 0) return;
  await database.query(
    `with old as materialized (select * from jobs where status = 'completed' limit 1),
      copies as materialized (select uuidv7(interval '-1 day') as id, n from generate_series(1, $1::int) n),
      jobs_made as (insert into jobs (id, project_id, status, endpoint, model, chain_id, priority, metadata, served_by,
          attempt_count, response_status, response_request_id, input_tokens, output_tokens, total_tokens, created_at, started_at,
          finished_at, due_at, expires_at, dispatch_no, lease_token, request_bytes)
        select copies.id, project_id, case when n % 50 = 0 then 'failed' else status end, endpoint, model, chain_id, priority,
          metadata, served_by, attempt_count, response_status, response_request_id, input_tokens, output_tokens, total_tokens,
          created_at, started_at, finished_at, due_at, expires_at, dispatch_no, lease_token, request_bytes
        from old cross join copies),
      requests_made as (insert into job_requests (job_id, project_id, body)
        select copies.id, r.project_id, r.body from copies cross join old join job_requests r on r.job_id = old.id),
      responses_made as (insert into job_responses (job_id, project_id, body)
        select copies.id, r.project_id, r.body from copies cross join old join job_responses r on r.job_id = old.id)
    insert into attempts (id, job_id, project_id, index, round, step, model, provider, outcome, http_status, sent, decision,
      decision_reason, started_at, ended_at, worker, lease_token)
    select uuidv7(interval '-1 day'), copies.id, a.project_id, 0, 0, 0, a.model, a.provider, a.outcome, a.http_status, a.sent, a.decision,
      a.decision_reason, a.started_at, a.ended_at, a.worker, a.lease_token
    from copies cross join old join attempts a on a.job_id = old.id`,
    [missing],
  );
  await database.query('vacuum analyze');
}
