/** A large input: what taking it in and reading it costs in memory. */
import { type BatchArena, cancelBatches, expectBytes, input, readBatch, startWarm } from './batch-arena.js';
import type { BatchFigures } from './batch-report.js';
import type { CleanUp } from './clean-up.js';
import { watchMemory } from './memory.js';

const LINE_BYTES = 4_000;

export async function measureLarge(arena: BatchArena, outer: CleanUp): Promise<BatchFigures> {
  const cleanUp = outer.inner();
  const baton = await startWarm(arena, 'large', cleanUp);
  const apiMemory = watchMemory(baton.process.apiPid);
  const uploaded = await arena.user.ask('upload', input('after-600000/long', arena.lines, LINE_BYTES));
  const uploadMib = apiMemory()?.grown ?? null;
  expectBytes(uploaded, arena.lines * LINE_BYTES);
  const workerMemory = watchMemory(baton.process.workerPid);
  const reading = await readBatch(arena, baton, uploaded.fileId);
  const ingestMib = workerMemory()?.grown ?? null;
  await cancelBatches(arena, [reading.batchId]);
  await cleanUp.run();
  return {
    ingest_large_lines_per_s: reading.linesPerSecond,
    ingest_large_worker_cpu_us: reading.workerCpuMicros,
    ingest_large_stores_cpu_us: reading.storesCpuMicros,
    large_input_mb: uploaded.bytes / 1e6,
    upload_mb_per_s: uploaded.bytes / 1e3 / uploaded.tookMs,
    upload_api_mib: uploadMib,
    ingest_worker_mib: ingestMib,
  };
}
