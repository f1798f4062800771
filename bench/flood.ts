/** Slow upstreams: thousands of calls in flight in one worker, of which each takes two seconds. */
import { toUuid } from '../src/storage/ids.js';
import { APART, type Arena } from './arena.js';
import { IS_COMPLETED } from './baton-contender.js';
import type { BatchClient } from './batch-client.js';
import type { CleanUp } from './clean-up.js';
import { watchMemory } from './memory.js';
import { Part } from './part.js';
import type { Figures } from './report.js';
import { TestedBaton } from './tested-baton.js';

const IN_FLIGHT = 5_000;
const CALL_MS = 2_000;
const SEED = 20_261_129;

/** Runs a batch of so many lines, and tells how much memory the worker takes and how busy it keeps the upstream. */
export async function measureFlood(arena: Arena, lines: number, outer: CleanUp): Promise<Figures> {
  const cleanUp = outer.inner();
  // A tenth of the slots is not for lines.
  const concurrency = Math.ceil((IN_FLIGHT * 10) / 9);
  const baton = await TestedBaton.start({ ...arena, roles: APART, concurrency }, 'flood', cleanUp);
  const user = Part.start<BatchClient>('batch-client', cleanUp);
  await user.ask('open', baton.url, baton.key);
  const model = `after-${CALL_MS}/instant`;
  const { fileId } = await user.ask('upload', { seed: SEED, requests: lines, textBytes: 955, model });
  await arena.upstream.ask('watch');
  const memory = watchMemory(baton.process.workerPid);
  const batchId = await user.ask('create', fileId);
  await baton.until(IS_COMPLETED, [toUuid('batch', batchId)]);
  const calls = await arena.upstream.ask('watched');
  const peak = memory();
  await cleanUp.run();
  if (calls.length !== lines) throw new Error(`${calls.length} calls were answered in place of ${lines}`);
  return {
    flood_mib: peak?.peak ?? null,
    flood_busy_percent: 100 * busyOf(calls),
    flood_most: mostOf(calls),
  };
}

/**
 * How much of the time the upstream had as many calls as it may have: from when the first ones ended, so that the line-up does not
 * count, to when the last ones came, so that the end does not.
 */
function busyOf(calls: readonly { readonly cameMs: number; readonly answeredMs: number }[]): number {
  const fromMs = Math.min(...calls.map(({ answeredMs }) => answeredMs));
  const toMs = Math.max(...calls.map(({ cameMs }) => cameMs));
  const busyMs = calls.reduce(
    (sum, { cameMs, answeredMs }) => sum + Math.max(0, Math.min(toMs, answeredMs) - Math.max(fromMs, cameMs)),
    0,
  );
  return busyMs / (IN_FLIGHT * (toMs - fromMs));
}

/** The most calls that were open at the same moment. */
function mostOf(calls: readonly { readonly cameMs: number; readonly answeredMs: number }[]): number {
  const changes = calls
    .flatMap(({ cameMs, answeredMs }) => [
      { ms: cameMs, by: 1 },
      { ms: answeredMs, by: -1 },
    ])
    .toSorted((a, b) => a.ms - b.ms || a.by - b.by);
  let open = 0;
  return changes.reduce((most, { by }) => Math.max(most, (open += by)), 0);
}
