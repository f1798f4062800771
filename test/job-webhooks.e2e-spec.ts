/** What a job's end tells its `webhook_url`, through the front door of a whole Baton. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { newUuid, toPublicId } from '../src/storage/ids.js';
import { leastOf } from './support/rounds.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { createTestDatabase } from './support/test-database.js';
import { TestBaton } from './support/test-baton.js';
import { answer, hang, reply } from './support/upstream-behaviours.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

let upstream: ScriptedUpstream;
let receiver: WebhookReceiver;
let baton: TestBaton;
let secret: string;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  receiver = await WebhookReceiver.start();
  const a = { kind: 'openai', base_url: upstream.url, api_key: 'key-of-a' };
  baton = await TestBaton.start({ file: { providers: { a } } });
  secret = String((await baton.request('GET', '/v1/webhook_secret')).body['secret']);
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
  await receiver.close();
});

/** The one event that a path was told, verified. */
async function toldTo(path: string): Promise<Record<string, unknown>> {
  const [request] = await receiver.waitFor(path, 1);
  return new Webhook(secret).verify(request?.body ?? '', { ...request?.headers }) as Record<string, unknown>;
}

describe('A job with a webhook_url', () => {
  it('that completes is told within two seconds of its end', async () => {
    // One more, since finished_at is in whole seconds.
    const mostSeconds = 2 + 1;
    const seconds = await leastOf(mostSeconds, async (round) => {
      const path = `/soon-${round}`;
      const { id } = await baton.submit({ model: 'a/good' }, { webhook_url: receiver.url(path) });
      await toldTo(path);
      const ended = await baton.ended(id);
      return (receiver.received(path)[0]?.atMs ?? Infinity) / 1000 - (ended.finished_at ?? 0);
    });
    expect(seconds).toBeLessThan(mostSeconds);
  });

  it('that completes shows in its deliveries what was told', async () => {
    const job = await baton.submit(
      { model: 'a/good' },
      { webhook_url: receiver.url('/good'), metadata: { order: '17' } },
    );
    const event = await toldTo('/good');
    expect(event).toMatchObject({ type: 'job.completed', data: { id: job.id, status: 'completed' } });
    await baton.ended(job.id);

    const { status, body } = await baton.request('GET', `/v1/jobs/${job.id}/deliveries`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      object: 'list',
      has_more: false,
      data: [
        {
          object: 'webhook_delivery',
          event_id: event['id'],
          event_type: 'job.completed',
          job_id: job.id,
          try_count: 1,
        },
      ],
    });
  });

  it('that fails is told so', async () => {
    upstream.script('bad', reply(400, { error: { message: 'No.', type: 'invalid_request_error' } }));
    const job = await baton.submit({ model: 'a/bad' }, { webhook_url: receiver.url('/bad') });
    expect(await toldTo('/bad')).toMatchObject({
      type: 'job.failed',
      data: { id: job.id, status: 'failed' },
    });
  });

  it('that is cancelled is told so', async () => {
    upstream.script('slow', hang());
    const job = await baton.submit({ model: 'a/slow' }, { webhook_url: receiver.url('/cancelled') });
    expect((await baton.request('POST', `/v1/jobs/${job.id}/cancel`)).status).toBe(200);
    expect(await toldTo('/cancelled')).toMatchObject({
      type: 'job.cancelled',
      data: { id: job.id, status: 'cancelled' },
    });
  });

  it.each([
    ['http://169.254.169.254/latest/meta-data'],
    ['https://10.0.0.1/hook'],
    ['https://[::1]/hook'],
    ['ftp://example.com/hook'],
    ['/hook'],
  ])('is refused when that is %s', async (webhookUrl) => {
    const body = { request: { model: 'a/good', messages: [] }, webhook_url: webhookUrl };
    const { status, body: refusal } = await baton.request('POST', '/v1/jobs', body);
    expect(status).toBe(400);
    expect(refusal.error).toMatchObject({ code: 'url_not_allowed', param: 'webhook_url' });
  });
});

describe('Deliveries', () => {
  it('of a job without a webhook_url are none', async () => {
    const job = await baton.submit({ model: 'a/quiet' });
    await baton.ended(job.id);
    const { body } = await baton.request('GET', `/v1/jobs/${job.id}/deliveries`);
    expect(body).toEqual({ object: 'list', data: [], first_id: null, last_id: null, has_more: false });
  });

  it.each([toPublicId('job', newUuid()), 'job_nonsense', '%00'])(
    'of the unknown job %s are a 404',
    async (id) => {
      const { status, body } = await baton.request('GET', `/v1/jobs/${id}/deliveries`);
      expect(status).toBe(404);
      expect(body.error).toMatchObject({ code: 'not_found' });
    },
  );
});

it('a receiver that is registered while a job runs is told of its end', async () => {
  let answerIt = () => {};
  const isRegistered = new Promise<void>((resolve) => (answerIt = resolve));
  upstream.script('late', async (call, response) => {
    await isRegistered;
    await answer()(call, response);
  });
  const job = await baton.submit({ model: 'a/late' });
  while (upstream.calls('late').length === 0) await delay(10);
  const { body: receiving } = await baton.request('POST', '/v1/webhook_endpoints', {
    name: 'late',
    url: receiver.url('/registered-late'),
    event_types: ['job.completed'],
  });
  answerIt();
  const [request] = await receiver.waitFor('/registered-late', 1);
  await baton.request('DELETE', `/v1/webhook_endpoints/${String(receiving['id'])}`);
  const event = new Webhook(String(receiving['signing_secret'])).verify(request?.body ?? '', {
    ...request?.headers,
  });
  expect(event).toMatchObject({ type: 'job.completed', data: { id: job.id, status: 'completed' } });
});

describe('A Baton that stops', () => {
  it('cuts off a webhook that hangs after its grace, and the next one sends it again with the same id', async () => {
    const database = await createTestDatabase();
    const env = { ENCRYPTION_KEYS: randomBytes(32).toString('base64') };
    try {
      receiver.script('/stopped', 'hang', { status: 200 });
      const first = await TestBaton.start({ database, env });
      const job = await first.submit({ model: 'sim/echo' }, { webhook_url: receiver.url('/stopped') });
      await receiver.waitFor('/stopped', 1);
      const beganMs = Date.now();
      await first.stop();
      // Of the 15 s that the try might have taken.
      expect(Date.now() - beganMs).toBeLessThan(8_000);

      const second = await TestBaton.start({ database, env });
      try {
        const requests = await receiver.waitFor('/stopped', 2);
        expect(new Set(requests.map((request) => request.headers['webhook-id'])).size).toBe(1);
        expect(requests[1]?.body.toString()).toContain(job.id);
      } finally {
        await second.stop();
      }
    } finally {
      await database.drop();
    }
  });
});
