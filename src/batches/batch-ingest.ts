import { setImmediate as breathe } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { BatchJobsService, type LinesOf } from '../jobs/batch-jobs.service.js';
import { type BatchLease, BatchStepsRepository, type HeldBatch } from './batch-steps.repository.js';
import { type CheckedLine, checkLine, isReject, type Reject } from './check-line.js';
import { FilesService } from './files.service.js';
import { LineResolver, type ResolvedLine } from './line-resolver.js';
import { splitLines } from './split-lines.js';

/** Lines are written in groups of so many, or of so many bytes, whichever comes first. */
const GROUP_LINES = 1_000;
const GROUP_BYTES = 2 * 2 ** 20;
/** After so many bytes of JSON others get their turn. */
const BREATH_BYTES = 256 * 1024;

/** Lines that are read and not written yet. */
interface Group {
  readonly checked: CheckedLine[];
  readonly rejects: Reject[];
  /** What was read up to the end of its last line. */
  bytes: number;
  lines: number;
}

/** Why an input can't be read to its end. */
export type ReadProblem = 'gone' | 'too_many' | 'too_late';

/** Where the reading of an input stands. */
export interface ReadSoFar {
  jobs: number;
  rejects: number;
}

/**
 * Reads a batch's input: checks each line, makes a job of a good one and a record of a bad one, and writes down how far it is,
 * all in one transaction for each group of lines. So it can be cut off anywhere and taken up again: no line is lost or doubled.
 */
@Injectable()
export class BatchIngest {
  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly steps: BatchStepsRepository,
    private readonly files: FilesService,
    private readonly jobs: BatchJobsService,
    private readonly resolver: LineResolver,
  ) {}

  /**
   * Reads on to the end of the input. Answers what it came to; null if the batch was taken away meanwhile. Throws when a
   * store is away.
   */
  async read(
    batch: HeldBatch,
    lease: BatchLease,
    signal: AbortSignal,
  ): Promise<ReadSoFar | ReadProblem | null> {
    if (batch.expires_at.getTime() <= Date.now()) return 'too_late';
    const file = await this.files.find(batch.project_id, batch.input_file_id);
    if (!file) return 'gone';
    const soFar = { jobs: batch.job_count, rejects: batch.reject_count };
    const resolve = this.resolver.forBatch(batch.project_id);
    // The next lines are checked while the last ones are written.
    let writing: Promise<boolean> = Promise.resolve(true);
    for await (const group of this.groups(
      batch,
      this.files.read(file, batch.read_bytes, file.bytes),
      signal,
    )) {
      const resolved = await Promise.all(group.checked.map((line) => resolve(line)));
      if (!(await writing) || signal.aborted) return null;
      if (
        soFar.jobs + soFar.rejects + group.checked.length + group.rejects.length >
        this.config.batchMaxLines
      ) {
        return 'too_many';
      }
      writing = this.write(batch, lease, group, resolved, soFar);
      // A failure is told where it is waited for.
      writing.catch(() => undefined);
    }
    return (await writing) && !signal.aborted ? soFar : null;
  }

  private async *groups(
    batch: HeldBatch,
    source: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): AsyncGenerator<Group> {
    let group = newGroup();
    let weight = 0;
    let breath = 0;
    for await (const each of splitLines(source, { bytes: batch.read_bytes, lines: batch.line_count })) {
      const line = checkLine(each, batch);
      if (line !== null && isReject(line)) group.rejects.push(line);
      else if (line !== null) group.checked.push(line);
      group.bytes = each.end;
      group.lines = each.line;
      weight += each.bytes?.length ?? 0;
      if (weight - breath >= BREATH_BYTES) {
        breath = weight;
        await breathe();
        if (signal.aborted) return;
      }
      if (weight < GROUP_BYTES && group.checked.length + group.rejects.length < GROUP_LINES) continue;
      yield group;
      group = newGroup();
      weight = breath = 0;
    }
    if (group.lines > 0) yield group;
  }

  private async write(
    batch: HeldBatch,
    lease: BatchLease,
    group: Group,
    resolved: readonly (ResolvedLine | Reject)[],
    soFar: ReadSoFar,
  ): Promise<boolean> {
    const { lines, rejects } = await this.withoutDoubles(batch.id, [...resolved, ...group.rejects]);
    soFar.jobs += lines.length;
    soFar.rejects += rejects.length;
    return this.steps.within(lease, 'validating', async (trx) => {
      const numbered = lines.map((line) => ({ ...line, id: jobIdOf(batch, line.line) }));
      if (lines.length > 0) await this.jobs.insert(trx, linesOf(batch), numbered);
      await this.steps.insertRejects(trx, batch.id, rejects);
      await this.steps.set(trx, batch.id, {
        read_bytes: group.bytes,
        line_count: group.lines,
        job_count: soFar.jobs,
        reject_count: soFar.rejects,
      });
    });
  }

  /** Turns away each line whose custom id a line before it has, be that one good or bad. */
  private async withoutDoubles(
    batchId: string,
    mixed: readonly (ResolvedLine | Reject)[],
  ): Promise<{ lines: ResolvedLine[]; rejects: Reject[] }> {
    const ids = mixed.flatMap((each) => each.customId ?? []);
    const taken = await this.jobs.customIdsAmong(batchId, ids);
    for (const id of await this.steps.customIdsOfRejects(batchId, ids)) taken.add(id);
    const lines: ResolvedLine[] = [];
    const rejects: Reject[] = [];
    for (const each of [...mixed].sort((a, b) => a.line - b.line)) {
      const isDouble = each.customId !== null && taken.has(each.customId);
      if (each.customId !== null) taken.add(each.customId);
      if (isDouble) rejects.push(isLine(each) ? doubleOf(each) : { ...each, customId: null });
      else if (isLine(each)) lines.push(each);
      else rejects.push(each);
    }
    return { lines, rejects };
  }
}

/** What the jobs of a batch need of it. */
export function linesOf(batch: HeldBatch): LinesOf {
  return {
    batchId: batch.id,
    projectId: batch.project_id,
    endpoint: batch.endpoint,
    priority: batch.priority,
    expiresAt: batch.expires_at,
  };
}

/**
 * A UUIDv7 of the batch's own moment that counts by the line (RFC 9562, section 6.2, method 1): so the order of the ids is
 * the order of the lines, whichever process reads them.
 */
function jobIdOf(batch: HeldBatch, line: number): string {
  return v7({ msecs: batch.created_at.getTime(), seq: line });
}

function newGroup(): Group {
  return { checked: [], rejects: [], bytes: 0, lines: 0 };
}

function isLine(each: ResolvedLine | Reject): each is ResolvedLine {
  return 'chainId' in each;
}

function doubleOf({ line, customId }: ResolvedLine): Reject {
  const message = `custom_id '${customId}' is that of a line before; each line needs one of its own.`;
  return { line, customId: null, code: 'duplicate_custom_id', message, param: 'custom_id' };
}
