/** Bodies up to the limit: passed on as they came, and nobody waits for them. */
import { BatchClient } from './support/batch-client.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { TestBaton } from './support/test-baton.js';
import { answer } from './support/upstream-behaviours.js';

let upstream: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    file: { providers: { up: { kind: 'openai', base_url: upstream.url, api_key: 'a-key' } } },
  });
});
afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

const padding = 'ü'.repeat(1024 * 1024);

it('a large request is kept as it came, and runs', async () => {
  upstream.script('large', answer('Done.'));
  const request = `{ "model" : "up/large",\n "messages": [{"role":"user","content":"${padding}"}], "seed": 1.0 }`;
  const reply = await baton.request('POST', '/v1/jobs', `{"metadata": {"a": "b"}, "request": ${request}}`);
  expect(reply.status).toBe(202);
  expect(reply.text).toContain(request);
  const job = await baton.ended(String(reply.body['id']));
  expect(job).toMatchObject({ status: 'completed', model: 'up/large', metadata: { a: 'b' } });
  const [call] = upstream.calls('large');
  expect(JSON.stringify(call?.body)).toContain(padding);
});

it('a large request may be repeated with its Idempotency-Key, and not changed', async () => {
  const body = (x: string) =>
    `{"request": {"model": "sim/echo", "x": "${x}", "messages": [{"role":"user","content":"${padding}"}]}}`;
  const headers = { 'idempotency-key': 'large' };
  const first = await baton.request('POST', '/v1/jobs', body('a'), headers);
  const again = await baton.request('POST', '/v1/jobs', body('a'), headers);
  expect([first.status, again.status, again.text]).toEqual([202, 202, first.text]);
  const other = await baton.request('POST', '/v1/jobs', body('b'), headers);
  expect([other.status, other.body.error?.['code']]).toEqual([422, 'idempotency_mismatch']);
});

it('what is wrong with a large request is told as of a small one', async () => {
  const messages = `"messages": [{"role":"user","content":"${padding}"}]`;
  const post = async (body: string) => (await baton.request('POST', '/v1/jobs', body)).body.error;
  expect(await post(`{"request": {"model": "none/x", ${messages}}}`)).toMatchObject({
    code: 'unknown_model',
    param: 'request.model',
  });
  expect(await post(`{"request": {"model": "sim/echo", "stream": true, ${messages}}}`)).toMatchObject({
    code: 'invalid_value',
    param: 'request.stream',
  });
  expect(await post(`{"request": {"model": "sim/echo", ${messages}}, "webhook": "x"}`)).toMatchObject({
    code: 'unknown_field',
    param: 'webhook',
  });
  expect(await post(`{"request": {"model": "sim/echo", ${messages}}`)).toMatchObject({
    code: 'invalid_json',
  });
});

it('a batch of a large body has a line for each request, however it is written', async () => {
  const requests = Array.from({ length: 1_500 }, (_, n) => ({
    custom_id: `line-${n}`,
    body: { model: 'sim/echo', messages: [{ role: 'user', content: `Number ${n}` }] },
  }));
  const whole = { requests, endpoint: '/v1/chat/completions', completion_window: '24h' };
  const reply = await baton.request('POST', '/v1/batches', JSON.stringify(whole, null, 1));
  expect(reply.status).toBe(200);
  const content = await baton.request('GET', `/v1/files/${String(reply.body['input_file_id'])}/content`);
  const lines = content.text.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
    requests.map((request) => ({ method: 'POST', url: '/v1/chat/completions', ...request })),
  );
  const batches = new BatchClient(baton);
  expect(await batches.ended(String(reply.body['id']), 100_000)).toMatchObject({
    status: 'completed',
    request_counts: { total: 1_500, completed: 1_500 },
  });
}, 120_000);
