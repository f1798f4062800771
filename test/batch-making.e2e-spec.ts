/** The making of batches: what is refused and with which error, sent twice and made once, and how many there may be at once. */
import { BatchClient, type BatchReply, chat, chats, toJsonl } from './support/batch-client.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type Reply, TestBaton } from './support/test-baton.js';
import { answer, hang } from './support/upstream-behaviours.js';

const MOST_ACTIVE = 4;

let upstream: ScriptedUpstream;
let baton: TestBaton;
let batches: BatchClient;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    env: { BATCH_MAX_ACTIVE: String(MOST_ACTIVE) },
    file: { providers: { a: { base_url: upstream.url, api_key: 'key-of-a', protect: false } } },
  });
  batches = new BatchClient(baton);
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

function post(fields: object, idempotencyKey?: string): Promise<Reply> {
  const body = { endpoint: '/v1/chat/completions', completion_window: '24h', ...fields };
  return baton.request('POST', '/v1/batches', body, {
    ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
  });
}

describe('a batch is refused', () => {
  const request = chat('a', 'sim/echo');

  const noWindows = ['14m', '8d', '24', '1w', '24H', ' 24h', '1.5h', '-1h', '0h', ''];
  const NOBODYS = '00000000000000000000000000';

  it.each<[string, Record<string, unknown>, string, string]>([
    ['neither a file nor requests', { requests: undefined }, 'missing_field', 'input_file_id'],
    ['both', { input_file_id: `file-${NOBODYS}` }, 'invalid_value', 'input_file_id'],
    ['no requests', { requests: [] }, 'invalid_value', 'requests'],
    [
      'too many requests',
      { requests: Array.from({ length: 10_001 }, () => request) },
      'invalid_value',
      'requests',
    ],
    ['requests that are no list', { requests: request }, 'invalid_value', 'requests'],
    ['an endpoint that is not there', { endpoint: '/v1/moderations' }, 'invalid_value', 'endpoint'],
    ['no endpoint', { endpoint: undefined }, 'missing_field', 'endpoint'],
    ['no window', { completion_window: undefined }, 'missing_field', 'completion_window'],
    ...noWindows.map((window): [string, Record<string, unknown>, string, string] => [
      `the window '${window}'`,
      { completion_window: window },
      'invalid_value',
      'completion_window',
    ]),
    ['a wrong share of errors', { max_error_rate: 1.5 }, 'invalid_value', 'max_error_rate'],
    ['a wrong cost', { max_cost_usd: -1 }, 'invalid_value', 'max_cost_usd'],
    ['a wrong priority', { priority: 'urgent' }, 'invalid_value', 'priority'],
    ['metadata that is too long', { metadata: { a: 'x'.repeat(513) } }, 'invalid_value', 'metadata'],
    ['a webhook to nowhere', { webhook_url: 'http://10.0.0.1/' }, 'url_not_allowed', 'webhook_url'],
    ['a slip of the pen', { max_cost: 1 }, 'unknown_field', 'max_cost'],
    [
      'outputs that live too short',
      { output_expires_after: { anchor: 'created_at', seconds: 3599 } },
      'invalid_value',
      'output_expires_after.seconds',
    ],
    [
      'outputs with another anchor',
      { output_expires_after: { anchor: 'now', seconds: 3600 } },
      'invalid_value',
      'output_expires_after.anchor',
    ],
  ])('with 400 for %s', async (_, fields, code, param) => {
    const { status, body } = await post({ requests: [request], ...fields });
    expect([status, body.error?.['code'], body.error?.['param']]).toEqual([400, code, param]);
  });

  it.each<[string, Record<string, unknown>, string, string]>([
    ['a file', { input_file_id: `file-${NOBODYS}` }, 'not_found', 'input_file_id'],
    ['an id of something else', { input_file_id: `job_${NOBODYS}` }, 'not_found', 'input_file_id'],
    ['a model', { requests: [request], model: 'nobodys/x' }, 'unknown_model', 'model'],
    ['a policy', { requests: [request], model: 'policy/nobodys' }, 'unknown_policy', 'model'],
  ])('with 404 for %s that is not there', async (_, fields, code, param) => {
    const { status, body } = await post(fields);
    expect([status, body.error?.['code'], body.error?.['param']]).toEqual([404, code, param]);
  });

  it('for a file of another purpose', async () => {
    const file = await batches.upload(toJsonl([request]), 'user_data');
    const refusal = await post({ input_file_id: file });
    expect(refusal.status).toBe(400);
    expect(refusal.body.error).toMatchObject({ code: 'invalid_value', param: 'input_file_id' });
    expect(refusal.body.error?.['message']).toContain('user_data');
  });

  it.each(['15m', '900m', '1h', '36h', '7d'])('but not for the window %s', async (window) => {
    const batch = await batches.create({ requests: [request], completion_window: window });
    const seconds =
      Number.parseInt(window, 10) * { m: 60, h: 3600, d: 86_400 }[window.slice(-1) as 'm' | 'h' | 'd'];
    expect(batch).toMatchObject({ completion_window: window, expires_at: batch.created_at + seconds });
    await batches.ended(batch.id);
  });
});

describe('making a batch', () => {
  it('twice with the same key makes one, and gives the first reply again', async () => {
    upstream.script('once', answer());
    const body = { requests: chats(2, 'a/once') };
    const first = await post(body, 'same');
    const ended = await batches.ended(String(first.body['id']));
    const files = async () => (await baton.request('GET', '/v1/files?purpose=batch&limit=100')).body['data'];
    const before = await files();
    const again = await post(body, 'same');
    expect([again.status, again.text]).toEqual([200, first.text]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(await files()).toEqual(before);
    expect(ended.request_counts.completed).toBe(2);
    expect(upstream.calls('once')).toHaveLength(2);
  });

  it('many times at once with the same key makes one', async () => {
    const body = { requests: chats(2, 'sim/echo') };
    const replies = await Promise.all(Array.from({ length: 10 }, () => post(body, 'at-once')));
    const ids = new Set(replies.map((each) => each.body['id']));
    expect([...ids]).toEqual([expect.stringMatching(/^batch_/)]);
    expect(replies.filter((each) => each.headers.get('idempotent-replayed') === null)).toHaveLength(1);
    await batches.ended(String([...ids][0]));
  });

  it('with the key of another is refused', async () => {
    await batches.ended(String((await post({ requests: chats(1, 'sim/echo') }, 'taken')).body['id']));
    const refusal = await post({ requests: chats(2, 'sim/echo') }, 'taken');
    expect(refusal.status).toBe(422);
    expect(refusal.body.error).toMatchObject({ code: 'idempotency_mismatch' });
  });

  it('is refused for a while when too many have not ended, and possible again when one has', async () => {
    upstream.script('held', hang());
    const open: BatchReply[] = [];
    for (let i = 0; i < MOST_ACTIVE; i++) open.push(await batches.create({ requests: chats(1, 'a/held') }));
    const refusal = await post({
      requests: chats(1, 'sim/echo'),
    });
    expect(refusal.status).toBe(429);
    expect(refusal.body.error).toMatchObject({ type: 'rate_limit_error' });
    expect(Number(refusal.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    for (const { id } of open) await batches.post(`${id}/cancel`);
    for (const { id } of open) expect((await batches.ended(id)).status).toBe('cancelled');
    expect((await batches.run({ requests: chats(1, 'sim/echo') })).status).toBe('completed');
  });
});
