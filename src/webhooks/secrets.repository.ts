import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import { newUuid } from '../storage/ids.js';

/** Whose secret: an endpoint's, or without one the project's default. Uuids. */
export interface SecretOwner {
  readonly projectId: string;
  readonly endpointId: string | null;
}

/** So many rotated secrets sign beside the new one at most. */
const MOST_OLD = 3;

/** The SQL of signing secrets, all of them sealed. */
@Injectable()
export class SecretsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Does the work in one transaction. */
  async transaction<Result>(work: (trx: DatabaseOrTransaction) => Promise<Result>): Promise<Result> {
    return this.db.transaction().execute(work);
  }

  /** The secret that is in force; null if there is none yet. Throws if there is no such project or endpoint. */
  async current({ projectId, endpointId }: SecretOwner): Promise<Buffer | null> {
    if (endpointId === null) {
      const project = this.db.selectFrom('projects').select('webhook_secret').where('id', '=', projectId);
      return (await project.executeTakeFirstOrThrow()).webhook_secret;
    }
    const endpoint = this.db.selectFrom('webhook_endpoints').select('secret').where('id', '=', endpointId);
    return (await endpoint.executeTakeFirstOrThrow()).secret;
  }

  /** Keeps a project's first default secret unless there is one already; gives the one that is kept. */
  async keepFirst(projectId: string, sealed: Buffer): Promise<Buffer> {
    const { webhook_secret } = await this.db
      .updateTable('projects')
      .set({ webhook_secret: sql<Buffer>`coalesce(webhook_secret, ${sealed})` })
      .where('id', '=', projectId)
      .returning('webhook_secret')
      .executeTakeFirstOrThrow();
    if (!webhook_secret) throw new Error(`The webhook secret of project ${projectId} was not kept`);
    return webhook_secret;
  }

  /** The rotated secrets that still sign, the youngest first. */
  async old({ projectId, endpointId }: SecretOwner): Promise<Buffer[]> {
    const { rows } = await sql<{ secret: Buffer }>`
      select secret from webhook_old_secrets
      where project_id = ${projectId} and endpoint_id is not distinct from ${endpointId}::uuid and expires_at > now()
      order by id desc limit ${MOST_OLD}`.execute(this.db);
    return rows.map((row) => row.secret);
  }

  /** Lets a secret that is being replaced sign for so many seconds more; without any, all older ones end with it. */
  async retire(
    trx: DatabaseOrTransaction,
    { projectId, endpointId }: SecretOwner,
    secret: Buffer,
    graceSeconds: number,
  ): Promise<void> {
    await sql`
      delete from webhook_old_secrets
      where project_id = ${projectId} and endpoint_id is not distinct from ${endpointId}::uuid
        and (expires_at <= now() or ${graceSeconds === 0}::boolean or id not in (
          select id from webhook_old_secrets
          where project_id = ${projectId} and endpoint_id is not distinct from ${endpointId}::uuid
          order by id desc limit ${MOST_OLD - 1}))`.execute(trx);
    if (graceSeconds === 0) return;
    await sql`
      insert into webhook_old_secrets (id, project_id, endpoint_id, secret, expires_at)
      values (${newUuid()}, ${projectId}, ${endpointId}, ${secret}, now() + make_interval(secs => ${graceSeconds}))`.execute(
      trx,
    );
  }

  /** Puts a new default secret in the place of the project's; answers the one before, null if there was none. */
  async replaceDefault(
    trx: DatabaseOrTransaction,
    projectId: string,
    sealed: Buffer,
  ): Promise<Buffer | null> {
    const { rows } = await sql<{ before: Buffer | null }>`
      update projects set webhook_secret = ${sealed} from (
        select id, webhook_secret as before from projects where id = ${projectId} for no key update) old
      where projects.id = old.id returning old.before`.execute(trx);
    return rows[0]?.before ?? null;
  }
}
