/** Webhooks on a real Postgres, a real queue and real receivers on loopback: what is promised, and what holds when things break. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { sql } from 'kysely';
import { Webhook } from 'standardwebhooks';
import { ApiKeysModule } from '../src/api-keys/api-keys.module.js';
import { DEFAULT_PROJECT_ID } from '../src/api-keys/principal.js';
import { ConfigModule } from '../src/config/config.module.js';
import { readConfig } from '../src/config/read-config.js';
import { QueueModule } from '../src/queue/queue.module.js';
import { RetentionModule } from '../src/retention/retention.module.js';
import { SturdyClient } from '../src/storage/clients.js';
import { type Database, installationId, migrate, openDatabase } from '../src/storage/database.js';
import { newUuid, toPublicId } from '../src/storage/ids.js';
import { SecretSeal } from '../src/storage/seal.js';
import { StorageModule } from '../src/storage/storage.module.js';
import { TelemetryModule } from '../src/telemetry/telemetry.module.js';
import { DeliveriesService } from '../src/webhooks/deliveries.service.js';
import { DeliveryStepsRepository } from '../src/webhooks/delivery-steps.repository.js';
import type { NewEvent } from '../src/webhooks/event.js';
import { SecretsRepository } from '../src/webhooks/secrets.repository.js';
import { SecretsService } from '../src/webhooks/secrets.service.js';
import type { WebhookDeliveryDto, WebhookSecretDto } from '../src/webhooks/webhooks.dto.js';
import { WebhooksModule } from '../src/webhooks/webhooks.module.js';
import { WebhooksService } from '../src/webhooks/webhooks.service.js';
import { leastOf } from './support/rounds.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

declare const QUEUE_BACKEND: 'redis' | 'postgres';

const KEY = 'a-key-for-the-tests';
const HEADERS = { authorization: `Bearer ${KEY}` };

let testDatabase: TestDatabase;
let db: Database;
let app: NestFastifyApplication;
let webhooks: WebhooksService;
let steps: DeliveryStepsRepository;
let deliveries: DeliveriesService;
let secrets: SecretsService;
let receiver: WebhookReceiver;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  db = openDatabase(testDatabase.url, () => undefined);
  await migrate(db);
  receiver = await WebhookReceiver.start();
  const { config, problems } = readConfig({ EGRESS_ALLOW_CIDRS: '127.0.0.0/8' }, __dirname);
  if (!config) throw new Error(problems.join('\n'));
  const redisUrl = QUEUE_BACKEND === 'redis' ? (process.env['TEST_REDIS_URL'] ?? '') : null;
  const testing = await Test.createTestingModule({
    imports: [
      ConfigModule.forRoot(config),
      TelemetryModule,
      StorageModule.forRoot({
        db,
        databaseUrl: testDatabase.url,
        encryptionKeys: [randomBytes(32)],
        s3: null,
      }),
      QueueModule.forRoot({
        redisUrl,
        databaseUrl: testDatabase.url,
        databaseClient: SturdyClient,
        installationId: await installationId(db),
        onDeaf: () => undefined,
      }),
      RetentionModule.forRoot({ worker: false }),
      ApiKeysModule.forRoot(KEY),
      WebhooksModule.forRoot({ worker: true }),
    ],
  }).compile();
  app = testing.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), { logger: ['fatal'] });
  await app.init();
  webhooks = app.get(WebhooksService);
  steps = app.get(DeliveryStepsRepository);
  deliveries = app.get(DeliveriesService);
  secrets = app.get(SecretsService);
});

afterAll(async () => {
  await receiver.close();
  await app.close();
  await testDatabase.drop();
});

/** A job that has ended, with nothing in it. */
async function endedJob(): Promise<string> {
  const [id, chainId] = [newUuid(), newUuid()];
  await db
    .insertInto('chains')
    .values({ id: chainId, project_id: DEFAULT_PROJECT_ID, digest: randomBytes(32), body: '{}' })
    .execute();
  await sql`
    insert into jobs (id, project_id, status, endpoint, model, chain_id, priority, metadata, expires_at)
    values (${id}, ${DEFAULT_PROJECT_ID}, 'completed', '/v1/chat/completions', 'sim/echo', ${chainId}, 2, '{}', now())
  `.execute(db);
  return id;
}

