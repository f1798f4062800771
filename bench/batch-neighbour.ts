/** What somebody who submits single jobs feels of a batch: how late a job begins and ends, although its model answers at once. */
import { toUuid } from '../src/storage/ids.js';
import { type BatchArena, beginBatch, cancelBatches, input, startWarm } from './batch-arena.js';
import type { SeenJob } from './batch-client.js';
import type { BatchFigures } from './batch-report.js';
import type { CleanUp } from './clean-up.js';
import { percentile } from './statistics.js';
import type { TestedBaton } from './tested-baton.js';

const LINE_BYTES = 400;
const EVERY_MS = 500;

export async function measureNeighbour(
  arena: BatchArena,
  jobs: number,
  outer: CleanUp,
): Promise<BatchFigures> {
  const cleanUp = outer.inner();
  const baton = await startWarm(arena, 'neighbour', cleanUp);
  const alone = await runJobs(arena, baton, jobs);
  const besideShort = await besideBatch(arena, baton, jobs, 'after-200/short');
  const besideLong = await besideBatch(arena, baton, jobs, 'after-5000/long');
  await cleanUp.run();
  return {
    ...figuresOf('alone', alone),
    ...figuresOf('beside_200ms', besideShort),
    ...figuresOf('beside_5s', besideLong),
  };
}

interface Delays {
  readonly startMs: readonly number[];
  readonly resultMs: readonly number[];
}

function figuresOf<Name extends 'alone' | 'beside_200ms' | 'beside_5s'>(
  name: Name,
  { startMs, resultMs }: Delays,
): BatchFigures {
  return {
    [`${name}_start_p50_ms`]: percentile(startMs, 50),
    [`${name}_start_p95_ms`]: percentile(startMs, 95),
    [`${name}_start_max_ms`]: percentile(startMs, 100),
    [`${name}_result_p50_ms`]: percentile(resultMs, 50),
    [`${name}_result_p95_ms`]: percentile(resultMs, 95),
    [`${name}_result_max_ms`]: percentile(resultMs, 100),
  };
}

async function besideBatch(
  arena: BatchArena,
  baton: TestedBaton,
  jobs: number,
  model: string,
): Promise<Delays> {
  const { fileId } = await arena.user.ask('upload', input(model, arena.lines, LINE_BYTES));
  const batchId = await beginBatch(arena, baton, fileId);
  const delays = await runJobs(arena, baton, jobs);
  const { left } = await baton.row<{ left: number }>(
    `select count(*)::int as left from jobs where batch_id = $1 and status = 'queued'`,
    [toUuid('batch', batchId)],
  );
  if (left === 0) throw new Error('The batch ended before the jobs did');
  await cancelBatches(arena, [batchId]);
  return delays;
}

async function runJobs(arena: BatchArena, baton: TestedBaton, jobs: number): Promise<Delays> {
  const seen = await arena.user.ask('runJobs', 'bench/instant', jobs, EVERY_MS);
  const { rows } = await baton.database.query<{ id: string; startedMs: number }>(
    `select job_id as id, extract(epoch from started_at)::float8 * 1000 as "startedMs" from attempts
    where job_id = any($1) and index = 0`,
    [seen.map(({ id }) => toUuid('job', id))],
  );
  const startedMs = new Map(rows.map((row) => [row.id, row.startedMs]));
  return {
    startMs: seen.map((job) => startDelay(job, startedMs)),
    resultMs: seen.map(({ tookMs }) => tookMs),
  };
}

/** From the submission to the job's first attempt. */
function startDelay({ id, submittedMs }: SeenJob, startedMs: ReadonlyMap<string, number>): number {
  const started = startedMs.get(toUuid('job', id) ?? '');
  if (started === undefined) throw new Error(`${id} was not begun`);
  return started - submittedMs;
}
