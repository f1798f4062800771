/** What the measurements of batches share. */
import { setTimeout as delay } from 'node:timers/promises';
import { toUuid } from '../src/storage/ids.js';
import { BAD_LINES, type Flaw } from '../test/support/bad-lines.js';
import type { BatchLinesOptions } from '../test/support/batch-lines.js';
import type { Arena } from './arena.js';
import type { BatchClient, SeenBatch, Uploaded } from './batch-client.js';
import type { CleanUp } from './clean-up.js';
import { startMeter } from './meter.js';
import type { Part } from './part.js';
import { TestedBaton } from './tested-baton.js';

export interface BatchArena extends Arena {
  readonly user: Part<BatchClient>;
  /** How many lines a batch has. */
  readonly lines: number;
}

export const ENDED = ['completed', 'failed', 'expired', 'cancelled'];
const LOOK_EVERY_MS = 20;
const FEW_LINES = 100;
/** So many that the queue's streams of events, which are capped, are full. */
const WARM_LINES = 3_000;
const SEED = 20_261_124;
const BAD_SHARE = 0.01;
/** All but the one of a line of a megabyte: a few of those would be most of the input. */
const FLAWS = (Object.keys(BAD_LINES) as Flaw[]).filter((flaw) => flaw !== 'too large');
/** What a line has besides its text, with ids of five digits. */
const LINE_FRAME_BYTES = 150;

/** Starts a Baton, API and worker apart, that is warm: its code was run and its connections are open. */
export async function startWarm(arena: BatchArena, name: string, cleanUp: CleanUp): Promise<TestedBaton> {
  const baton = await TestedBaton.start(arena, name, cleanUp);
  await arena.user.ask('open', baton.url, baton.key);
  const { fileId } = await arena.user.ask(
    'upload',
    input('bench/instant', Math.min(arena.lines, WARM_LINES), 400),
  );
  await runBatch(arena, fileId);
  return baton;
}

/** Lines of about so many bytes for a model, one in a hundred of them bad. */
export function input(model: string, requests: number, lineBytes: number): BatchLinesOptions {
  const textBytes = lineBytes - LINE_FRAME_BYTES;
  return { seed: SEED, requests, textBytes, badShare: BAD_SHARE, flaws: FLAWS, model };
}

/** Makes a batch and waits for its end. Throws if it is not completed. */
export async function runBatch(arena: BatchArena, fileId: string): Promise<SeenBatch> {
  const batchId = await arena.user.ask('create', fileId);
  const ended = await arena.user.ask('until', batchId, ENDED);
  if (ended.status !== 'completed') throw new Error(`A batch is ${ended.status}`);
  return ended;
}

/** Makes a batch and waits until its lines run. Throws if they do not come to it. */
export async function beginBatch(arena: BatchArena, baton: TestedBaton, fileId: string): Promise<string> {
  const batchId = await arena.user.ask('create', fileId);
  // Asked of the database: it costs the processes that are measured nothing.
  const status = `select status from batches where id = $1`;
  for (;;) {
    const batch = await baton.row<{ status: string }>(status, [toUuid('batch', batchId)]);
    if (batch.status === 'in_progress' || batch.status === 'finalizing') return batchId;
    if (batch.status !== 'validating') throw new Error(`A batch is ${batch.status}`);
    await delay(LOOK_EVERY_MS);
  }
}

/** Waits until few of a batch's lines are left, or none. */
export async function nearlyEnded(baton: TestedBaton, batchId: string): Promise<void> {
  const left = `select job_count - coalesce((select sum(completed + failed + cancelled + expired) from batch_tallies
    where batch_id = id), 0)::int as left from batches where id = $1`;
  while ((await baton.row<{ left: number }>(left, [toUuid('batch', batchId)])).left > FEW_LINES) {
    await delay(LOOK_EVERY_MS);
  }
}

/** The reading of a batch's input. */
export interface Reading {
  readonly batchId: string;
  /** From the batch's creation to the begin of its run, by the database's clock. */
  readonly linesPerSecond: number;
  /** In microseconds for each line; null where it can't be told. */
  readonly workerCpuMicros: number | null;
  readonly storesCpuMicros: number | null;
}

/** Makes a batch, waits until its lines run, and tells how they were read. */
export async function readBatch(arena: BatchArena, baton: TestedBaton, fileId: string): Promise<Reading> {
  const meter = startMeter(arena.stores, [baton.process.workerPid]);
  const batchId = await beginBatch(arena, baton, fileId);
  const { cpuMicros, storesCpuMicros } = meter(arena.lines);
  const { seconds } = await baton.row<{ seconds: number }>(
    `select extract(epoch from in_progress_at - created_at)::float8 as seconds from batches where id = $1`,
    [toUuid('batch', batchId)],
  );
  return { batchId, linesPerSecond: arena.lines / seconds, workerCpuMicros: cpuMicros, storesCpuMicros };
}

/** Cancels batches and waits for the end of all. */
export async function cancelBatches(arena: BatchArena, batchIds: readonly string[]): Promise<void> {
  for (const batchId of batchIds) await arena.user.ask('cancel', batchId);
  for (const batchId of batchIds) await arena.user.ask('until', batchId, ENDED);
}

/** Throws unless an upload is about as large as it was meant to be. */
export function expectBytes({ bytes }: Uploaded, meant: number): void {
  if (Math.abs(bytes / meant - 1) > 0.1) throw new Error(`${bytes} bytes were uploaded in place of ${meant}`);
}