/** What a job's end tells. */
async function completed(url: string): Promise<NewEvent & { jobId: string }> {
  const jobId = await endedJob();
  const note = 'é 😀 \u2028 "quoted" \\ \u0000';
  const data = { id: toPublicId('job', jobId), status: 'completed', note, version: 2 };
  const of = { projectId: DEFAULT_PROJECT_ID, jobId, batchId: null };
  return { ...of, type: 'job.completed', data, url, isWatched: false };
}

/** Ends a job that asked for a webhook, as the jobs room does: written in a transaction, rung after it. Gives the job. */
async function endJob(url: string): Promise<string> {
  const event = await completed(url);
  await webhooks.ring(await db.transaction().execute((trx) => webhooks.recordEvents(trx, [event])));
  return event.jobId;
}

async function get<T>(path: string): Promise<T> {
  const reply = await app.inject({ method: 'GET', url: path, headers: HEADERS });
  expect(reply.statusCode).toBe(200);
  return reply.json<T>();
}

/** The one delivery of a job, when it is as it should be. */
async function deliveryOf(
  jobId: string,
  isReady: (delivery: WebhookDeliveryDto) => boolean,
): Promise<WebhookDeliveryDto> {
  const endMs = Date.now() + 15_000;
  for (;;) {
    const { data } = await get<{ data: WebhookDeliveryDto[] }>(
      `/v1/jobs/${toPublicId('job', jobId)}/deliveries`,
    );
    const [delivery] = data;
    expect(data).toHaveLength(1);
    if (delivery && isReady(delivery)) return delivery;
    if (Date.now() > endMs)
      throw new Error(`The delivery is not as it should be: ${JSON.stringify(delivery)}`);
    await delay(20);
  }
}

async function endedDeliveryOf(jobId: string): Promise<WebhookDeliveryDto> {
  return deliveryOf(jobId, (delivery) => delivery.status !== 'pending');
}

/** Lets the next try be due now, so that a test need not wait hours. */
async function makeDue(jobId: string): Promise<void> {
  await db
    .updateTable('webhook_deliveries')
    .set({ due_at: sql`now()` })
    .where('job_id', '=', jobId)
    .execute();
}

/** Writes an event and its delivery as if its bell were still on its way. Gives the delivery's uuid and the job's. */
async function recordUnrung(path: string): Promise<{ id: string; jobId: string }> {
  const event = await completed(receiver.url(path));
  const [bell] = await webhooks.recordEvents(db, [event]);
  if (!bell) throw new Error('No delivery was written');
  return { id: bell.id, jobId: event.jobId };
}

/** As if the worker that holds the delivery had been gone for long. */
async function expireLease(id: string): Promise<void> {
  await db
    .updateTable('webhook_deliveries')
    .set({ lease_until: sql`now() - interval '1 second'` })
    .where('id', '=', id)
    .execute();
}

