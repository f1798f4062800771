import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DATABASE, type DatabaseOrTransaction } from '../storage/database.js';
import { newUuid } from '../storage/ids.js';
import { type Columns, tableOf } from '../storage/table-of.js';

/** A policy as it is kept: the body is a checked PolicyDto, in its own words. */
export interface PolicyRow {
  readonly name: string;
  readonly version: number;
  readonly source: 'api' | 'config';
  readonly body: Record<string, unknown>;
  /** When this version was made. */
  readonly created_at: Date;
}

/** Which policy. */
export interface PolicyName {
  readonly projectId: string;
  readonly name: string;
}

const WANTED_COLUMNS = {
  project_id: ['uuid', (each) => each.projectId],
  name: ['text', (each) => each.name],
} satisfies Columns<PolicyName>;

/** The SQL of policies, their versions and resolved chains. */
@Injectable()
export class PoliciesRepository {
  constructor(@Inject(DATABASE) private readonly db: DatabaseOrTransaction) {}

  /**
   * Lets one writer of the project's policies after the other do its work, in a transaction: what it reads stays so until
   * it has written. The work has to use the repository that it is given.
   */
  async alone<T>(projectId: string, work: (repository: PoliciesRepository) => Promise<T>): Promise<T> {
    return this.db.transaction().execute(async (trx) => {
      // Not stronger: jobs refer to the row as well, and must not wait.
      await trx
        .selectFrom('projects')
        .where('id', '=', projectId)
        .select('id')
        .forNoKeyUpdate()
        .executeTakeFirstOrThrow();
      return work(new PoliciesRepository(trx));
    });
  }

  /** The current version; null if there is none, or it was deleted. */
  async find(wanted: PolicyName): Promise<PolicyRow | null> {
    const [row] = await this.findAll([wanted]);
    return row ?? null;
  }

  /** As {@link find}, of many at once; in their order. */
  async findAll(wanted: readonly PolicyName[]): Promise<(PolicyRow | null)[]> {
    const { rows } = await sql<PolicyRow & { ordinal: number }>`
      select ordinal::int, p.name, p.version, p.source, v.body, v.created_at
      from ${tableOf('asked', wanted, WANTED_COLUMNS)}
      join policies p on p.project_id = asked.project_id and p.name = asked.name and p.deleted_at is null
      join policy_versions v on v.project_id = p.project_id and v.name = p.name and v.version = p.version`.execute(
      this.db,
    );
    const found = new Map(rows.map(({ ordinal, ...row }) => [ordinal - 1, row]));
    return wanted.map((_each, place) => found.get(place) ?? null);
  }

  /** Current versions in the order of names, after `after`; of those from a config file only the named ones. */
  async list(
    projectId: string,
    configNames: readonly string[],
    limit: number,
    after: string | null,
    descending: boolean,
  ): Promise<PolicyRow[]> {
    let query = this.current(projectId)
      .where((where) =>
        where.or([
          where('p.source', '=', 'api'),
          where('p.name', '=', sql<string>`any(${[...configNames]}::text[])`),
        ]),
      )
      .orderBy('p.name', descending ? 'desc' : 'asc')
      .limit(limit);
    if (after !== null) query = query.where('p.name', descending ? '<' : '>', after);
    return query.execute();
  }

  /** All versions that ever were, also of a deleted policy, in order after the version `after`. */
  async versions(
    projectId: string,
    name: string,
    limit: number,
    after: number | null,
    descending: boolean,
  ): Promise<PolicyRow[]> {
    let query = this.db
      .selectFrom('policy_versions as v')
      .innerJoin('policies as p', (join) =>
        join.onRef('p.project_id', '=', 'v.project_id').onRef('p.name', '=', 'v.name'),
      )
      .where('v.project_id', '=', projectId)
      .where('v.name', '=', name)
      .select(['v.name', 'v.version', 'p.source', 'v.body', 'v.created_at'])
      .orderBy('v.version', descending ? 'desc' : 'asc')
      .limit(limit);
    if (after !== null) query = query.where('v.version', descending ? '<' : '>', after);
    return query.execute();
  }

  async findVersion(projectId: string, name: string, version: number): Promise<PolicyRow | undefined> {
    const [row] = await this.versions(projectId, name, 1, version + 1, true);
    return row?.version === version ? row : undefined;
  }

  /** Writes the next version and makes it current. Two writers at once get two versions. */
  async put(projectId: string, name: string, source: 'api' | 'config', body: unknown): Promise<PolicyRow> {
    const row = await this.db
      .with('policy', (db) =>
        db
          .insertInto('policies')
          .values({ project_id: projectId, name, version: 1, source })
          .onConflict((conflict) =>
            conflict.columns(['project_id', 'name']).doUpdateSet({
              version: sql<number>`policies.version + 1`,
              source,
              deleted_at: null,
            }),
          )
          .returning(['project_id', 'name', 'version']),
      )
      .insertInto('policy_versions')
      .columns(['project_id', 'name', 'version', 'body'])
      .expression((from) =>
        from
          .selectFrom('policy')
          .select(['project_id', 'name', 'version', sql<string>`${JSON.stringify(body)}::json`.as('body')]),
      )
      .returning(['name', 'version', 'body', 'created_at'])
      .executeTakeFirstOrThrow();
    return { ...row, source };
  }

  /** False if there was none. */
  async delete(projectId: string, name: string): Promise<boolean> {
    const { numUpdatedRows } = await this.db
      .updateTable('policies')
      .set({ deleted_at: sql<Date>`now()` })
      .where('project_id', '=', projectId)
      .where('name', '=', name)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  /** The id of the chain with this content; the same content has the same id for ever. */
  async keepChain(projectId: string, digest: Buffer, body: string): Promise<string> {
    await this.db
      .insertInto('chains')
      .values({ id: newUuid(), project_id: projectId, digest, body })
      .onConflict((conflict) => conflict.columns(['project_id', 'digest']).doNothing())
      .execute();
    const row = await this.db
      .selectFrom('chains')
      .where('project_id', '=', projectId)
      .where('digest', '=', digest)
      .select('id')
      .executeTakeFirstOrThrow();
    return row.id;
  }

  async findChain(id: string): Promise<unknown> {
    const row = await this.db
      .selectFrom('chains')
      .where('id', '=', id)
      .select('body')
      .executeTakeFirstOrThrow();
    return row.body;
  }

  private current(projectId: string) {
    return this.db
      .selectFrom('policies as p')
      .innerJoin('policy_versions as v', (join) =>
        join
          .onRef('v.project_id', '=', 'p.project_id')
          .onRef('v.name', '=', 'p.name')
          .onRef('v.version', '=', 'p.version'),
      )
      .where('p.project_id', '=', projectId)
      .where('p.deleted_at', 'is', null)
      .select(['p.name', 'p.version', 'p.source', 'v.body', 'v.created_at']);
  }
}
