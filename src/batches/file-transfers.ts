import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { ByteRange } from '../http/byte-range.js';
import { readForm } from '../http/read-form.js';
import { TransfersService } from '../http/transfers.service.js';
import { FileUpload, type Upload } from './file-upload.js';
import type { FileRow } from './files.repository.js';
import { FilesService, type ReceivedBytes } from './files.service.js';

/** How long a client may send nothing in the middle of an upload. */
const STALL_MS = 30_000;

/** Moves files' bytes between clients and the store, holding no more of them than a few pieces. */
@Injectable()
export class FileTransfers {
  constructor(
    private readonly files: FilesService,
    private readonly transfers: TransfersService,
  ) {}

  /**
   * Reads the form of an upload. What it answers is for `publish`, or for `discard`. Throws an ApiError when something about it
   * is wrong, or it is cut off: then nothing is left of it.
   */
  async take(projectId: string, request: FastifyRequest['raw']): Promise<Upload<ReceivedBytes>> {
    const upload = new FileUpload((bytes) => this.files.receive(projectId, bytes));
    try {
      await readForm(request, upload, { stallMs: STALL_MS, signal: this.transfers.cut });
      return upload.finish();
    } catch (error) {
      if (upload.received) await this.files.discard(upload.received);
      throw error;
    }
  }

  /** A stream of the file's bytes in the range. Throws if the store is away; if it goes away later, the stream is cut. */
  async give(row: FileRow, { start, end }: ByteRange): Promise<Readable> {
    const pieces = this.files.read(row, start, end)[Symbol.asyncIterator]();
    // While nothing has gone out, what is wrong can still be told.
    const first = await pieces.next();
    return Readable.from(withFirst(first, pieces), { objectMode: false, highWaterMark: 1 });
  }
}

async function* withFirst(
  first: IteratorResult<Buffer>,
  rest: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer> {
  try {
    for (let piece = first; piece.done !== true; piece = await rest.next()) yield piece.value;
  } finally {
    await rest.return?.();
  }
}
