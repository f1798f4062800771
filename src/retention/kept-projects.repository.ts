import { Inject, Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { DATABASE, type Database } from '../storage/database.js';

/** The SQL of knowing whose things there are. */
@Injectable()
export class KeptProjectsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** Every project, and what time it is for the database. */
  async read(): Promise<{ projects: { id: string; name: string }[]; now: Date }> {
    const { rows } = await sql<{ id: string; name: string; now: Date }>`
      select id, name, now() as now from projects order by id`.execute(this.db);
    return { projects: rows, now: rows[0]?.now ?? new Date(0) };
  }
}