describe('A webhook', () => {
  it('arrives within two seconds', async () => {
    const tookMs = await leastOf(2_000, async (round) => {
      const beganMs = Date.now();
      await endJob(receiver.url(`/soon-${round}`));
      const [request] = await receiver.waitFor(`/soon-${round}`, 1);
      return (request?.atMs ?? Infinity) - beganMs;
    });
    expect(tookMs).toBeLessThan(2_000);
  });

  it('is signed with the secret that the API shows', async () => {
    const jobId = await endJob(receiver.url('/signed'));
    const [request] = await receiver.waitFor('/signed', 1);
    const { secret, object } = await get<WebhookSecretDto>('/v1/webhook_secret');

    expect(object).toBe('webhook_secret');
    const body = new Webhook(secret).verify(request?.body ?? '', { ...request?.headers }) as Record<
      string,
      unknown
    >;
    expect(body).toEqual({
      id: request?.headers['webhook-id'],
      object: 'event',
      type: 'job.completed',
      created_at: expect.any(Number),
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      data: {
        id: toPublicId('job', jobId),
        status: 'completed',
        note: 'é 😀 \u2028 "quoted" \\ \u0000',
        version: 2,
      },
    });
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringMatching(/^Baton-Webhooks\/\d+\.\d+\.\d+/),
    });
    const delivery = await endedDeliveryOf(jobId);
    expect(delivery).toEqual({
      id: expect.stringMatching(/^whd_[0-9A-Z]{26}$/),
      object: 'webhook_delivery',
      event_id: request?.headers['webhook-id'],
      event_type: 'job.completed',
      job_id: toPublicId('job', jobId),
      batch_id: null,
      webhook_endpoint_id: null,
      url: receiver.url('/signed'),
      status: 'succeeded',
      try_count: 1,
      created_at: body['created_at'],
      next_try_at: null,
      finished_at: expect.any(Number),
      last_error: null,
      tries: [
        {
          index: 0,
          started_at_ms: expect.any(Number),
          duration_ms: expect.any(Number),
          http_status: 200,
          error: null,
          response_text: null,
        },
      ],
    });
  });

  it('that fails is tried again after about five seconds with the same id and the same bytes', async () => {
    receiver.script('/second', { status: 500, body: 'not\0now \xff'.repeat(1_000) }, { status: 204 });
    const jobId = await endJob(receiver.url('/second'));
    const [first, second] = await receiver.waitFor('/second', 2, 15_000);
    const delivery = await endedDeliveryOf(jobId);

    expect(delivery).toMatchObject({ status: 'succeeded', try_count: 2, last_error: null });
    expect(delivery.tries).toMatchObject([
      { index: 0, http_status: 500, error: 'The receiver answered 500' },
      { index: 1, http_status: 204, error: null },
    ]);
    expect(delivery.tries[0]?.response_text).toMatch(/^notnow ÿ/);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(second?.body).toEqual(first?.body);
    expect(Number(second?.headers['webhook-timestamp'])).toBeGreaterThan(
      Number(first?.headers['webhook-timestamp']),
    );
    // 5 s with 20 % to either side, and up to one more for the sweep.
    const gapMs = (second?.atMs ?? 0) - (first?.atMs ?? 0);
    expect(gapMs).toBeGreaterThan(3_900);
    expect(gapMs).toBeLessThan(8_000);
    const { secret } = await get<WebhookSecretDto>('/v1/webhook_secret');
    for (const one of [first, second])
      expect(new Webhook(secret).verify(one?.body ?? '', { ...one?.headers })).toBeTruthy();
  });

  it('that is redirected has failed, and nobody follows', async () => {
    receiver.script(
      '/moved',
      { status: 307, headers: { location: receiver.url('/moved-to') } },
      { status: 200 },
    );
    const jobId = await endJob(receiver.url('/moved'));
    const delivery = await deliveryOf(jobId, ({ last_error }) => last_error !== null);
    expect(delivery).toMatchObject({
      status: 'pending',
      last_error: 'The receiver answered 307; redirects are not followed',
    });
    await makeDue(jobId);
    expect(await endedDeliveryOf(jobId)).toMatchObject({ status: 'succeeded', try_count: 2 });
    expect(receiver.received('/moved-to')).toHaveLength(0);
  });

  it('is given up at once when the receiver says 410', async () => {
    receiver.script('/gone', { status: 410 });
    const jobId = await endJob(receiver.url('/gone'));
    expect(await endedDeliveryOf(jobId)).toMatchObject({
      status: 'failed',
      try_count: 1,
      next_try_at: null,
      last_error: 'The receiver answered 410',
    });
  });

  it('waits as long as Retry-After says', async () => {
    receiver.script('/later', { status: 429, headers: { 'retry-after': '3600' } });
    const jobId = await endJob(receiver.url('/later'));
    const delivery = await deliveryOf(jobId, ({ last_error }) => last_error !== null);
    const waitS = (delivery.next_try_at ?? 0) - (delivery.tries[0]?.started_at_ms ?? 0) / 1000;
    expect(waitS).toBeGreaterThan(3_598);
    expect(waitS).toBeLessThan(3_602);
  });

  it('is given up after ten tries', async () => {
    receiver.script('/never', 'reset');
    const jobId = await endJob(receiver.url('/never'));
    for (let tries = 1; tries <= 9; tries++) {
      await deliveryOf(
        jobId,
        (delivery) =>
          delivery.tries[tries - 1]?.error !== undefined && delivery.tries[tries - 1]?.error !== null,
      );
      await db
        .updateTable('webhook_deliveries')
        .set({ due_at: sql`now()` })
        .where('job_id', '=', jobId)
        .execute();
    }
    const delivery = await endedDeliveryOf(jobId);
    expect(delivery).toMatchObject({ status: 'failed', try_count: 10 });
    expect(delivery.tries.map((one) => one.index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(receiver.received('/never')).toHaveLength(10);
  });

  it('is not written for an event that nobody asked for', async () => {
    const event = await completed('');
    expect(await webhooks.recordEvents(db, [{ ...event, url: null }])).toEqual([]);
  });

  it('is not sent when the transaction in which it happened is rolled back', async () => {
    const event = await completed(receiver.url('/undone'));
    let id = '';
    const undone = db.transaction().execute(async (trx) => {
      id = (await webhooks.recordEvents(trx, [event]))[0]?.id ?? '';
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    expect(id).not.toBe('');
    expect(await steps.claim(id)).toBeUndefined();
  });

  it('is shown to its own project only', async () => {
    const jobId = await endedJob();
    const list = (projectId: string, job: string) =>
      deliveries.list(projectId, { jobId: job }, {}, { limit: 20, after: null, order: 'asc' });
    expect(await list(DEFAULT_PROJECT_ID, jobId)).toEqual({ deliveries: [], hasMore: false });
    await expect(list(newUuid(), jobId)).rejects.toMatchObject({ code: 'not_found' });
    await expect(list(DEFAULT_PROJECT_ID, newUuid())).rejects.toMatchObject({ code: 'not_found' });
  });

  it('may go to public https only, and says so', async () => {
    await expect(webhooks.checkUrl('http://169.254.169.254/')).rejects.toMatchObject({
      code: 'url_not_allowed',
      param: 'webhook_url',
      message: expect.stringContaining('https'),
    });
    await expect(webhooks.checkUrl('https://10.0.0.1/')).rejects.toMatchObject({ code: 'url_not_allowed' });
    await expect(webhooks.checkUrl(receiver.url('/'))).resolves.toBeUndefined();
  });
});

describe('When things break', () => {
  it('a worker that dies in the middle of a try leaves it interrupted, and the webhook is sent again with the same id', async () => {
    const { id, jobId } = await recordUnrung('/crash');
    const claimed = await steps.claim(id);
    if (!claimed) throw new Error('Somebody else has the delivery');
    await steps.beginTry(claimed);
    expect(await steps.claim(id)).toBeUndefined();
    await expireLease(id);

    const delivery = await endedDeliveryOf(jobId);
    expect(delivery).toMatchObject({
      status: 'succeeded',
      try_count: 2,
      tries: [
        { index: 0, error: 'interrupted', http_status: null, duration_ms: null },
        { index: 1, error: null, http_status: 200 },
      ],
    });
    expect(receiver.received('/crash')).toHaveLength(1);
    expect(receiver.received('/crash')[0]?.headers['webhook-id']).toBe(toPublicId('evt', claimed.event.id));
  });

  it('a worker that was only thought dead can not end a delivery that is no longer its own', async () => {
    receiver.script('/fenced', { status: 503 });
    const { id, jobId } = await recordUnrung('/fenced');
    const claimed = await steps.claim(id);
    const begun = claimed && (await steps.beginTry(claimed));
    if (!claimed || !begun) throw new Error('Somebody else has the delivery');
    await expireLease(id);
    await deliveryOf(jobId, ({ tries }) => tries[1]?.http_status === 503);

    const late = {
      index: begun.index,
      durationMs: 40_000,
      httpStatus: 200,
      error: null,
      responseText: 'late',
      carriedResult: false,
    };
    await steps.finishTry(claimed, late, { type: 'succeeded' });
    expect(await steps.beginTry(claimed)).toBeUndefined();
    const delivery = await deliveryOf(jobId, () => true);
    expect(delivery).toMatchObject({
      status: 'pending',
      try_count: 2,
      last_error: 'The receiver answered 503',
    });
    expect(delivery.tries).toMatchObject([{ http_status: 200, response_text: 'late' }, { http_status: 503 }]);
  });

  it('a bell that was lost is rung again', async () => {
    const { id, jobId } = await recordUnrung('/lost');
    await db
      .updateTable('webhook_deliveries')
      .set({ rung_at: sql`now() - interval '31 seconds'` })
      .where('id', '=', id)
      .execute();
    expect(await endedDeliveryOf(jobId)).toMatchObject({ status: 'succeeded', try_count: 1 });
  });

  it('a delivery is claimed by one worker only, however many are rung', async () => {
    const { id } = await recordUnrung('/one');
    const claims = await Promise.all(Array.from({ length: 20 }, () => steps.claim(id)));
    expect(claims.filter((claimed) => claimed !== undefined)).toHaveLength(1);
  });

  it('receivers that hang do not hold up the others', async () => {
    const hanging = await WebhookReceiver.start();
    try {
      hanging.script('/', 'hang');
      const stuck = await Promise.all(Array.from({ length: 60 }, () => completed(hanging.url('/'))));
      await webhooks.ring(await webhooks.recordEvents(db, stuck));
      await hanging.waitFor('/', 10);
      const beganMs = Date.now();
      for (let i = 0; i < 20; i++) await endJob(receiver.url('/healthy'));
      await receiver.waitFor('/healthy', 20);
      // Whoever stood behind them would wait for the 15 s that a try may take.
      expect(Date.now() - beganMs).toBeLessThan(5_000);
      expect(hanging.received()).toHaveLength(10);
    } finally {
      await db.deleteFrom('webhook_deliveries').where('url', '=', hanging.url('/')).execute();
      await hanging.close();
    }
  });

  it('a crowd for one receiver is worked off without waiting for sweeps', async () => {
    const events = await Promise.all(Array.from({ length: 300 }, () => completed(receiver.url('/crowd'))));
    await webhooks.ring(await db.transaction().execute((trx) => webhooks.recordEvents(trx, events)));
    const requests = await receiver.waitFor('/crowd', 300, 20_000);
    expect(new Set(requests.map((request) => request.headers['webhook-id'])).size).toBe(300);
    expect(requests).toHaveLength(300);
  });
});

describe('The default secret', () => {
  it('is the same for all who ask for the first time at once', async () => {
    await db
      .updateTable('projects')
      .set({ webhook_secret: null })
      .where('id', '=', DEFAULT_PROJECT_ID)
      .execute();
    const found = await Promise.all(Array.from({ length: 30 }, () => secrets.ofProject(DEFAULT_PROJECT_ID)));
    expect(new Set(found).size).toBe(1);
    expect(found[0]).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  });

  it('lies sealed in the database, for its own project only', async () => {
    const secret = await secrets.ofProject(DEFAULT_PROJECT_ID);
    const sealed = await app
      .get(SecretsRepository)
      .current({ projectId: DEFAULT_PROJECT_ID, endpointId: null });
    if (!sealed) throw new Error('No secret is kept');
    expect(sealed.toString('latin1')).not.toContain(secret.slice(6));
    const seal = app.get(SecretSeal);
    expect(seal.open(sealed, `projects|${DEFAULT_PROJECT_ID}`)).toBe(secret);
    expect(() => seal.open(sealed, `projects|${newUuid()}`)).toThrow('belongs elsewhere');
  });
});
