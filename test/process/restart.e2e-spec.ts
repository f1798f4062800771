/**
 * Killed at any moment and started again, on both queue backends: every accepted job still ends, once, and the record is
 * whole. `RESTART_SEED` repeats the moments of an earlier run.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { AttemptReply, BatonClient, JobReply } from '../support/baton-client.js';
import { BatonProcess, cleanUpBatons, newFolder } from '../support/baton-process.js';
import { eventually, killOwners, Owner, postmasterPid } from '../support/embedded-postgres-owner.js';
import { type RunningRedis, startRedis } from '../support/redis-server.js';
import { drawFrom } from '../support/simulated-world.js';
import { ScriptedUpstream } from '../support/scripted-upstream.js';
import { after, answer, type Behaviour, fail } from '../support/upstream-behaviours.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

jest.setTimeout(180_000);

const JOBS = 100;
const KILLS = 5;
const CONCURRENCY = 20;
/** Slow enough that a kill most often finds some still to be submitted. */
const SUBMIT_EVERY_MS = 50;

let upstream: ScriptedUpstream;
let receiver: WebhookReceiver;
let redis: RunningRedis;
/** The attempts whose calls lost their caller before they were answered. */
let cutOff: Set<string>;

beforeEach(async () => {
  [upstream, receiver, redis] = await Promise.all([
    ScriptedUpstream.start(),
    WebhookReceiver.start(),
    startRedis(),
  ]);
  cutOff = new Set();
});
afterEach(async () => {
  await killOwners();
  await cleanUpBatons();
  await Promise.all([upstream.close(), receiver.close(), redis.kill()]);
});

/** Starts a Baton in this folder that can call the scripted upstream as `up/…`. */
async function start(cwd: string, env: Record<string, string> = {}): Promise<BatonProcess> {
  return BatonProcess.start({
    cwd,
    // A model that keeps failing is called all the same: what is looked at is who was called, and what was written down.
    file: { providers: { up: { base_url: upstream.url, api_key: 'k', protect: false } } },
    env: {
      EGRESS_ALLOW_CIDRS: '127.0.0.0/8',
      WORKER_CONCURRENCY: String(CONCURRENCY),
      LOG_LEVEL: 'warn',
      ...env,
    },
  });
}

/** Does as the other behaviour, and notes the calls that lost their caller before they were answered. */
function watched(then: Behaviour): Behaviour {
  return (call, response) => {
    response.once('close', () => {
      if (!response.writableFinished) cutOff.add(String(call.headers['x-baton-attempt-id']));
    });
    return then(call, response);
  };
}

/** Takes up to two seconds; three calls of ten fail. */
function unsteady(random: () => number): Behaviour {
  return (call, response) =>
    watched(after(random() * 2_000, random() < 0.3 ? fail(503) : answer()))(call, response);
}

/**
 * Submits jobs one after the other, each under its own key, until all are accepted or Baton is gone. What was under way
 * then is submitted again at the next call.
 */
async function submitUntilGone(
  api: BatonClient,
  open: Set<number>,
  accepted: Map<number, string>,
): Promise<void> {
  for (const number of open) {
    try {
      const request = {
        models: ['up/a', 'up/b', 'up/c'],
        messages: [{ role: 'user', content: String(number) }],
      };
      const reply = await api.request(
        'POST',
        '/v1/jobs',
        { request, webhook_url: receiver.url('/hook') },
        { 'idempotency-key': `job-${number}` },
      );
      expect(reply.status).toBe(202);
      accepted.set(number, (reply.body as unknown as JobReply).id);
      open.delete(number);
    } catch (error) {
      if ((error as Error).message === 'fetch failed') return; // nobody answers any more
      throw error;
    }
    await delay(SUBMIT_EVERY_MS);
  }
}

async function allJobs(api: BatonClient): Promise<JobReply[]> {
  const jobs: JobReply[] = [];
  for (let cursor = ''; ;) {
    const { body } = await api.request('GET', `/v1/jobs?limit=100${cursor}`);
    jobs.push(...(body['data'] as JobReply[]));
    if (body['has_more'] !== true) return jobs;
    cursor = `&after=${String(body['last_id'])}`;
  }
}

async function untilAllEnded(api: BatonClient, timeoutMs: number): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  for (;;) {
    const open = (await allJobs(api)).filter((job) => job.finished_at === null);
    if (open.length === 0) return;
    if (Date.now() > endMs) {
      const whole = await Promise.all(open.slice(0, 3).map((job) => api.job(job.id)));
      throw new Error(
        `${open.length} jobs are open after ${timeoutMs} ms: ${JSON.stringify(whole, null, 2)}`,
      );
    }
    await delay(100);
  }
}

