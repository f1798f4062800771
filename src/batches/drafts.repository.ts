import { Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import type { BlobStoreKind } from '../storage/blob-store.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { newUuid } from '../storage/ids.js';

/** A file that a batch writes while it runs. */
export interface NewDraft {
  readonly projectId: string;
  readonly filename: string;
}

/** The SQL of files that nobody sees yet, because their batch still runs. All of it within the caller's transaction. */
@Injectable()
export class DraftsRepository {
  /** Answers the new file's uuid. */
  async begin(trx: DatabaseOrTransaction, { projectId, filename }: NewDraft): Promise<string> {
    const id = newUuid();
    await trx
      .insertInto('files')
      .values({
        id,
        project_id: projectId,
        purpose: 'batch_output',
        filename,
        status: 'draft',
        kept_in: 'database',
      })
      .execute();
    return id;
  }

  /** Makes a draft a file that its project sees, dated now. */
  async publish(
    trx: DatabaseOrTransaction,
    id: string,
    bytes: number,
    keptIn: BlobStoreKind,
    expiresInSeconds: number,
  ): Promise<void> {
    await sql`
      update files set status = 'ready', bytes = ${bytes}, kept_in = ${keptIn}, created_at = now(),
        expires_at = now() + make_interval(secs => ${expiresInSeconds})
      where id = ${id} and status = 'draft'`.execute(trx);
  }

  /** Gives a draft to those who remove what nobody needs. */
  async drop(trx: DatabaseOrTransaction, id: string): Promise<void> {
    await sql`update files set status = 'deleted' where id = ${id} and status = 'draft'`.execute(trx);
  }
}
