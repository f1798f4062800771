/** Files: takes bytes in, keeps them, gives them out. A file never changes, and nobody sees one that is not whole. */
import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { ApiError } from '../http/api-error.js';
import { digestOf, IdempotencyService } from '../http/idempotency.service.js';
import { afterUuid, type Paging } from '../http/paging.js';
import { Blobs } from '../storage/blobs.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { newUuid, toPublicId, toUuid } from '../storage/ids.js';
import { type FileDescription, type FileRow, FilesRepository } from './files.repository.js';

/** Bytes that are kept, and not yet a file: give them to `publish`, or to `discard`. */
export interface ReceivedBytes {
  readonly id: string;
  readonly bytes: number;
  /** The SHA-256 of the bytes. */
  readonly sha256: Buffer;
}

/** A new file, and the SHA-256 of its bytes. */
export interface MadeFile {
  readonly row: FileRow;
  readonly sha256: Buffer;
}

/** What the doors of files and batches do with files. */
@Injectable()
export class FilesService {
  constructor(
    private readonly files: FilesRepository,
    private readonly blobs: Blobs,
    private readonly idempotency: IdempotencyService,
    @Inject(APP_CONFIG) private readonly config: AppConfig,
  ) {}

  /** Makes a file of these bytes. If anything throws, the source included, nothing is left. */
  async make(
    projectId: string,
    description: FileDescription,
    source: AsyncIterable<Buffer>,
  ): Promise<MadeFile> {
    const received = await this.receive(projectId, source);
    return { row: await this.publish(received, description), sha256: received.sha256 };
  }

  /**
   * Keeps the bytes of a file, of which more may be said later, as they come. Throws `file_too_large` at the first byte that
   * is too many; if it or the source throws, nothing is left.
   */
  async receive(projectId: string, source: AsyncIterable<Buffer>): Promise<ReceivedBytes> {
    const id = newUuid();
    const { store } = this.blobs;
    await this.files.begin(projectId, id, store.kind);
    const writer = store.write(id);
    const hash = createHash('sha256');
    let bytes = 0;
    try {
      for await (const piece of source) {
        bytes += piece.length;
        if (bytes > this.config.fileMaxBytes) throw this.tooLarge();
        hash.update(piece);
        await writer.append(piece);
      }
      await writer.close();
    } catch (error) {
      // While bytes are left their row stays, so that the sweeper finds them.
      if (await writer.abort()) await this.files.forget(id).catch(() => undefined);
      throw error;
    }
    return { id, bytes, sha256: hash.digest() };
  }

  /** Makes a file of received bytes. If it throws, nothing is left of them. */
  async publish(received: ReceivedBytes, description: FileDescription): Promise<FileRow> {
    try {
      return asMade(await this.files.publish(received.id, received.bytes, description), received);
    } catch (error) {
      await this.discard(received);
      throw error;
    }
  }

  /**
   * As {@link publish}, once for an idempotency key: received again with the same key, the bytes are discarded, and the file
   * that they made first is answered. Throws `idempotency_mismatch` if the key stands for other bytes, or for other words
   * about them.
   */
  async publishOnce(
    projectId: string,
    received: ReceivedBytes,
    description: FileDescription,
    idempotencyKey: string,
  ): Promise<{ row: FileRow; isReplay: boolean }> {
    const digest = digestOf([description, received.sha256.toString('hex')]);
    const key = { route: 'POST /v1/files', key: idempotencyKey, digest };
    try {
      const once = await this.idempotency.once(projectId, key, received.id, (trx) =>
        this.files.publish(received.id, received.bytes, description, trx),
      );
      if ('made' in once) return { row: asMade(once.made, received), isReplay: false };
      await this.discard(received);
      return { row: await this.get(projectId, once.knownId), isReplay: true };
    } catch (error) {
      await this.discard(received);
      throw error;
    }
  }

  /** Removes received bytes that become no file. Never throws: what can't be removed now is found by the sweeper. */
  async discard(received: ReceivedBytes): Promise<void> {
    try {
      // It may have become a file all the same, if only the word of the commit was lost.
      if (!(await this.files.abandon(received.id))) return;
      await this.blobs.store.remove(received.id);
      await this.files.forget(received.id);
    } catch {
      // The row still says that the bytes are there.
    }
  }

  /** A file of the project that is whole, not deleted and not expired. */
  async find(projectId: string, fileId: string): Promise<FileRow | undefined> {
    return this.files.find(projectId, fileId);
  }

  /** As {@link find}, but throws `not_found`; `param` says where the id was given. */
  async get(projectId: string, fileId: string, param = 'id'): Promise<FileRow> {
    const row = await this.files.find(projectId, fileId);
    if (!row) throw notFound(toPublicId('file', fileId), param);
    return row;
  }

  /** As {@link get}, and until the caller's transaction ends nobody can delete the file. */
  async hold(trx: DatabaseOrTransaction, projectId: string, fileId: string, param = 'id'): Promise<FileRow> {
    const row = await this.files.hold(trx, projectId, fileId);
    if (!row) throw notFound(toPublicId('file', fileId), param);
    return row;
  }

  /** The file's bytes from `start` up to but not including `end`, in pieces of some hundred KiB. Throws if the store is away. */
  read(row: FileRow, start: number, end: number): AsyncIterable<Buffer> {
    return this.blobs.of(row.kept_in).read(row.id, start, end);
  }

  /** One page, and whether there are more. */
  async list(
    projectId: string,
    purpose: string | null,
    paging: Paging,
  ): Promise<{ rows: FileRow[]; hasMore: boolean }> {
    const after = afterUuid(paging, 'file');
    const page = { limit: paging.limit + 1, after, order: paging.order };
    const rows = await this.files.list(projectId, purpose, page);
    return { rows: rows.slice(0, paging.limit), hasMore: rows.length > paging.limit };
  }

  /** Throws `not_found`, or `file_in_use` for one that a batch still reads. */
  async delete(projectId: string, fileId: string): Promise<void> {
    const outcome = await this.files.delete(projectId, fileId);
    if (outcome === 'missing') throw notFound(toPublicId('file', fileId));
    if (outcome === 'in_use') {
      throw new ApiError(
        'file_in_use',
        'A batch is still reading this file. Delete it once the batch has begun, or cancel the batch.',
      );
    }
  }

  private tooLarge(): ApiError {
    const limit = this.config.fileMaxBytes;
    return new ApiError(
      'file_too_large',
      `The file is larger than ${limit} bytes, which is the limit here.`,
      {
        param: 'file',
      },
    );
  }
}

function asMade(row: FileRow | undefined, { id }: ReceivedBytes): FileRow {
  if (row) return row;
  throw new Error(`The file ${id} took so long that it was taken for abandoned`);
}

/** The uuid in a file's id. Throws `not_found`: what is no id names no file. */
export function fileUuid(id: string, param = 'id'): string {
  const uuid = toUuid('file', id);
  if (uuid === null) throw notFound(id, param);
  return uuid;
}

function notFound(id: string, param = 'id'): ApiError {
  return new ApiError('not_found', `There is no file '${id.slice(0, 64)}'.`, { param });
}
