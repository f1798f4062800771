/** Registered receivers through the front door, driven by OpenAI's own client where it has the call. */
import type OpenAI from 'openai';
import { APIError } from 'openai';
import type { WebhookCreateParams } from 'openai/resources/webhooks';
import { sql } from 'kysely';
import { type Database, openDatabase } from '../src/storage/database.js';
import { newUuid, toPublicId, toUuid } from '../src/storage/ids.js';
import type { WebhookEndpointDto, WebhookEndpointRecoveryDto } from '../src/webhooks/endpoint.dto.js';
import { EVENT_TYPES } from '../src/webhooks/event.js';
import type { WebhookDeliveryDto } from '../src/webhooks/webhooks.dto.js';
import { eventually } from './support/embedded-postgres-owner.js';
import { openaiClient } from './support/openai-client.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';
import { TEST_KEY, TestBaton } from './support/test-baton.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

let database: TestDatabase;
let db: Database;
let baton: TestBaton;
let receiver: WebhookReceiver;
let openai: OpenAI;

beforeAll(async () => {
  database = await createTestDatabase();
  receiver = await WebhookReceiver.start();
  baton = await TestBaton.start({ database });
  db = openDatabase(database.url, () => undefined);
  openai = openaiClient({ url: baton.baton.url, key: TEST_KEY });
});

afterAll(async () => {
  await baton.stop();
  await db.destroy();
  await receiver.close();
  await database.drop();
});

afterEach(async () => {
  for await (const endpoint of openai.webhooks.list()) await openai.webhooks.delete(endpoint.id);
});

/** Registers a path of the receiver. The client's type of events is OpenAI's; Baton's own are written past it. */
function register(
  path: string,
  types: readonly string[] = ['job.completed'],
  more: object = {},
  client = openai,
) {
  const params = { name: path, url: receiver.url(path), event_types: [...types], ...more };
  return client.webhooks.create(params as WebhookCreateParams);
}

async function endpointOf(id: string): Promise<WebhookEndpointDto> {
  const { status, body } = await baton.request('GET', `/v1/webhook_endpoints/${id}`);
  expect(status).toBe(200);
  return body as unknown as WebhookEndpointDto;
}

async function deliveriesOf(id: string, query = ''): Promise<WebhookDeliveryDto[]> {
  const { status, body } = await baton.request('GET', `/v1/webhook_endpoints/${id}/deliveries${query}`);
  expect([status, body]).toMatchObject([200, { object: 'list' }]);
  return body['data'] as WebhookDeliveryDto[];
}

/** The events that a path was told, as data. */
function toldTo(path: string): { id: string; type: string; data: Record<string, unknown> }[] {
  return receiver.received(path).map(({ body }) => JSON.parse(body.toString()));
}

async function expectError(
  call: Promise<unknown>,
  status: number,
  code: string,
  param?: string,
): Promise<void> {
  const error: unknown = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(APIError);
  expect(error).toMatchObject({ status, code, ...(param !== undefined && { param }) });
}

