/** Requests are refused at the door while there is too much to do: before their body is read, at next to no cost. */
import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { TEST_KEY, TestBaton } from './support/test-baton.js';

const JOB = { request: { model: 'sim/echo', messages: [{ role: 'user', content: 'Hi' }] } };
const MIB = 1024 * 1024;
const REFUSED = 'baton_requests_refused_total{reason="database"}';
let baton: TestBaton;
let locker: Client;

afterEach(async () => {
  await locker.end();
  await baton.stop();
});

async function start(env: Record<string, string>): Promise<void> {
  // It runs nothing, so that the lock below holds requests alone.
  baton = await TestBaton.start({ env: { ROLES: 'api', ...env } });
  locker = new Client({ connectionString: baton.database.url });
  await locker.connect();
}

const lock = () => locker.query('begin; lock table jobs in access exclusive mode');
const unlock = () => locker.query('commit');
const post = () => baton.request('POST', '/v1/jobs', JOB);

/** The value of a metric; 0 if there is none. */
async function metric(name: string): Promise<number> {
  const { text } = await baton.request('GET', '/metrics');
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}

async function untilMetric(name: string, value: number): Promise<void> {
  const endMs = Date.now() + 10_000;
  while ((await metric(name)) !== value) {
    if (Date.now() > endMs) throw new Error(`${name} did not become ${value}: ${await metric(name)}`);
    await delay(20);
  }
}

function expectRefused(reply: Awaited<ReturnType<typeof post>>): void {
  expect(reply.status).toBe(503);
  expect(reply.body.error).toMatchObject({ code: 'overloaded', type: 'server_error', param: null });
  expect(reply.headers.get('retry-after')).toBe('1');
  expect(reply.headers.get('x-request-id')).toMatch(/^req_/);
}

it('takes no more requests than may be worked on at once, and answers health, metrics and docs all the same', async () => {
  await start({ MAX_REQUESTS_IN_FLIGHT: '3' });
  await post();
  await lock();
  const held = [post(), post(), post()];
  await untilMetric('baton_requests_in_flight', 3);
  expectRefused(await post());
  expectRefused(await baton.request('GET', '/v1/jobs'));
  // Refused before anybody looks at the key.
  expectRefused(await baton.request('GET', '/v1/jobs', undefined, { authorization: 'Bearer wrong' }));
  for (const path of ['/livez', '/readyz', '/metrics', '/docs', '/openapi.json']) {
    expect([path, (await baton.request('GET', path)).status]).toEqual([path, 200]);
  }
  expect((await baton.request('GET', '/nothing')).status).toBe(404);
  await unlock();
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual([202, 202, 202]);
  expect((await post()).status).toBe(202);
  expect(await metric('baton_requests_refused_total{reason="requests"}')).toBe(3);
});

