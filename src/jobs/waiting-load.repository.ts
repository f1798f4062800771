import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DATABASE, type Database } from '../storage/database.js';

/** Jobs that wait, and the bytes of their requests. */
export interface Load {
  readonly jobs: number;
  readonly bytes: number;
}

/** What waited at one moment. */
export interface WaitingLook {
  /** By project. */
  readonly waiting: ReadonlyMap<string, Load>;
  /** Which of the jobs and batches that were asked for were there by that moment; of a batch, all the lines that it ever has. */
  readonly seen: ReadonlySet<string>;
}

/** The SQL of what waits: one pass over the jobs that are queued. */
@Injectable()
export class WaitingLoadRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** In one statement, so that what is seen is exactly what is counted. */
  async look(ids: readonly string[]): Promise<WaitingLook> {
    const { rows } = await sql<Load & { projectId: string | null; seen: string[] | null }>`
      select project_id as "projectId", count(*)::bigint as jobs, sum(request_bytes)::bigint as bytes, null::uuid[] as seen
      from jobs where status = 'queued' group by project_id
      union all
      select null, 0, 0, array(
        select id from jobs where id = any(${[...ids]}::uuid[])
        union all select id from batches where id = any(${[...ids]}::uuid[]) and status <> 'validating')`.execute(
      this.db,
    );
    const waiting = rows.flatMap(({ projectId, jobs, bytes }) =>
      projectId === null ? [] : [[projectId, { jobs, bytes }] as const],
    );
    return { waiting: new Map(waiting), seen: new Set(rows.flatMap((row) => row.seen ?? [])) };
  }
}
