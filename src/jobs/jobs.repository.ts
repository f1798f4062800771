import { Inject, Injectable } from '@nestjs/common';
import { type RawBuilder, type Selectable, type ShallowDehydrateObject, sql, type SqlBool } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { Bell } from '../queue/queues.js';
import { DATABASE, type Database, type DatabaseOrTransaction } from '../storage/database.js';
import type { AttemptsTable, JobStatus } from '../storage/schema.js';
import { isThere } from '../storage/is-there.js';
import { type Columns, LongTexts, tableOf } from '../storage/table-of.js';
import { ALL_ATTEMPTS, closeOpenAttempts, totalsOf } from './attempts.repository.js';
import { bellOf, type JobBell } from './job-bell.js';
import { ALONE, BACKLOG, rungOf, windowOf } from './dispatch-window.repository.js';
import { type AlsoWrite, ENDED_COLUMNS, type EndedJob } from './job-ends.repository.js';

/** The channel on which workers hear the uuids of jobs that were cancelled while they ran. */
export const CANCEL_CHANNEL = 'baton_cancel';

/** A job that is about to be accepted. */
export interface NewJob {
  readonly id: string;
  readonly projectId: string;
  readonly endpoint: string;
  readonly model: string;
  readonly policy: { readonly name: string; readonly version: number } | null;
  readonly chainId: string;
  readonly priority: number;
  readonly metadata: Record<string, string>;
  readonly webhookUrl: string | null;
  readonly request: string;
  /** False: its bodies are forgotten once its result is delivered. */
  readonly store: boolean;
  /** The request's length in UTF-8. */
  readonly requestBytes: number;
  /** Unix seconds; null runs at once. */
  readonly runAt: number | null;
  /** Counted from the moment at which it may run. */
  readonly expiresInSeconds: number;
}

/** A job that was just accepted, and the bell that is to be rung for it; null if it must wait for room in the window, or for its time. */
export interface AcceptedJob {
  readonly row: WholeJobRow;
  readonly bell: JobBell | null;
}

/** A job as it is kept, without its bodies. */
export type JobRow = Awaited<ReturnType<JobsRepository['list']>>[number];
/** A job with its request and, once it has one, its response, as JSON text; or with the SHA-256, in hex, of those that are forgotten. */
export type WholeJobRow = JobRow & {
  readonly request: string | null;
  readonly response: string | null;
  readonly requestSha256: string | null;
  readonly responseSha256: string | null;
};
export type AttemptRow = Selectable<AttemptsTable>;

/** A job with all that is known of it; its attempts are in the order in which they were made. */
export interface WholeJob {
  readonly row: WholeJobRow;
  readonly attempts: readonly AttemptRow[];
}

/** What a list of jobs is narrowed by; all given ones must hold. Times are Unix seconds. */
export interface JobFilters {
  readonly status?: JobStatus;
  readonly model?: string;
  readonly servedBy?: string;
  readonly policy?: string;
  readonly batchId?: string;
  readonly customId?: string;
  readonly errorCode?: string;
  readonly fellBack?: boolean;
  readonly attemptsMin?: number;
  readonly metadata?: Record<string, string>;
  readonly createdAfter?: number;
  readonly createdBefore?: number;
}

export interface Page {
  readonly limit: number;
  /** The uuid after which the page begins. */
  readonly after: string | null;
  readonly order: 'asc' | 'desc';
}

const COLUMNS = [
  'id', 'status', 'endpoint', 'model', 'policy_name', 'policy_version', 'priority', 'metadata', 'batch_id', 'custom_id',
  'same_as', 'retry_of', 'order_reason', 'served_by', 'fell_back', 'error_code', 'error_message', 'response_status', 'response_request_id',
  'input_tokens', 'output_tokens', 'total_tokens', 'cached_input_tokens', 'cache_write_tokens',
  'reasoning_tokens', 'cost_micros',
  'created_at', 'started_at', 'finished_at', 'run_at', 'due_at', 'expires_at', 'waiting',
  'store',
] as const; // prettier-ignore

/** The SQL of accepting, showing and cancelling jobs. Every query is bounded by the project. */
@Injectable()
export class JobsRepository {
  constructor(@Inject(DATABASE) private readonly db: Database) {}

  /** As {@link insert}, by themselves: when this resolves they are durable. Answers in their order. */
  async accept(jobs: readonly NewJob[]): Promise<AcceptedJob[]> {
    return this.insertAll(this.db, jobs);
  }

  /** Accepts the job, and notes it as rung if its project's window has room: it is rung as soon as this is committed. */
  async insert(db: DatabaseOrTransaction, job: NewJob): Promise<AcceptedJob> {
    const [accepted] = await this.insertAll(db, [job]);
    if (!accepted) throw new Error('A job was inserted and did not come back');
    return accepted;
  }