it('those that only wait, stream or upload keep nobody out', async () => {
  await start({ MAX_REQUESTS_IN_FLIGHT: '2' });
  const { id } = (await post()).body;
  const waits: Socket[] = [];
  let answered = 0;
  for (let n = 0; n < 10; n++) {
    const wait = unfinished('GET', `/v1/jobs/${String(id)}?wait=60`);
    waits.push(wait.on('data', () => (answered += 1)));
    await delay(50);
    await untilMetric('baton_requests_in_flight', 0);
  }
  const requests = [{ custom_id: 'a', body: JOB.request }];
  const batch = await baton.request('POST', '/v1/batches', {
    requests,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  const streams: Socket[] = [];
  for (let n = 0; n < 5; n++) {
    const stream = unfinished('GET', `/v1/batches/${String(batch.body['id'])}/events`);
    streams.push(stream);
    const [head] = (await once(stream, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1.1 200 /);
  }
  const uploads = Array.from({ length: 4 }, () =>
    unfinished('POST', '/v1/files', 'multipart/form-data; boundary=b', 1000),
  );
  await delay(200);
  await untilMetric('baton_requests_in_flight', 0);
  expect((await post()).status).toBe(202);
  expect(answered).toBe(0);
  for (const socket of [...waits, ...uploads, ...streams]) socket.destroy();
});

it('senders who take their time over a body keep nobody out, but for the memory that their bodies may take', async () => {
  await start({ MAX_REQUESTS_IN_FLIGHT: '2' });
  const slow = Array.from({ length: 31 }, () => unfinished('POST', '/v1/jobs', 'application/json', 4 * MIB));
  await Promise.all(slow.map((socket) => new Promise((resolve) => socket.write('{', resolve))));
  await delay(200);
  expect((await post()).status).toBe(202);
  const last = unfinished('POST', '/v1/jobs', 'application/json', 4 * MIB);
  const refused = JSON.stringify({ request: { ...JOB.request, user: 'x'.repeat(MIB) } });
  const endMs = Date.now() + 10_000;
  let reply = await baton.request('POST', '/v1/jobs', refused);
  while (reply.status !== 503 && Date.now() < endMs) reply = await baton.request('POST', '/v1/jobs', refused);
  expectRefused(reply);
  expect((await baton.request('GET', '/v1/jobs')).status).toBe(200);
  for (const socket of [...slow, last]) socket.destroy();
  const later = Date.now() + 10_000;
  while (reply.status !== 202 && Date.now() < later) reply = await baton.request('POST', '/v1/jobs', refused);
  expect(reply.status).toBe(202);
});

it('lets nobody in behind a line for database connections that does not move', async () => {
  await start({ MAX_REQUESTS_IN_FLIGHT: '100' });
  await post();
  await lock();
  const held: ReturnType<typeof post>[] = [];
  while ((await metric(REFUSED)) === 0) {
    // With a key each has a transaction of its own; without, all of them would be written by one.
    held.push(baton.request('POST', '/v1/jobs', JOB, { 'idempotency-key': `job-${held.length}` }));
    await delay(20);
  }
  expectRefused(await baton.request('GET', '/v1/batches'));
  await unlock();
  const replies = await Promise.all(held);
  // All connections were taken, and a line had formed.
  expect(replies.filter(({ status }) => status === 202).length).toBeGreaterThan(20);
  for (const reply of replies.filter(({ status }) => status !== 202)) expectRefused(reply);
  expect((await post()).status).toBe(202);
  expect(await metric('baton_pg_pool_wait_seconds_count')).toBeGreaterThan(20);
});

it('the connection of a request that was refused in the middle of its body goes on', async () => {
  await start({ MAX_REQUESTS_IN_FLIGHT: '1' });
  await post();
  await lock();
  const held = post();
  await untilMetric('baton_requests_in_flight', 1);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  const send = (body: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const sent = httpRequest(
        `${baton.url}/v1/jobs`,
        {
          method: 'POST',
          agent,
          headers: { 'content-type': 'application/json', authorization: `Bearer ${TEST_KEY}` },
        },
        (reply) => {
          sockets.add(reply.socket);
          reply.resume().once('end', () => resolve(reply.statusCode));
        },
      );
      sent.once('error', reject).end(body);
    });
  const large = JSON.stringify({ request: { ...JOB.request, user: 'x'.repeat(3 * MIB) } });
  expect(await send(large)).toBe(503);
  await unlock();
  await held;
  expect(await send(large)).toBe(202);
  expect(sockets.size).toBe(1);
  agent.destroy();
});

/** A request whose body, or whose reply, does not come to its end. */
function unfinished(method: 'GET' | 'POST', path: string, type = '', bytes = 0): Socket {
  const { hostname, port } = new URL(baton.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined).resume();
  const lines = [`${method} ${path} HTTP/1.1`, 'host: baton', `authorization: Bearer ${TEST_KEY}`];
  if (method === 'POST') lines.push(`content-type: ${type}`, `content-length: ${bytes}`);
  socket.write([...lines, '', ''].join('\r\n'));
  return socket;
}