describe("OpenAI's client", () => {
  it('makes, reads, changes, lists and deletes an endpoint', async () => {
    const made = await register('/made', ['batch.completed', 'batch.failed', 'batch.completed']);
    expect(made).toMatchObject({
      id: expect.stringMatching(/^whe_[0-9A-Z]{26}$/),
      object: 'webhook_endpoint',
      name: '/made',
      url: receiver.url('/made'),
      event_types: ['batch.completed', 'batch.failed'],
      signing_secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    });
    const { signing_secret: secret, ...shown } = made;
    expect(shown.signing_secret_hint).toBe(`whsec_…${secret.slice(-4)}`);
    expect(await openai.webhooks.retrieve(made.id)).toEqual(shown);

    const changed = await openai.webhooks.update(made.id, { name: 'other', event_types: ['batch.expired'] });
    expect(changed).toMatchObject({ name: 'other', url: made.url, event_types: ['batch.expired'] });
    expect(await openai.webhooks.update(made.id, { name: 'other' })).toEqual(changed);
    expect(await openai.webhooks.update(made.id)).toEqual(changed);
    const nothing = { name: null, url: null, event_types: null, include_result: null };
    expect(await openai.webhooks.update(made.id, nothing as never)).toEqual(changed);

    expect(await openai.webhooks.delete(made.id)).toEqual({
      id: made.id,
      object: 'webhook_endpoint.deleted',
      deleted: true,
    });
    await expectError(openai.webhooks.retrieve(made.id), 404, 'not_found');
    await expectError(openai.webhooks.delete(made.id), 404, 'not_found');
  });

  it('goes through pages of endpoints by itself', async () => {
    const made = [];
    for (let i = 0; i < 5; i += 1) made.push((await register(`/page-${i}`)).id);
    const listed = [];
    for await (const endpoint of openai.webhooks.list({ limit: 2, after: null })) listed.push(endpoint.id);
    expect(listed).toEqual(made.toReversed());
  });

  it('lists what can be told', async () => {
    expect(await openai.webhooks.eventTypes.list()).toEqual({ object: 'list', data: [...EVENT_TYPES] });
  });

  it('tries a receiver, and is told what it answered', async () => {
    const { id, signing_secret: secret } = await register('/tried', ['batch.completed']);
    const result = await openai.webhooks.test(id, { event_type: 'batch.completed' });
    expect(result).toEqual({
      object: 'webhook_endpoint.test',
      webhook_endpoint_id: id,
      event_type: 'batch.completed',
      success: true,
      status_code: 200,
    });
    const [request] = receiver.received('/tried');
    const event = await openai.webhooks.unwrap(String(request?.body), { ...request?.headers }, secret);
    expect(event).toMatchObject({ type: 'batch.completed', data: { test: true, object: 'batch' } });
    receiver.script('/tried', { status: 418, body: 'short and stout' });
    expect(await openai.webhooks.test(id, { event_type: 'batch.failed' })).toMatchObject({
      status_code: 418,
    });
    // A test is in the record, and is not tried a second time.
    expect(await deliveriesOf(id)).toMatchObject([
      {
        event_type: 'batch.failed',
        status: 'failed',
        try_count: 1,
        tries: [{ response_text: 'short and stout' }],
      },
      { event_type: 'batch.completed', status: 'succeeded', try_count: 1 },
    ]);
    receiver.script('/tried', 'reset');
    await expectError(openai.webhooks.test(id, { event_type: 'batch.failed' }), 422, 'receiver_unreachable');
    // It says nothing of how the endpoint fares, and is nothing that the endpoint has missed.
    expect((await endpointOf(id)).health).toMatchObject({ last_failure_at: null, failing_since: null });
    const recover = await baton.request('POST', `/v1/webhook_endpoints/${id}/recover`, { since: 0 });
    expect(recover.body).toMatchObject({ recovered: 0 });
  });

  it('is told what is wrong, where, in its own classes', async () => {
    const good = { name: 'n', url: receiver.url('/x'), event_types: ['batch.completed'] as const };
    const make = (more: object) =>
      openai.webhooks.create({ ...good, ...more } as unknown as WebhookCreateParams);
    await expectError(make({ url: 'https://10.0.0.1/' }), 400, 'url_not_allowed', 'url');
    await expectError(make({ url: 'http://example.com/' }), 400, 'url_not_allowed', 'url');
    await expectError(make({ url: 'https://example.com:25/' }), 400, 'url_not_allowed', 'url');
    await expectError(make({ event_types: [] }), 400, 'invalid_value', 'event_types');
    await expectError(make({ event_types: ['eval.run.failed'] }), 400, 'invalid_value', 'event_types');
    await expectError(make({ name: '' }), 400, 'invalid_value', 'name');
    await expectError(make({ name: 'a\u0000b' }), 400, 'invalid_value', 'name');
    await expectError(make({ name: undefined }), 400, 'missing_field', 'name');
    await expectError(make({ secret: 'mine' }), 400, 'unknown_field', 'secret');
    const unknown = toPublicId('whe', newUuid());
    for (const id of [unknown, 'whe_nonsense', 'job_1']) {
      await expectError(openai.webhooks.retrieve(id), 404, 'not_found');
      await expectError(openai.webhooks.update(id, { name: 'x' }), 404, 'not_found');
      await expectError(openai.webhooks.rotateSecret(id), 404, 'not_found');
      await expectError(openai.webhooks.test(id, { event_type: 'batch.failed' }), 404, 'not_found');
    }
    const { id } = await register('/wrong');
    await expectError(
      openai.webhooks.update(id, { url: 'https://192.168.0.1/' }),
      400,
      'url_not_allowed',
      'url',
    );
  });

  it('tries a receiver ten times at once and no more', async () => {
    receiver.script('/busy', 'hang');
    const { id } = await register('/busy');
    const tests = Array.from({ length: 10 }, () =>
      openai.webhooks.test(id, { event_type: 'batch.failed' }, { timeout: 3_000 }).catch(() => null),
    );
    await receiver.waitFor('/busy', 10);
    await expectError(openai.webhooks.test(id, { event_type: 'batch.failed' }), 429, 'receiver_busy');
    await Promise.all(tests);
    expect(receiver.received('/busy')).toHaveLength(10);
  });

  it('makes fifty endpoints and no more, also all at once', async () => {
    // Some may be told that there is too much to do just now, and come again.
    const patient = openai.withOptions({ maxRetries: 10 });
    const made = await Promise.allSettled(
      Array.from({ length: 55 }, (_, i) => register(`/many-${i}`, undefined, {}, patient)),
    );
    expect(made.filter((each) => each.status === 'fulfilled')).toHaveLength(50);
    await expectError(register('/one-too-many'), 409, 'too_many_endpoints');
  });
});

