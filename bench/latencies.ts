/** How long single things take: submissions, idle and at half load; acceptance to call; from model to model; end to webhook. */
import { APART, type Arena, CONNECTIONS, TOGETHER } from './arena.js';
import { ALL_ENDED, BatonSingles } from './baton-contender.js';
import type { CleanUp } from './clean-up.js';
import type { Figures } from './report.js';
import { percentile } from './statistics.js';
import { TestedBaton } from './tested-baton.js';

const WARM_JOBS = 2_000;
const HOOK = '/hook';

/** Measures them on a Baton in one process, and what an API alone accepts. `jobs` is how many of each are looked at. */
export async function measureLatencies(arena: Arena, jobs: number, outer: CleanUp): Promise<Figures> {
  return { ...(await ofOneProcess(arena, jobs, outer)), ...(await ofTheApi(arena, jobs, outer)) };
}

async function ofOneProcess(arena: Arena, jobs: number, outer: CleanUp): Promise<Figures> {
  const cleanUp = outer.inner();
  const baton = await TestedBaton.start({ ...arena, roles: TOGETHER }, 'latencies', cleanUp);
  const singles = new BatonSingles(arena, baton);
  const { jobsPerSecond } = await singles.round({ jobs: WARM_JOBS, isFlaky: false });
  const usage = { url: baton.url, key: baton.key, model: 'bench/instant', jobs, connections: CONNECTIONS };
  const half = await arena.client.ask('submit', { ...usage, perSecond: jobsPerSecond / 2 });
  await baton.until(ALL_ENDED);
  const idle = await idleCalls(arena, baton, singles, jobs);
  const steps = await idleFallbacks(arena, baton, jobs);
  const hooks = await webhooks(arena, baton, jobs);
  await cleanUp.run();
  return {
    half_load_submit_p50_ms: percentile(half, 50),
    half_load_submit_p99_ms: percentile(half, 99),
    idle_called_p50_ms: percentile(idle.calledMs, 50),
    idle_called_p99_ms: percentile(idle.calledMs, 99),
    idle_result_p50_ms: percentile(idle.resultMs, 50),
    fallback_p50_ms: percentile(steps, 50),
    webhook_p50_ms: percentile(hooks, 50),
    webhook_p95_ms: percentile(hooks, 95),
  };
}

/** What one process takes in while nobody runs it. */
async function ofTheApi(arena: Arena, jobs: number, outer: CleanUp): Promise<Figures> {
  const cleanUp = outer.inner();
  const [role = ''] = APART;
  const baton = await TestedBaton.start({ ...arena, roles: [role] }, 'submissions', cleanUp);
  const usage = { url: baton.url, key: baton.key, model: 'bench/instant', connections: CONNECTIONS };
  await arena.client.ask('submit', { ...usage, jobs: WARM_JOBS });
  const startedMs = performance.now();
  const tookMs = await arena.client.ask('submit', { ...usage, jobs: 10 * jobs });
  const perSecond = (1_000 * 10 * jobs) / (performance.now() - startedMs);
  const half = await arena.client.ask('submit', { ...usage, jobs: 5 * jobs, perSecond: perSecond / 2 });
  await cleanUp.run();
  return {
    submit_per_s: perSecond,
    submit_p99_ms: percentile(tookMs, 99),
    submit_half_p50_ms: percentile(half, 50),
    submit_half_p99_ms: percentile(half, 99),
  };
}

/** Jobs one after the other: from the acceptance of each to its call, and from its submission to its result. */
async function idleCalls(
  arena: Arena,
  baton: TestedBaton,
  singles: BatonSingles,
  jobs: number,
): Promise<{ calledMs: number[]; resultMs: number[] }> {
  const { rows: before } = await baton.database.query('select now() as then');
  await arena.upstream.ask('watch');
  const resultMs = await singles.idle(jobs);
  const calls = await arena.upstream.ask('watched');
  const { rows } = await baton.database.query<{ ms: number }>(
    `select (extract(epoch from created_at) * 1000)::float8 as ms from jobs where created_at > $1 order by id`,
    [(before[0] as { then: Date }).then],
  );
  return { calledMs: rows.map(({ ms }, i) => (calls[i]?.cameMs ?? NaN) - ms), resultMs };
}

/** From the answer of the model that failed to the call of the next one. */
async function idleFallbacks(arena: Arena, baton: TestedBaton, jobs: number): Promise<number[]> {
  await arena.upstream.ask('watch');
  const { url, key } = baton;
  await arena.client.ask('run', { url, key, model: 'policy/flaky', jobs, connections: 1 });
  const calls = await arena.upstream.ask('watched');
  return calls.flatMap(({ failed, answeredMs }, i) =>
    failed ? [(calls[i + 1]?.cameMs ?? NaN) - answeredMs] : [],
  );
}

/** From the end of each job to the first try of its webhook, at a steady few a second. */
async function webhooks(arena: Arena, baton: TestedBaton, jobs: number): Promise<number[]> {
  await arena.client.ask('submit', {
    url: baton.url,
    key: baton.key,
    model: 'bench/instant',
    jobs,
    connections: CONNECTIONS,
    perSecond: 20,
    webhookUrl: `${arena.upstreamUrl}${HOOK}`,
  });
  await baton.until(`select not exists (select from jobs left join webhook_deliveries d on d.job_id = jobs.id
    where webhook_url is not null and (d.status is null or d.status = 'pending')) as is`);
  const { rows } = await baton.database.query<{ ms: number }>(
    `select (extract(epoch from t.started_at - jobs.finished_at) * 1000)::float8 as ms
     from jobs join webhook_deliveries d on d.job_id = jobs.id join webhook_tries t on t.delivery_id = d.id and t.index = 0`,
  );
  return rows.map(({ ms }) => ms);
}