  private async insertAll(db: DatabaseOrTransaction, jobs: readonly NewJob[]): Promise<AcceptedJob[]> {
    const source = sql`jobs.project_id = sources.project_id and jobs.batch_id is null`;
    const priority = sql`sources.priority`;
    const requests = new LongTexts(jobs.map((job) => job.request));
    // The place of a job among those of its project and priority that are rung.
    const place = sql`(rung + row_number() over (partition by project_id, priority order by id))::int`;
    const { rows } = await sql<JobRow & { place: number; isRung: boolean }>`
      with asked as materialized (
        select asked.*, greatest(now(), to_timestamp(run_at_seconds)) as due from ${tableOf('asked', jobs, {
          ...NEW_COLUMNS,
          ...requests.columns,
        })}
      ), sources as materialized (
        select *, case when is_waited_for then 0 else ${rungOf(source, priority)} end as rung, ${windowOf(priority)} as room
        from (select project_id, priority, ${IS_WAITED_FOR} as is_waited_for
          from (select distinct project_id, priority from asked) sources offset 0) sources
      ), placed as (
        select asked.*, ${place} as place, room, is_waited_for from asked join sources using (project_id, priority)
      ), accepted as (
        insert into jobs (id, project_id, endpoint, model, policy_name, policy_version, chain_id, priority, metadata,
          webhook_url, store, run_at, due_at, waiting, expires_at, request_bytes, rung_at)
        select id, project_id, endpoint, model, policy_name, policy_version, chain_id, priority, metadata, webhook_url, store,
          to_timestamp(run_at_seconds), due, run_at_seconds is not null, due + make_interval(secs => expires_in), request_bytes,
          case when run_at_seconds is null and place <= room and not is_waited_for then now() end
        from placed
        returning project_id, ${sql.join(COLUMNS.map((column) => sql.ref(column)))}, attempt_count, rung_at is not null as "isRung"
      ), kept as (
        insert into job_requests (job_id, project_id, body)
        select id, project_id, ${requests.text} from asked)
      select accepted.*, ${place} as place from accepted join sources using (project_id, priority)`.execute(
      db,
    );
    const byId = new Map(rows.map((row) => [row.id, row]));
    return jobs.map(({ id, priority, request }) => {
      const inserted = byId.get(id);
      if (!inserted) throw new Error('A job was inserted and did not come back');
      const { place, isRung, ...row } = inserted;
      const bell = bellOf({ id, dispatchNo: 1, priority, batchId: null, place, isOfMany: place > ALONE });
      const bodies = { request, response: null, requestSha256: null, responseSha256: null };
      return { row: { ...row, ...bodies }, bell: isRung ? bell : null };
    });
  }

  /** The job and its attempts as they were at one moment. */
  async find(projectId: string, jobId: string): Promise<WholeJob | undefined> {
    const found = await this.rows(projectId)
      .where('jobs.id', '=', jobId)
      .innerJoin('job_requests', 'job_requests.job_id', 'jobs.id')
      .leftJoin('job_responses', (join) =>
        // An equal line's answer is kept once.
        join.on('job_responses.job_id', '=', sql<string>`coalesce(jobs.same_as, jobs.id)`),
      )
      .select([
        bodyOf('job_requests').as('request'),
        bodyOf('job_responses').as('response'),
        sql<string | null>`encode(job_requests.sha256, 'hex')`.as('requestSha256'),
        sql<string | null>`encode(job_responses.sha256, 'hex')`.as('responseSha256'),
      ])
      .select((of) =>
        jsonArrayFrom(
          of
            .selectFrom('attempts')
            .selectAll('attempts')
            .whereRef('attempts.job_id', '=', 'jobs.id')
            .orderBy('index'),
        ).as('attempts'),
      )
      .executeTakeFirst();
    if (!found) return undefined;
    const { attempts, ...row } = found;
    return { row, attempts: attempts.map(fromJson) };
  }

  async list(projectId: string, filters: JobFilters, page: Page) {
    let query = this.rows(projectId).orderBy('jobs.id', page.order).limit(page.limit);
    if (page.after !== null) query = query.where('jobs.id', page.order === 'asc' ? '>' : '<', page.after);
    for (const condition of conditionsOf(filters)) query = query.where(condition);
    return query.execute();
  }

