import { Inject, Injectable } from '@nestjs/common';
import { type Selectable, sql, type SqlBool } from 'kysely';
import type { BlobStoreKind } from '../storage/blob-store.js';
import { MOST_ROWS } from '../retention/remover.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { firstUuidAt } from '../storage/ids.js';
import type { FilesTable } from '../storage/batch-tables.js';
import type { FilePurpose } from './file-terms.js';

/** A file as it is kept, without its bytes. */
export type FileRow = Selectable<FilesTable>;

/** What is said of a file when it is made. */
export interface FileDescription {
  readonly purpose: FilePurpose;
  readonly filename: string;
  /** How long it is kept, counted from when it was made. */
  readonly expiresInSeconds: number;
}

export interface FilePage {
  readonly limit: number;
  /** The uuid after which the page begins. */
  readonly after: string | null;
  readonly order: 'asc' | 'desc';
}

/** A file whose bytes are to go. */
export type LeavingFile = Pick<FileRow, 'id' | 'kept_in'>;

/** Whether a user can see the file. */
const VISIBLE = sql<SqlBool>`files.status = 'ready' and (files.expires_at is null or files.expires_at > now())`;
/** Whether a batch still reads the file. */
const IN_USE = sql<SqlBool>`exists (select 1 from batches b where b.input_file_id = files.id and b.status = 'validating')`;
/** More than the longest upload takes: whoever wrote it then is gone. */
const LONGEST_UPLOAD_HOURS = 2;

/** The SQL of files. What a user asks for is bounded by the project. */
@Injectable()
export class FilesRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Notes that the file's bytes are being written, so that they are found if nobody comes back. Nobody sees it yet. */
  async begin(projectId: string, id: string, keptIn: BlobStoreKind): Promise<void> {
    await this.db
      .insertInto('files')
      .values({ id, project_id: projectId, purpose: '', filename: '', status: 'uploading', kept_in: keptIn })
      .execute();
  }

  /** Makes a file whose bytes are all written one that its project sees; undefined if it took too long and is gone. */
  async publish(
    id: string,
    bytes: number,
    description: FileDescription,
    db: DatabaseOrTransaction = this.db,
  ): Promise<FileRow | undefined> {
    const { purpose, filename, expiresInSeconds } = description;
    return db
      .updateTable('files')
      .set({
        status: 'ready',
        bytes,
        purpose,
        filename,
        expires_at: sql<Date>`created_at + make_interval(secs => ${expiresInSeconds})`,
      })
      .where('id', '=', id)
      .where('status', '=', 'uploading')
      .returningAll()
      .executeTakeFirst();
  }

  /** Gives up a file that is still being written; false if it is one that its project sees. */
  async abandon(id: string): Promise<boolean> {
    const { numUpdatedRows } = await this.db
      .updateTable('files')
      .set({ status: 'deleted' })
      .where('id', '=', id)
      .where('status', '=', 'uploading')
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  /** Forgets a file whose bytes are gone. */
  async forget(id: string): Promise<void> {
    await this.db
      .deleteFrom('files')
      .where('id', '=', id)
      .where('status', 'in', ['uploading', 'deleted'])
      .execute();
  }

  /** A file that its project sees: whole, not deleted, not expired. */
  async find(projectId: string, id: string): Promise<FileRow | undefined> {
    return this.visible(this.db, projectId).where('id', '=', id).executeTakeFirst();
  }

  /**
   * As {@link find}, and until the caller's transaction ends nobody can delete the file: what refers to it is written in
   * that transaction.
   */
  async hold(trx: DatabaseOrTransaction, projectId: string, id: string): Promise<FileRow | undefined> {
    return this.visible(trx, projectId).where('id', '=', id).forShare().executeTakeFirst();
  }

  async list(projectId: string, purpose: string | null, page: FilePage): Promise<FileRow[]> {
    let query = this.visible(this.db, projectId).orderBy('id', page.order).limit(page.limit);
    if (page.after !== null) query = query.where('id', page.order === 'asc' ? '>' : '<', page.after);
    if (purpose !== null) query = query.where('purpose', '=', purpose);
    return query.execute();
  }

  /** Takes a file from its project's eyes, unless a batch still reads it. Its bytes are removed later. */
  async delete(projectId: string, id: string): Promise<'deleted' | 'in_use' | 'missing'> {
    return this.db.transaction().execute(async (trx) => {
      // Two statements: the second one sees the batches of those who held the file until we had it.
      const file = await this.visible(trx, projectId).where('id', '=', id).forUpdate().executeTakeFirst();
      if (!file) return 'missing';
      const { numUpdatedRows } = await trx
        .updateTable('files')
        .set({ status: 'deleted' })
        .where('id', '=', id)
        .where(sql<SqlBool>`not ${IN_USE}`)
        .executeTakeFirst();
      return numUpdatedRows === 0n ? 'in_use' : 'deleted';
    });
  }

  /** Deletes files whose time is over, `limit` of them at most; one that a batch still reads waits. Answers how many. */
  async expire(limit: number): Promise<number> {
    const { numAffectedRows } = await sql`
      update files set status = 'deleted' where id in (
        select id from files where status = 'ready' and expires_at <= now() and not ${IN_USE}
        order by expires_at limit ${limit} for update skip locked)`.execute(this.db);
    return Number(numAffectedRows ?? 0);
  }

  /**
   * Deletes, of a project's next files after a uuid, those that were made before a moment; one that a batch still reads waits.
   * Answers how many, and the uuid of the last one that was looked at; null when all were.
   */
  async deleteOld(
    projectId: string,
    after: string,
    before: Date,
  ): Promise<{ count: number; next: string | null }> {
    return this.db.transaction().execute(async (trx) => {
      // A draft's id is older than the file that it becomes, never younger.
      const { rows } = await sql<{ id: string; isOld: boolean }>`
        select id, created_at < ${before} as "isOld" from files
        where project_id = ${projectId} and status = 'ready' and id > ${after} and id < ${firstUuidAt(before.getTime())}
        order by id limit ${MOST_ROWS} for update skip locked`.execute(trx);
      const old = rows.filter((row) => row.isOld).map((row) => row.id);
      // Two statements: the second one sees the batches of those who held a file until we had it.
      const { numAffectedRows } = await sql`
        update files set status = 'deleted' where id = any(${old}::uuid[]) and not ${IN_USE}`.execute(trx);
      const next = rows.length < MOST_ROWS ? null : (rows.at(-1)?.id ?? null);
      return { count: Number(numAffectedRows ?? 0n), next };
    });
  }

  /**
   * Takes the next file after `after` that was deleted, or whose writer is gone, and forgets it if `remove` says that its bytes
   * are gone; meanwhile no other process takes it. Answers its id; undefined if there is none.
   */
  async removeNext(
    after: string,
    remove: (file: LeavingFile) => Promise<boolean>,
  ): Promise<string | undefined> {
    return this.db.transaction().execute(async (trx) => {
      const { rows } = await sql<LeavingFile>`
        select id, kept_in from files
        where id > ${after} and (status = 'deleted'
          or (status = 'uploading' and created_at < now() - make_interval(hours => ${LONGEST_UPLOAD_HOURS})))
        order by id limit 1 for update skip locked`.execute(trx);
      const [file] = rows;
      if (!file) return undefined;
      if (await remove(file)) await trx.deleteFrom('files').where('id', '=', file.id).execute();
      return file.id;
    });
  }

  private visible(db: DatabaseOrTransaction, projectId: string) {
    return db.selectFrom('files').selectAll().where('project_id', '=', projectId).where(VISIBLE);
  }
}
