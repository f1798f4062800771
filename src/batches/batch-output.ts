import { Injectable } from '@nestjs/common';
import { BatchJobsService, type EndedLine } from '../jobs/batch-jobs.service.js';
import { Blobs } from '../storage/blobs.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { toPublicId } from '../storage/ids.js';
import type { BatchStatus } from '../storage/batch-tables.js';
import {
  type BatchLease,
  BatchStepsRepository,
  type BatchValues,
  type HeldBatch,
  timestamp,
} from './batch-steps.repository.js';
import { DraftsRepository } from './drafts.repository.js';
import { isOutput, renderLine, renderReject } from './render-line.js';

/** Fewer new lines than this wait for more, while there are more to come. */
const WORTH_WRITING = 500;
const REJECTS_AT_ONCE = 1_000;

/** The two files of a batch's results. */
const FILES = {
  output: { id: 'output_file_id', bytes: 'output_bytes' },
  error: { id: 'error_file_id', bytes: 'error_bytes' },
} as const;
type FileKind = keyof typeof FILES;

/**
 * Writes a batch's output and error files while it runs, so that little is left to be written at its end. What is written and
 * how far it is are one transaction; so it can be cut off anywhere, and each line is written once.
 */
@Injectable()
export class BatchOutput {
  constructor(
    private readonly steps: BatchStepsRepository,
    private readonly jobs: BatchJobsService,
    private readonly drafts: DraftsRepository,
    private readonly blobs: Blobs,
  ) {}

  /**
   * Writes the lines that have ended, or, with `isLast`, all of them: then every job of the batch has ended. Answers the
   * batch as it is written now; null if it was taken away meanwhile.
   */
  async write(
    batch: HeldBatch,
    lease: BatchLease,
    ended: number,
    isLast: boolean,
    signal: AbortSignal,
  ): Promise<HeldBatch | null> {
    if (!isLast && ended - batch.written_count < WORTH_WRITING) return batch;
    const status = batch.status;
    let now: HeldBatch | null = batch;
    while (now && now.written_rejects < now.reject_count && !signal.aborted) {
      now = await this.writeRejects(now, lease, status);
    }
    const before = isLast ? null : await this.jobs.horizon();
    while (now && now.written_count < now.job_count && !signal.aborted) {
      const { writtenUntil, written_job: jobId } = now;
      const after = writtenUntil === null || jobId === null ? null : { endedAt: writtenUntil, jobId };
      const lines = await this.jobs.ended(now.id, { after, before, order: 'ended', status: null });
      if (lines.length === 0) break;
      now = await this.writeLines(now, lease, status, lines);
    }
    return signal.aborted ? null : now;
  }

  /**
   * Begins the files again: for a batch whose files do not hold what they must, because the database's clock was set back
   * while it ran. Answers null if it was taken away meanwhile.
   */
  async startOver(batch: HeldBatch, lease: BatchLease): Promise<HeldBatch | null> {
    const isDone = await this.steps.within(lease, batch.status, async (trx) => {
      for (const { id } of Object.values(FILES))
        if (batch[id] !== null) await this.drafts.drop(trx, batch[id]);
      const nothing = { written_count: 0, written_rejects: 0, written_until: null, written_job: null };
      await this.steps.set(trx, batch.id, {
        ...nothing,
        output_file_id: null,
        error_file_id: null,
        output_bytes: 0,
        error_bytes: 0,
      });
    });
    return isDone ? ((await this.steps.read(lease)) ?? null) : null;
  }

  /** Puts the whole files where files are kept. To be done before they are shown; done twice it changes nothing. */
  async store(batch: HeldBatch): Promise<void> {
    const { store, drafts } = this.blobs;
    if (store.kind === drafts.kind) return;
    for (const { id, bytes } of Object.values(FILES)) {
      const fileId = batch[id];
      if (fileId === null) continue;
      const writer = store.write(fileId);
      try {
        for await (const piece of drafts.read(fileId, 0, batch[bytes])) await writer.append(piece);
        await writer.close();
      } catch (error) {
        await writer.abort();
        throw error;
      }
    }
  }

  /** Shows the files, in the transaction in which the batch ends. */
  async publish(trx: DatabaseOrTransaction, batch: HeldBatch): Promise<void> {
    for (const { id, bytes } of Object.values(FILES)) {
      const fileId = batch[id];
      if (fileId === null) continue;
      const { kind } = this.blobs.store;
      await this.drafts.publish(trx, fileId, batch[bytes], kind, batch.output_expires_in);
    }
  }

  /** Removes what the files were written into, once they are kept elsewhere. */
  async tidy(batch: HeldBatch): Promise<void> {
    const { store, drafts } = this.blobs;
    if (store.kind === drafts.kind) return;
    for (const { id } of Object.values(FILES)) if (batch[id] !== null) await drafts.remove(batch[id]);
  }

  private async writeLines(
    batch: HeldBatch,
    lease: BatchLease,
    status: BatchStatus,
    lines: readonly EndedLine[],
  ): Promise<HeldBatch | null> {
    const last = lines.at(-1);
    if (!last) return batch;
    const text = { output: '', error: '' };
    for (const line of lines) text[isOutput(line) ? 'output' : 'error'] += renderLine(line);
    return this.append(batch, lease, status, text, {
      written_count: batch.written_count + lines.length,
      written_until: timestamp(last.endedAt),
      written_job: last.jobId,
    });
  }

  private async writeRejects(
    batch: HeldBatch,
    lease: BatchLease,
    status: BatchStatus,
  ): Promise<HeldBatch | null> {
    const rejects = await this.steps.rejects(batch.id, batch.written_rejects, REJECTS_AT_ONCE);
    const text = { output: '', error: rejects.map((reject) => renderReject(batch.id, reject)).join('') };
    return this.append(batch, lease, status, text, {
      written_rejects: batch.written_rejects + rejects.length,
    });
  }

  /** Writes text behind what the files hold, and how far they are, in one transaction. */
  private async append(
    batch: HeldBatch,
    lease: BatchLease,
    status: BatchStatus,
    text: Readonly<Record<FileKind, string>>,
    progress: BatchValues,
  ): Promise<HeldBatch | null> {
    const isDone = await this.steps.within(lease, status, async (trx) => {
      const values: BatchValues = { ...progress };
      for (const kind of ['output', 'error'] as const) {
        if (text[kind] === '') continue;
        const { id, bytes } = FILES[kind];
        const filename = `${toPublicId('batch', batch.id)}_${kind}.jsonl`;
        values[id] = batch[id] ?? (await this.drafts.begin(trx, { projectId: batch.project_id, filename }));
        const piece = Buffer.from(text[kind]);
        await this.blobs.drafts.appendAt(trx, values[id], batch[bytes], piece);
        values[bytes] = batch[bytes] + piece.length;
      }
      await this.steps.set(trx, batch.id, values);
    });
    return isDone ? ((await this.steps.read(lease)) ?? null) : null;
  }
}