describe.each(['redis', 'postgres'])('with the queue on %s', (backend) => {
  const env = (): Record<string, string> => (backend === 'redis' ? { REDIS_URL: redis.url } : {});

  it('every job ends once, whenever Baton is killed', async () => {
    const seed = Number(process.env['RESTART_SEED'] ?? randomInt(2 ** 31));
    const random = drawFrom(seed);
    console.info(`RESTART_SEED=${seed}`);
    const moments = Array.from({ length: KILLS }, () => 200 + random() * 2_000);
    const killPostgresAt = Math.floor(random() * KILLS);
    for (const model of ['a', 'b', 'c']) upstream.script(model, unsteady(random));
    const cwd = await newFolder();
    const open = new Set(Array.from({ length: JOBS }, (_, number) => number));
    const accepted = new Map<number, string>();

    for (const [kill, momentMs] of moments.entries()) {
      const baton = await start(cwd, env());
      const share = new Set([...open].slice(0, Math.ceil(open.size / (KILLS - kill))));
      const submitting = submitUntilGone(baton.api, share, accepted);
      await delay(momentMs);
      const postgres = kill === killPostgresAt ? await postmasterPid(baton.dataDir) : null;
      baton.signal('SIGKILL');
      if (postgres !== null) process.kill(postgres, 'SIGKILL');
      await Promise.all([baton.exited, submitting]);
      for (const number of accepted.keys()) open.delete(number);
    }
    const baton = await start(cwd, env());
    const readyMs = Date.now();
    await submitUntilGone(baton.api, open, accepted);
    await untilAllEnded(baton.api, 60_000);
    const recoveryMs = Date.now() - readyMs;

    const ids = [...accepted.values()];
    expect(new Set(ids).size).toBe(JOBS);
    expect((await allJobs(baton.api)).map((job) => job.id).sort()).toEqual([...ids].sort());
    const jobs = await Promise.all(ids.map((id) => baton.api.job(id)));
    const attempts = jobs.flatMap((job) => job.attempts);
    const interrupted = attempts.filter((attempt) => attempt.outcome === 'interrupted');
    expectEndedOnce(jobs);
    expectWholeRecord(attempts);
    expect(interrupted.length).toBeLessThanOrEqual(KILLS * CONCURRENCY);
    await expectToldOnce(ids);

    const resumedMs = jobs.flatMap((job) => resumptionsMs(job, readyMs));
    console.info(
      `${backend}: ${upstream.calls().length} calls for ${JOBS} jobs, ${interrupted.length} cut off; all ended ` +
        `${recoveryMs} ms after the last start, those cut off last were called again after at most ${Math.max(0, ...resumedMs)} ms`,
    );
    for (const each of resumedMs) expect(each).toBeLessThan(20_000);
    expect(await baton.term()).toBe(0);
  });
});

function expectEndedOnce(jobs: readonly JobReply[]): void {
  for (const job of jobs) {
    const outcomes = job.attempts.map((attempt) => attempt.outcome);
    expect(job.attempts.map((attempt) => attempt.index)).toEqual(outcomes.map((_, index) => index));
    if (job.status === 'completed') {
      expect(outcomes.filter((outcome) => outcome === 'succeeded')).toHaveLength(1);
      expect(outcomes.at(-1)).toBe('succeeded');
      expect(job.response?.status_code).toBe(200);
    } else {
      // Three rounds of three models may all fail by chance, and three kills may hit the same job.
      expect(job.status).toBe('failed');
      const isCrashLoop = outcomes.filter((outcome) => outcome === 'interrupted').length === 3;
      expect(job.error?.code).toBe(isCrashLoop ? 'worker_crash_loop' : 'overloaded');
      expect(outcomes).not.toContain('succeeded');
    }
  }
}

/** Each call that the upstream saw has its own attempt, and each that lost its caller is written down as cut off. */
function expectWholeRecord(attempts: readonly AttemptReply[]): void {
  const byId = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  const called = upstream.calls().map((call) => String(call.headers['x-baton-attempt-id']));
  expect(new Set(called).size).toBe(called.length);
  expect(called.filter((id) => !byId.has(id))).toEqual([]);
  expect(cutOff.size).toBeGreaterThan(0);
  for (const id of cutOff) expect(byId.get(id)).toMatchObject({ outcome: 'interrupted', decision: 'retry' });
  const isCalled = new Set(called);
  for (const { id, outcome } of attempts) {
    expect(outcome).not.toBeNull();
    // One that was cut off may have been written down and not yet called; no other.
    if (outcome !== 'interrupted') expect(isCalled.has(id)).toBe(true);
  }
}

async function expectToldOnce(ids: readonly string[]): Promise<void> {
  // A delivery that a killed worker held is another's when its lease of 45 s has run out, at the next sweep.
  await receiver.waitFor('/hook', ids.length, 60_000);
  const eventOf = new Map<string, Set<string>>();
  await eventually(() => {
    for (const { headers, body } of receiver.received('/hook')) {
      const { data } = JSON.parse(body.toString()) as { data: { id: string } };
      eventOf.set(data.id, (eventOf.get(data.id) ?? new Set()).add(String(headers['webhook-id'])));
    }
    return eventOf.size === ids.length;
  });
  expect([...eventOf.keys()].sort()).toEqual([...ids].sort());
  for (const events of eventOf.values()) expect(events.size).toBe(1);
}