  /** Which of these jobs have ended. */
  async endedAmong(jobIds: readonly string[]): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      select id from jobs where id = any(${jobIds}::uuid[]) and finished_at is not null`.execute(this.db);
    return rows.map((row) => row.id);
  }

  /**
   * Ends a job that is queued or runs, closes its open attempts, and tells the worker that runs it. Null if the job is
   * unknown or has ended.
   */
  async cancel(
    projectId: string,
    jobId: string,
    alsoWrite: AlsoWrite,
  ): Promise<{ job: EndedJob; bells: Bell[] } | null> {
    return this.db.transaction().execute(async (trx) => {
      const { rows } = await sql<{ id: string }>`
        update jobs set status = 'cancelled', finished_at = now(), waiting = false, lease_until = null, worker = null,
          lease_token = lease_token + 1
        where id = ${jobId} and project_id = ${projectId} and status in ('queued', 'in_progress')
        returning id`.execute(trx);
      if (rows.length === 0) return null;
      await closeOpenAttempts(trx, [jobId], 'cancelled', 'the job was cancelled');
      const { rows: ended } = await sql<EndedJob>`
        update jobs set ${totalsOf(ALL_ATTEMPTS)} where id = ${jobId} returning ${ENDED_COLUMNS}`.execute(
        trx,
      );
      const [job] = ended;
      if (!job) return null;
      await sql`select pg_notify(${CANCEL_CHANNEL}, ${jobId})`.execute(trx);
      return { job, bells: await alsoWrite(trx, [job]) };
    });
  }

  private rows(projectId: string) {
    return (
      this.db
        .selectFrom('jobs')
        .where('jobs.project_id', '=', projectId)
        .select(COLUMNS.map((column) => `jobs.${column}` as const))
        // Summed up at a run's ends; while it runs the ledger itself is counted.
        .select(
          sql<number>`case when jobs.status = 'in_progress'
          then (select count(*)::int from attempts where attempts.job_id = jobs.id) else jobs.attempt_count end`.as(
            'attempt_count',
          ),
        )
    );
  }
}

/** An attempt that came as JSON, which has no dates. */
function fromJson(attempt: ShallowDehydrateObject<AttemptRow>): AttemptRow {
  const { started_at, ended_at } = attempt;
  return {
    ...attempt,
    started_at: new Date(started_at),
    ended_at: ended_at === null ? null : new Date(ended_at),
  };
}

/** The text of a body; null once it is forgotten. */
function bodyOf(table: 'job_requests' | 'job_responses') {
  const [body, sha256] = [sql.ref(`${table}.body`), sql.ref(`${table}.sha256`)];
  return sql<string | null>`case when ${sha256} is null then ${body} end`;
}

/** Whether others of the same project and priority are due and not rung: who comes now does not pass them by. */
const IS_WAITED_FOR = isThere(sql`from jobs where ${BACKLOG} and project_id = sources.project_id
  and priority = sources.priority and due_at <= now() order by due_at`);

const NEW_COLUMNS = {
  id: ['uuid', (job) => job.id],
  project_id: ['uuid', (job) => job.projectId],
  endpoint: ['text', (job) => job.endpoint],
  model: ['text', (job) => job.model],
  policy_name: ['text', (job) => job.policy?.name ?? null],
  policy_version: ['int', (job) => job.policy?.version ?? null],
  chain_id: ['uuid', (job) => job.chainId],
  priority: ['smallint', (job) => job.priority],
  metadata: ['jsonb', (job) => JSON.stringify(job.metadata)],
  webhook_url: ['text', (job) => job.webhookUrl],
  store: ['boolean', (job) => job.store],
  run_at_seconds: ['double precision', (job) => job.runAt],
  expires_in: ['double precision', (job) => job.expiresInSeconds],
  request_bytes: ['int', (job) => job.requestBytes],
} satisfies Columns<NewJob>;

/** One SQL condition for each filter that is given. */
function conditionsOf(filters: JobFilters): RawBuilder<SqlBool>[] {
  const { metadata } = filters;
  const conditions: (RawBuilder<SqlBool> | false)[] = [
    filters.status !== undefined && sql`jobs.status = ${filters.status}`,
    filters.model !== undefined && sql`jobs.model = ${filters.model}`,
    filters.servedBy !== undefined && sql`jobs.served_by = ${filters.servedBy}`,
    filters.policy !== undefined && sql`jobs.policy_name = ${filters.policy}`,
    filters.batchId !== undefined && sql`jobs.batch_id = ${filters.batchId}`,
    filters.customId !== undefined && sql`jobs.custom_id = ${filters.customId}`,
    filters.errorCode !== undefined && sql`jobs.error_code = ${filters.errorCode}`,
    filters.fellBack !== undefined && sql`jobs.fell_back = ${filters.fellBack}`,
    filters.attemptsMin !== undefined && sql`jobs.attempt_count >= ${filters.attemptsMin}`,
    // The second half lets the partial index be used.
    metadata !== undefined &&
      sql`jobs.metadata @> ${JSON.stringify(metadata)}::jsonb and jobs.metadata <> '{}'`,
    filters.createdAfter !== undefined && sql`jobs.created_at > to_timestamp(${filters.createdAfter})`,
    filters.createdBefore !== undefined && sql`jobs.created_at < to_timestamp(${filters.createdBefore})`,
  ];
  return conditions.filter((condition) => condition !== false);
}
