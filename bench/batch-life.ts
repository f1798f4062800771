/** One batch from its input to its output, on an upstream that answers at once; beside it, single jobs on the same Baton. */
import { toUuid } from '../src/storage/ids.js';
import {
  type BatchArena,
  cancelBatches,
  ENDED,
  input,
  nearlyEnded,
  readBatch,
  startWarm,
} from './batch-arena.js';
import type { SeenBatch, Uploaded } from './batch-client.js';
import type { BatchFigures } from './batch-report.js';
import type { CleanUp } from './clean-up.js';
import { BatonSingles } from './baton-contender.js';
import { watchMemory } from './memory.js';
import { startMeter } from './meter.js';
import { median, medianOrNull } from './statistics.js';
import type { TestedBaton } from './tested-baton.js';

const LINE_BYTES = 400;
/** How often the input is read; only the first time it is run. */
const READINGS = 3;
const ROUNDS = 3;
const MOST_JOBS = 2_000;

/** Throws unless every line is called once and stands in one of the files. */
export async function measureLife(arena: BatchArena, outer: CleanUp): Promise<BatchFigures> {
  const cleanUp = outer.inner();
  const baton = await startWarm(arena, 'life', cleanUp);
  const uploaded = await arena.user.ask('upload', input('bench/instant', arena.lines, LINE_BYTES));
  const first = await readBatch(arena, baton, uploaded.fileId);
  const readings = [first];
  const run = await runLines(arena, baton, first.batchId, uploaded);
  const jobs = await runSingleJobs(arena, baton);
  for (const _ of Array.from({ length: READINGS - 1 })) {
    const model = 'after-600000/long';
    const { fileId } = await arena.user.ask('upload', input(model, arena.lines, LINE_BYTES));
    const again = await readBatch(arena, baton, fileId);
    readings.push(again);
    await cancelBatches(arena, [again.batchId]);
  }
  await cleanUp.run();
  return {
    small_line_bytes: uploaded.bytes / arena.lines,
    ingest_small_lines_per_s: median(readings.map((each) => each.linesPerSecond)),
    ingest_small_worker_cpu_us: medianOrNull(readings.map((each) => each.workerCpuMicros)),
    ingest_small_stores_cpu_us: medianOrNull(readings.map((each) => each.storesCpuMicros)),
    ...run,
    ...jobs,
  };
}

async function runLines(
  arena: BatchArena,
  baton: TestedBaton,
  batchId: string,
  { good }: Uploaded,
): Promise<BatchFigures> {
  const { apiPid, workerPid } = baton.process;
  const callsBefore = await arena.upstream.ask('calls');
  const apiMeter = startMeter(arena.stores, [apiPid]);
  const workerMeter = startMeter(arena.stores, [workerPid]);
  const apiMemory = watchMemory(apiPid);
  const workerMemory = watchMemory(workerPid);
  await nearlyEnded(baton, batchId);
  const ended = await arena.user.ask('until', batchId, ENDED);
  const api = apiMeter(good);
  const worker = workerMeter(good);
  const outputWorkerMib = workerMemory()?.grown ?? null;
  const times = await timesOf(baton, batchId);
  const downloadWorkerMemory = watchMemory(workerPid);
  await expectWhole(arena, ended, good);
  const calls = (await arena.upstream.ask('calls')) - callsBefore;
  // The first ones may have been made before the beginning was seen.
  if (calls > good || times.completed !== good) throw new Error(`${good} lines, ${calls} calls`);
  return {
    run_lines_per_s: good / times.runSeconds,
    line_api_cpu_us: api.cpuMicros,
    line_worker_cpu_us: worker.cpuMicros,
    line_stores_cpu_us: worker.storesCpuMicros,
    last_line_to_completed_ms: times.endMs,
    last_line_to_seen_ms: ended.seenMs - times.lastLineMs,
    output_worker_mib: outputWorkerMib,
    output_api_mib: apiMemory()?.grown ?? null,
    download_worker_mib: downloadWorkerMemory()?.grown ?? null,
  };
}

/** By the database's clock. */
async function timesOf(
  baton: TestedBaton,
  batchId: string,
): Promise<{ runSeconds: number; endMs: number; lastLineMs: number; completed: number }> {
  return baton.row(
    `select extract(epoch from max(jobs.finished_at) - b.in_progress_at)::float8 as "runSeconds",
      extract(epoch from b.completed_at - max(jobs.finished_at))::float8 * 1000 as "endMs",
      extract(epoch from max(jobs.finished_at))::float8 * 1000 as "lastLineMs",
      count(*) filter (where jobs.status = 'completed')::int as completed
    from batches b join jobs on jobs.batch_id = b.id where b.id = $1 group by b.id`,
    [toUuid('batch', batchId)],
  );
}

/** Downloads both files, and the results; throws unless each line stands in its place. */
async function expectWhole(arena: BatchArena, batch: SeenBatch, good: number): Promise<void> {
  const linesOf = async (fileId: string | null): Promise<number> =>
    fileId === null ? 0 : arena.user.ask('countLines', `/v1/files/${fileId}/content`);
  const output = await linesOf(batch.output_file_id);
  const errors = await linesOf(batch.error_file_id);
  const results = await arena.user.ask('countLines', `/v1/batches/${batch.id}/results`);
  if (output === good && errors === arena.lines - good && results === good) return;
  throw new Error(
    `Of ${arena.lines} lines ${output} are in the output, ${errors} in the errors, ${results} in the results`,
  );
}

async function runSingleJobs(arena: BatchArena, baton: TestedBaton): Promise<BatchFigures> {
  const contender = new BatonSingles(arena, baton);
  const jobs = Math.min(arena.lines, MOST_JOBS);
  // The first round does not count.
  await contender.round({ jobs, isFlaky: false });
  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1)
    rounds.push(await contender.round({ jobs, isFlaky: false }));
  return {
    run_jobs_per_s: median(rounds.map((round) => round.jobsPerSecond)),
    job_cpu_us: medianOrNull(rounds.map((round) => round.cpuMicros)),
    job_stores_cpu_us: medianOrNull(rounds.map((round) => round.storesCpuMicros)),
  };
}