describe('An event', () => {
  it('is told once to each endpoint that wants it, and to the URL that the job names', async () => {
    const [first, second] = [
      await register('/first'),
      await register('/second', ['job.failed', 'job.completed']),
    ];
    await register('/third', ['job.failed']);
    const job = await baton.run({ model: 'sim/echo' }, { webhook_url: receiver.url('/own') });
    for (const path of ['/first', '/second', '/own']) await receiver.waitFor(path, 1);
    const told = ['/first', '/second', '/own'].flatMap(toldTo);
    expect(new Set(told.map((event) => event.id)).size).toBe(1);
    expect(told[0]).toMatchObject({
      type: 'job.completed',
      data: { id: job.id, object: 'job', status: 'completed', version: expect.any(Number) },
    });
    expect(toldTo('/third')).toEqual([]);
    const { body } = await baton.request('GET', `/v1/jobs/${job.id}/deliveries?order=asc`);
    const owners = (body['data'] as WebhookDeliveryDto[]).map((each) => each.webhook_endpoint_id);
    expect(new Set(owners)).toEqual(new Set([first.id, second.id, null]));
    expect(owners).toHaveLength(3);
  });

  it('of a batch names its counts and files; of its lines nothing is told', async () => {
    await register('/batch', ['batch.completed', 'job.completed']);
    const { body } = await baton.request('POST', '/v1/batches', {
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      requests: ['a', 'b'].map((id) => ({ custom_id: id, body: { model: 'sim/echo', messages: [] } })),
    });
    await receiver.waitFor('/batch', 1);
    const batch = await openai.batches.retrieve(String(body['id']));
    expect(toldTo('/batch')).toMatchObject([
      {
        type: 'batch.completed',
        data: {
          id: batch.id,
          status: 'completed',
          request_counts: batch.request_counts,
          output_file_id: batch.output_file_id,
        },
      },
    ]);
    const { body: deliveries } = await baton.request('GET', `/v1/batches/${batch.id}/deliveries`);
    expect(deliveries['data']).toMatchObject([
      { batch_id: batch.id, job_id: null, event_type: 'batch.completed' },
    ]);
    await baton.run({ model: 'sim/echo' });
    await receiver.waitFor('/batch', 2);
    expect(toldTo('/batch').map((event) => event.type)).toEqual(['batch.completed', 'job.completed']);
  });

  it('brings the answer along to who asked for it, and names it where it is too large', async () => {
    await register('/with', ['job.completed', 'job.failed'], { include_result: true });
    await register('/without');
    const small = await baton.run({
      model: 'sim/echo',
      messages: [{ role: 'user', content: 'é 😀 \u2028' }],
    });
    await receiver.waitFor('/with', 1);
    expect(toldTo('/with')[0]?.data['result']).toEqual(small.response?.body);
    await receiver.waitFor('/without', 1);
    expect(toldTo('/without')[0]?.data).not.toHaveProperty('result');

    const content = 'x'.repeat(256 * 1024);
    const large = await baton.run({ model: 'sim/echo', messages: [{ role: 'user', content }] });
    await receiver.waitFor('/with', 2);
    expect(toldTo('/with')[1]?.data).toMatchObject({ id: large.id, result_url: `/v1/jobs/${large.id}` });
    expect(toldTo('/with')[1]?.data).not.toHaveProperty('result');

    await baton.run({ model: 'sim/fail' });
    await receiver.waitFor('/with', 3);
    expect(toldTo('/with')[2]).toMatchObject({ type: 'job.failed' });
  });

  it('goes to the URL that the endpoint has when it is sent', async () => {
    receiver.script('/old', { status: 503 });
    const { id } = await register('/old');
    await baton.run({ model: 'sim/echo' });
    await receiver.waitFor('/old', 1);
    await openai.webhooks.update(id, { url: receiver.url('/new') });
    const [request] = await receiver.waitFor('/new', 1, 15_000);
    expect(request?.headers['webhook-id']).toBe(receiver.received('/old')[0]?.headers['webhook-id']);
  });
});