/** How long after the last start the attempt began that follows one cut off before it. */
function resumptionsMs(job: JobReply, readyMs: number): number[] {
  return job.attempts.flatMap((attempt, index) => {
    const before = job.attempts[index - 1];
    const isResumed = before?.outcome === 'interrupted' && attempt.started_at_ms > readyMs;
    return isResumed ? [attempt.started_at_ms - readyMs] : [];
  });
}

describe.each(['redis', 'postgres'])('with the queue on %s and a PostgreSQL of its own', (backend) => {
  it('outlives that PostgreSQL being killed under it, again and again, and loses no job', async () => {
    for (const model of ['a', 'b', 'c']) upstream.script(model, after(100, answer()));
    const cwd = await newFolder();
    const dataDir = join(cwd, 'postgres-of-its-own');
    let postgres = new Owner(dataDir);
    const env = {
      DATABASE_URL: await postgres.until('ready'),
      ...(backend === 'redis' ? { REDIS_URL: redis.url } : {}),
    };
    const baton = await start(cwd, env);
    const accepted = new Map<number, string>();
    const open = new Set(Array.from({ length: 60 }, (_, number) => number));
    let isOver = false;
    const submitting = (async () => {
      while (!isOver || open.size > 0) await submitOnce(baton.api, open, accepted);
    })();
    for (let kill = 0; kill < 4; kill += 1) {
      await delay(300);
      await postgres.kill();
      await delay(300);
      postgres = new Owner(dataDir);
      expect(await postgres.until('ready')).toBe(env.DATABASE_URL);
    }
    isOver = true;
    await submitting;
    await untilAllEnded(baton.api, 60_000);
    expect(accepted.size).toBe(60);
    // Nobody died but the database: what was answered is kept, and nothing is called twice.
    for (const id of accepted.values()) {
      expect(await baton.api.job(id)).toMatchObject({ status: 'completed', attempt_count: 1 });
    }
    expect(await baton.term()).toBe(0);
    await postgres.stop();
  });
});

/** Submits one of the open jobs; a 503 leaves it open. */
async function submitOnce(api: BatonClient, open: Set<number>, accepted: Map<number, string>): Promise<void> {
  const [number] = open;
  if (number === undefined) return delay(SUBMIT_EVERY_MS);
  const request = { models: ['up/a', 'up/b'], messages: [{ role: 'user', content: String(number) }] };
  const reply = await api.request('POST', '/v1/jobs', { request }, { 'idempotency-key': `job-${number}` });
  expect([202, 503]).toContain(reply.status);
  if (reply.status === 503) return delay(SUBMIT_EVERY_MS);
  accepted.set(number, (reply.body as unknown as JobReply).id);
  open.delete(number);
}

describe('Redis is only the bell', () => {
  it('wiped while 200 jobs wait and some run, it loses none of them, and tells of each', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    upstream.script('held', async (call, response) => gate.then(() => answer()(call, response)));
    const baton = await start(await newFolder(), { REDIS_URL: redis.url, WORKER_CONCURRENCY: '5' });
    const ids = await submitMany(baton.api, 205, { webhook_url: receiver.url('/hook') });
    await eventually(() => upstream.calls('held').length === 5);

    const client = new Redis(redis.url);
    await client.flushall();
    await client.quit();
    const wipedMs = Date.now();
    open();
    await untilAllEnded(baton.api, 60_000);
    console.info(`after FLUSHALL: all ended in ${Date.now() - wipedMs} ms`);
    await expectCalledOnce(baton.api, ids);
    await expectToldOnce(ids);
  });

  it('killed and started again empty, it lets jobs in meanwhile and loses none of them', async () => {
    upstream.script('held', after(50, answer()));
    const baton = await start(await newFolder(), { REDIS_URL: redis.url, WORKER_CONCURRENCY: '5' });
    const ids = await submitMany(baton.api, 50);
    const { port } = redis;
    await redis.kill();
    const awayMs = Date.now();
    ids.push(...(await submitMany(baton.api, 20)));
    console.info(`without Redis: 20 jobs accepted in ${Date.now() - awayMs} ms`);
    redis = await startRedis({ port });
    const backMs = Date.now();
    await untilAllEnded(baton.api, 60_000);
    console.info(`Redis back: all ended in ${Date.now() - backMs} ms`);
    await expectCalledOnce(baton.api, ids);
    expect((await baton.api.run({ model: 'up/held' })).status).toBe('completed');
  });
});

/** Submits ten at a time; throws if one is not accepted. */
async function submitMany(
  api: BatonClient,
  count: number,
  envelope: Record<string, unknown> = {},
): Promise<string[]> {
  const ids: string[] = [];
  const lane = async (): Promise<void> => {
    while (count > 0) {
      count -= 1;
      ids.push((await api.submit({ model: 'up/held' }, envelope)).id);
    }
  };
  await Promise.all(Array.from({ length: 10 }, lane));
  return ids;
}

async function expectCalledOnce(api: BatonClient, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    expect(await api.job(id)).toMatchObject({ status: 'completed', attempt_count: 1 });
  }
  expect(upstream.calls('held')).toHaveLength(ids.length);
}
