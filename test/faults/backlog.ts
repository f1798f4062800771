import type { Client } from 'pg';

const PROJECTS = 40;
const BATCHES = 10;

/**
 * Puts `queued` jobs into an empty database: seven in ten are single jobs of many projects and all priorities, the others lines of open
 * batches. Some of them hang, and `running` of the lines run. Their ids are in the order of their making, as Baton's are.
 */
export async function fillWithBacklog(
  client: Client,
  { queued, running }: { queued: number; running: number },
): Promise<void> {
  const lines = Math.floor((queued * 0.3) / BATCHES);
  await client.query(`
    insert into projects (id, name) select gen_random_uuid(), 'p' || n from generate_series(1, ${PROJECTS}) n;
    create temp table numbered as select id, row_number() over () - 1 as n from projects where name <> 'default';
    insert into chains (id, project_id, digest, body) select gen_random_uuid(), id, decode(md5(id::text), 'hex'), '{}' from projects;
    create temp table chain_of as select n, numbered.id as project_id, c.id as chain_id
      from numbered join chains c on c.project_id = numbered.id;`);
  const columns = `id, project_id, endpoint, model, chain_id, priority, metadata, expires_at, batch_id, custom_id, line, created_at`;
  await client.query(`
    insert into jobs (${columns})
    select uuidv7(), project_id, '/v1/chat/completions', 'sim/echo', chain_id, 1 + i % 3, '{}', now() + interval '1 day',
      null, null, null, now() from generate_series(1, ${Math.floor(queued * 0.7)}) i join chain_of on n = i % ${PROJECTS}`);
  await client.query(`
    create temp table made as select gen_random_uuid() as batch_id, b, project_id, chain_id
      from generate_series(1, ${BATCHES}) b join chain_of on n = b;
    insert into batch_runs (batch_id, project_id, priority, is_open) select batch_id, project_id, 1 + b % 3, true from made;
    insert into jobs (${columns})
    select uuidv7(), project_id, '/v1/chat/completions', 'sim/echo', chain_id, 1 + b % 3, '{}', now() + interval '1 day',
      batch_id, i::text, i, now() from made, generate_series(1, ${lines}) i;
    insert into job_requests (job_id, project_id, body) select id, project_id, '{}' from jobs order by id limit 1000;`);
  // Some were rung and not heard, the workers of some are dead, the time of some is over.
  await client.query(`
    update jobs set rung_at = now() - interval '1 hour' where id in (select id from jobs where batch_id is null order by id desc limit 300);
    update jobs set status = 'in_progress', lease_until = now() - interval '1 s', lease_token = 1 where id in (
      select id from jobs where batch_id is null and rung_at is null order by id desc limit 300);
    update jobs set status = 'in_progress', lease_until = now() + interval '1 h', lease_token = 1 where id in (
      select id from jobs where batch_id is not null order by id desc limit ${running});
    update jobs set expires_at = now() - interval '1 s' where id in (
      select id from jobs where batch_id is null and rung_at is null and status = 'queued' order by id desc limit 300);`);
}