describe('An endpoint', () => {
  it('shows how it fares', async () => {
    receiver.script(
      '/fares',
      { status: 200 },
      { status: 200 },
      { status: 200 },
      { status: 500, body: 'broken' },
    );
    const { id } = await register('/fares');
    expect((await endpointOf(id)).health).toEqual({
      success_rate: null,
      pending: 0,
      last_success_at: null,
      last_failure_at: null,
      last_error: null,
      failing_since: null,
    });
    for (let i = 1; i <= 4; i += 1) {
      await baton.run({ model: 'sim/echo' });
      await receiver.waitFor('/fares', i);
    }
    await eventually(async () => (await endpointOf(id)).health.failing_since !== null);
    expect((await endpointOf(id)).health).toEqual({
      success_rate: 1,
      pending: 1,
      last_success_at: expect.any(Number),
      last_failure_at: expect.any(Number),
      last_error: 'The receiver answered 500',
      failing_since: expect.any(Number),
    });
    const pending = await deliveriesOf(id, '?status=pending');
    expect(pending).toMatchObject([
      {
        status: 'pending',
        tries: [{ http_status: 500, response_text: 'broken', duration_ms: expect.any(Number) }],
      },
    ]);
    expect(await deliveriesOf(id, '?status=succeeded&event=job.completed')).toHaveLength(3);
    expect(await deliveriesOf(id, '?event=job.failed')).toEqual([]);
    const later = Math.floor(Date.now() / 1000) + 60;
    expect(await deliveriesOf(id, `?since=${later}`)).toEqual([]);
    expect(await deliveriesOf(id, `?since=${later - 600}&until=${later}`)).toHaveLength(4);
    const first = await deliveriesOf(id, '?order=asc&limit=3');
    const rest = await deliveriesOf(id, `?order=asc&after=${first[2]?.id}`);
    expect([...first, ...rest].map((each) => each.id)).toEqual(
      (await deliveriesOf(id)).map((each) => each.id).toReversed(),
    );
    for (const query of ['?status=lost', '?event=nothing', '?since=yesterday', '?what=ever']) {
      const { status } = await baton.request('GET', `/v1/webhook_endpoints/${id}/deliveries${query}`);
      expect(status).toBe(400);
    }
  });

  it('that answers 410 is disabled at once, and the others are told of it', async () => {
    receiver.script('/gone', { status: 410 });
    await register('/watch', ['webhook_endpoint.disabled']);
    const { id } = await register('/gone', ['job.completed', 'webhook_endpoint.disabled']);
    await baton.run({ model: 'sim/echo' });
    await receiver.waitFor('/watch', 1);
    expect(toldTo('/watch')).toMatchObject([
      {
        type: 'webhook_endpoint.disabled',
        data: { id, object: 'webhook_endpoint', status: 'disabled', disabled_reason: 'gone', version: 2 },
      },
    ]);
    expect(await endpointOf(id)).toMatchObject({
      status: 'disabled',
      disabled_reason: 'gone',
      disabled_at: expect.any(Number),
    });
    // What happens meanwhile is not sent, and not lost.
    await baton.run({ model: 'sim/echo' });
    expect(await deliveriesOf(id)).toMatchObject([
      {
        event_type: 'job.completed',
        status: 'failed',
        try_count: 0,
        last_error: 'the endpoint is switched off',
      },
      { event_type: 'webhook_endpoint.disabled', status: 'failed', try_count: 0 },
      {
        event_type: 'job.completed',
        status: 'failed',
        try_count: 1,
        last_error: 'The receiver answered 410',
      },
    ]);
    expect(receiver.received('/gone')).toHaveLength(1);
  });

  it('that fails for five days is disabled; a success in between starts the days anew', async () => {
    receiver.script('/failing', { status: 500 }, { status: 200 }, { status: 500 }, { status: 500 });
    const { id } = await register('/failing');
    const uuid = String(toUuid('whe', id));
    const agesAgo = () =>
      sql`update webhook_endpoints set failing_since = failing_since - interval '5 days' where id = ${uuid}`.execute(
        db,
      );
    const runAndFail = async (count: number) => {
      await baton.run({ model: 'sim/echo' });
      await receiver.waitFor('/failing', count, 15_000);
    };
    const until = (isReady: (endpoint: WebhookEndpointDto) => boolean) =>
      eventually(async () => isReady(await endpointOf(id)));
    await runAndFail(1);
    await until(({ health }) => health.failing_since !== null);
    await agesAgo();
    await runAndFail(2);
    await until(({ health }) => health.failing_since === null);
    // Its first delivery is tried again after five seconds.
    await receiver.waitFor('/failing', 3, 15_000);
    await until(({ health }) => health.failing_since !== null);
    expect((await endpointOf(id)).status).toBe('enabled');
    await agesAgo();
    await runAndFail(4);
    await until(({ status }) => status === 'disabled');
    expect(await endpointOf(id)).toMatchObject({ disabled_reason: 'failing' });
    expect((await deliveriesOf(id)).filter((each) => each.status === 'pending')).toEqual([]);
  });

  it('can be switched off and on, and is sent what it missed', async () => {
    const { id } = await register('/missed');
    const off = await baton.request('POST', `/v1/webhook_endpoints/${id}/disable`);
    expect([off.status, off.body]).toMatchObject([200, { status: 'disabled', disabled_reason: 'request' }]);
    const since = Math.floor(Date.now() / 1000);
    const jobs = [];
    for (let i = 0; i < 12; i += 1) jobs.push((await baton.run({ model: 'sim/echo' })).id);
    const recover = (body: object) => baton.request('POST', `/v1/webhook_endpoints/${id}/recover`, body);
    expect(await recover({ since })).toMatchObject({
      status: 409,
      body: { error: { code: 'endpoint_disabled' } },
    });
    const on = await baton.request('POST', `/v1/webhook_endpoints/${id}/enable`);
    expect([on.status, on.body]).toMatchObject([
      200,
      { status: 'enabled', disabled_reason: null, disabled_at: null },
    ]);
    expect(receiver.received('/missed')).toEqual([]);

    expect((await recover({ since: since + 3600 })).body).toMatchObject({ recovered: 0 });
    expect(await recover({ since, until: since - 1 })).toMatchObject({
      status: 400,
      body: { error: { param: 'until' } },
    });
    const { body } = await recover({ since });
    expect(body as unknown as WebhookEndpointRecoveryDto).toEqual({
      object: 'webhook_endpoint.recovery',
      webhook_endpoint_id: id,
      recovered: 12,
    });
    await receiver.waitFor('/missed', 12);
    expect(new Set(toldTo('/missed').map((event) => event.data['id']))).toEqual(new Set(jobs));
  });

  it('gets a delivery anew when it is asked for, with the same id', async () => {
    const { id } = await register('/anew');
    await baton.run({ model: 'sim/echo' });
    await receiver.waitFor('/anew', 1);
    await eventually(async () => (await deliveriesOf(id))[0]?.status === 'succeeded');
    const [delivery] = await deliveriesOf(id);
    const resend = () => baton.request('POST', `/v1/webhook_deliveries/${delivery?.id}/resend`);
    expect(await resend()).toMatchObject({ status: 200, body: { id: delivery?.id } });
    const [first, second] = await receiver.waitFor('/anew', 2);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(second?.body.equals(first?.body ?? Buffer.alloc(0))).toBe(true);
    await eventually(async () => (await deliveriesOf(id))[0]?.status === 'succeeded');
    expect((await deliveriesOf(id))[0]).toMatchObject({ try_count: 2, tries: [{ index: 0 }, { index: 1 }] });
    await openai.webhooks.delete(id);
    expect(await resend()).toMatchObject({ status: 409, body: { error: { code: 'endpoint_disabled' } } });
    for (const unknown of [toPublicId('whd', newUuid()), 'whd_nonsense']) {
      expect((await baton.request('POST', `/v1/webhook_deliveries/${unknown}/resend`)).status).toBe(404);
    }
  });

  it('that is deleted is sent nothing more', async () => {
    receiver.script('/deleted', { status: 503 });
    const { id } = await register('/deleted');
    const job = await baton.run({ model: 'sim/echo' });
    await receiver.waitFor('/deleted', 1);
    await eventually(async () => (await deliveriesOf(id))[0]?.last_error !== null);
    await openai.webhooks.delete(id);
    const { body } = await baton.request('GET', `/v1/jobs/${job.id}/deliveries`);
    expect(body['data']).toMatchObject([{ status: 'failed', webhook_endpoint_id: id, try_count: 1 }]);
  });
});

describe('The secrets', () => {
  it('of an endpoint lie sealed, and are shown when they are made and never again', async () => {
    const made = await register('/sealed');
    const secret = made.signing_secret.slice('whsec_'.length);
    const { rows } = await sql<{ secret: Buffer; whole: string }>`
      select secret, webhook_endpoints::text as whole from webhook_endpoints where id = ${toUuid('whe', made.id)}`.execute(
      db,
    );
    expect(rows[0]?.whole).not.toContain(secret);
    expect(rows[0]?.secret.includes(Buffer.from(secret, 'base64'))).toBe(false);
    expect(JSON.stringify(await endpointOf(made.id))).not.toContain(secret);
  });
});
