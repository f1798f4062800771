import { sql } from 'kysely';
import type { BlobStore, BlobWriter } from './blob-store.js';
import type { Database, DatabaseOrTransaction } from './database.js';

/** How many bytes one row holds: large enough to be few, small enough that a handful of them is nothing. */
const PIECE_BYTES = 512 * 1024;
/**
 * How many bytes one read asks for. They cross over as text of twice their length, which then fits what a socket gives at once
 * (64 KiB): larger answers are put together first, and leave several times their size as garbage.
 */
const SLICE_BYTES = 31 * 1024;
/** How many rows are deleted at once: 32 MiB, so that no statement lasts long. */
const REMOVED_AT_ONCE = 64;

/**
 * Blobs as rows of `blob_chunks`: pieces that follow each other without a gap. Every process that has the database has the
 * files, and a backup of the database holds them.
 */
export class PostgresBlobs implements BlobStore {
  readonly kind = 'database';

  constructor(private readonly db: Database) {}

  write(id: string): BlobWriter {
    return new PieceWriter(
      (start, bytes) => this.appendAt(this.db, id, start, bytes),
      () => this.remove(id),
    );
  }

  /**
   * Writes bytes of the blob from its byte `start` on, which must be where it ended so far; within the caller's own
   * transaction, if `db` is one. Throws if there are bytes at that place already.
   */
  async appendAt(db: DatabaseOrTransaction, id: string, start: number, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      await db
        .insertInto('blob_chunks')
        .values({ blob_id: id, start: start + at, bytes: piece })
        .execute();
    }
  }

  async *read(id: string, start: number, end: number): AsyncGenerator<Buffer> {
    for (let at = start; at < end;) {
      const bytes = await this.slice(id, at, Math.min(at + SLICE_BYTES, end));
      if (bytes.length === 0) throw new Error(`The bytes of blob ${id} from ${at} on are not there`);
      at += bytes.length;
      yield bytes;
    }
  }

  async remove(id: string): Promise<void> {
    for (let count = REMOVED_AT_ONCE; count === REMOVED_AT_ONCE;) {
      const { numAffectedRows } = await sql`
        delete from blob_chunks where blob_id = ${id} and start in (
          select start from blob_chunks where blob_id = ${id} order by start limit ${REMOVED_AT_ONCE})`.execute(
        this.db,
      );
      count = Number(numAffectedRows ?? 0);
    }
  }

  /** The bytes from `at` on, up to `end` or to the end of the row that has them; none if no row has the first. */
  private async slice(id: string, at: number, end: number): Promise<Buffer> {
    const { rows } = await sql<{ bytes: Buffer }>`
      select substring(bytes from (${at}::bigint - start + 1)::int for ${end - at}::int) as bytes from blob_chunks
      where blob_id = ${id} and start <= ${at} order by start desc limit 1`.execute(this.db);
    return rows[0]?.bytes ?? Buffer.alloc(0);
  }
}

/** Gathers bytes into whole pieces and writes each once it is full. */
class PieceWriter implements BlobWriter {
  private written = 0;
  private readonly piece = Buffer.allocUnsafe(PIECE_BYTES);
  private filled = 0;

  constructor(
    private readonly writePiece: (start: number, bytes: Buffer) => Promise<void>,
    private readonly removeAll: () => Promise<void>,
  ) {}

  async append(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const taken = bytes.copy(this.piece, this.filled, at);
      this.filled += taken;
      at += taken;
      if (this.filled === PIECE_BYTES) await this.flush();
    }
  }

  async close(): Promise<void> {
    if (this.filled > 0) await this.flush();
  }

  async abort(): Promise<boolean> {
    return this.removeAll().then(
      () => true,
      () => false,
    );
  }

  private async flush(): Promise<void> {
    await this.writePiece(this.written, this.piece.subarray(0, this.filled));
    this.written += this.filled;
    this.filled = 0;
  }
}
