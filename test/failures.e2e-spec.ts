/** Every way in which a model can fail, on the wire: each ends in its class, in the record, and at the next model. */
import { createServer } from 'node:net';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type AttemptReply, type JobReply, TestBaton } from './support/test-baton.js';
import {
  type Behaviour,
  cutChunked,
  drip,
  fail,
  garbage,
  gzipBomb,
  hang,
  huge,
  reply,
  resetAfterHeaders,
  resetBeforeHeaders,
  truncated,
} from './support/upstream-behaviours.js';

const WALL_MS = 300;
/** How much later than the wall the next model may be called. */
const SLACK_MS = 50;
/** What a busy machine may add to that now and then, when it has something else to do. */
const NOISE_MS = 100;
const MEGABYTE = 2 ** 20;

let bad: ScriptedUpstream;
let untrusted: ScriptedUpstream;
let good: ScriptedUpstream;
/** Where redirects lead. */
let elsewhere: ScriptedUpstream;
let baton: TestBaton;

beforeAll(async () => {
  bad = await ScriptedUpstream.start();
  untrusted = await ScriptedUpstream.start({ tls: true });
  good = await ScriptedUpstream.start();
  elsewhere = await ScriptedUpstream.start();
  const walled = (model: string) => ({ steps: [{ model, timeout_ms: WALL_MS }] });
  baton = await TestBaton.start({
    file: {
      providers: {
        // Each of these is called again and again although it fails, so nothing must leave them alone.
        bad: { base_url: bad.url, api_key: 'key-of-bad', protect: false },
        untrusted: { base_url: untrusted.url, protect: false },
        nobody: { base_url: `http://127.0.0.1:${await closedPort()}/v1`, protect: false },
        nowhere: { base_url: 'http://no-such-host.invalid/v1', protect: false },
        good: { kind: 'openai', base_url: good.url },
      },
      policies: { 'walled-hang': walled('bad/hang'), 'walled-drip': walled('bad/drip') },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  for (const upstream of [bad, untrusted, good, elsewhere]) await upstream.close();
});

/** A port at which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('The server had no port.');
  return address.port;
}

/** What the record must say of the attempt that failed. */
interface Expected {
  readonly class: string;
  readonly http: number | null;
  readonly sent: boolean;
  readonly retryAfterMs?: number | ((value: number | null) => boolean);
}

/** Runs a job of a model (or a policy of one) that fails and one that answers, and holds its record against what is expected. */
async function fallsBack(first: string, expected: Expected): Promise<JobReply> {
  const job = await baton.run({ models: [first, 'good/second'] });
  expect(job).toMatchObject({
    status: 'completed',
    served_by: 'good/second',
    attempt_count: 2,
    fell_back: true,
    error: null,
    attempts: [
      {
        index: 0,
        outcome: 'failed',
        class: expected.class,
        http_status: expected.http,
        sent: expected.sent,
        decision: 'next',
        decision_reason: expect.stringContaining('good/second'),
        message: expect.stringMatching(/\S/),
      },
      { index: 1, outcome: 'succeeded', class: null, http_status: 200, sent: true, decision: 'accept' },
    ],
  });
  const retryAfterMs = job.attempts[0]?.retry_after_ms ?? null;
  if (typeof expected.retryAfterMs === 'function') expect(expected.retryAfterMs(retryAfterMs)).toBe(true);
  else expect(retryAfterMs).toBe(expected.retryAfterMs ?? null);
  return job;
}

describe('A model that cannot be reached', () => {
  it.each([
    ['nobody listens', 'nobody/model'],
    ['its name does not exist', 'nowhere/model'],
    ['nobody trusts its certificate', 'untrusted/model'],
  ])('is connect_failed, not sent, and left for the next: %s', async (_name, model) => {
    await fallsBack(model, { class: 'connect_failed', http: null, sent: false });
    expect(untrusted.calls()).toHaveLength(0);
  });
});

describe('A model that does not answer in time', () => {
  it.each([
    ['hangs', 'policy/walled-hang', hang()],
    ['sends its answer drop by drop', 'policy/walled-drip', drip()],
  ])('is a timeout, and left for the next: it %s', async (_name, policy, behaviour) => {
    bad.script('hang', behaviour);
    bad.script('drip', behaviour);
    const { attempts } = await fallsBack(policy, { class: 'timeout', http: null, sent: true });
    expect(attempts[0]?.duration_ms).toBeGreaterThanOrEqual(WALL_MS);
  });

  // Measured where it matters, at the upstreams: from the arrival of the first call to that of the second. The machine may be
  // busy with other tests, so the promise itself is asked of the best of five jobs, and of each of them that it comes near;
  // and what no series of three can show is not the machine's fault. The first job of all warms up, and does not count.
  it.each([
    ['hang', hang()],
    ['drip', drip()],
  ])(`has the next one called within ${SLACK_MS} ms of the wall: %s`, async (name, behaviour) => {
    bad.script(name, behaviour);
    await gapMs(name);
    const seen: number[][] = [];
    do {
      const series: number[] = [];
      for (let run = 0; run < 5; run++) series.push(await gapMs(name));
      seen.push(series);
    } while (seen.length < 3 && !isKept(seen.at(-1) ?? []));
    expect(seen.filter(isKept).length > 0 ? 'kept' : seen).toBe('kept');
  });
});

/** Runs a job whose first call meets the wall; how long after the arrival of that call the next one's was. */
async function gapMs(name: string): Promise<number> {
  const job = await baton.run({ models: [`policy/walled-${name}`, 'good/second'] });
  const [first, second] = job.attempts.map(callOf);
  if (first === undefined || second === undefined)
    throw new Error('An attempt was not seen by its upstream.');
  return second.atMs - first.atMs;
}

function isKept(series: readonly number[]): boolean {
  const [best, worst] = [Math.min(...series), Math.max(...series)];
  return best <= WALL_MS + SLACK_MS && worst <= WALL_MS + SLACK_MS + NOISE_MS;
}

describe('A model that breaks off or talks nonsense', () => {
  const lost = { class: 'connection_lost', http: null, sent: true };
  const malformed = { class: 'malformed', http: 200, sent: true };
  const html = { 'content-type': 'text/html' };
  const cases: [string, Behaviour, Expected][] = [
    ['reset-before-headers', resetBeforeHeaders(), lost],
    ['reset-after-headers', resetAfterHeaders(), lost],
    ['truncated-body', truncated(), lost],
    ['cut-chunked-body', cutChunked(), lost],
    ['garbage', garbage(), { ...malformed, http: null }],
    ['html', reply(200, '<html><body>Welcome to nginx!</body></html>', html), malformed],
    ['half-json', reply(200, '{"id":"chatcmpl-1","choices":['), malformed],
    ['json-that-is-no-object', reply(200, '[]'), malformed],
    ['empty-choices', reply(200, { id: 'x', choices: [] }), { ...malformed, class: 'empty' }],
    ['empty-body', reply(200, ''), { ...malformed, class: 'empty' }],
    ['deep', reply(200, '['.repeat(1_000_000)), malformed],
  ];
  it.each(cases)('is told from one that refuses: %s', async (name, behaviour, expected) => {
    bad.script(name, behaviour);
    await fallsBack(`bad/${name}`, expected);
  });
});

describe('A model that refuses', () => {
  const cases: [number, string][] = [
    [400, 'invalid_request'],
    [401, 'unauthorized'],
    [402, 'quota_exhausted'],
    [403, 'unauthorized'],
    [404, 'model_not_found'],
    [408, 'timeout'],
    [413, 'invalid_request'],
    [422, 'invalid_request'],
    [429, 'rate_limited'],
    [500, 'server_error'],
    [502, 'server_error'],
    [503, 'overloaded'],
    [504, 'timeout'],
    [529, 'overloaded'],
  ];
  it.each(cases)('with %i is %s, in JSON and in HTML', async (status, failureClass) => {
    const expected = { class: failureClass, http: status, sent: true };
    bad.script(`json-${status}`, fail(status, 'It is so.'));
    const { attempts } = await fallsBack(`bad/json-${status}`, expected);
    expect(attempts[0]?.message).toContain('It is so.');
    bad.script(`html-${status}`, reply(status, '<html><h1>Bad</h1></html>', { 'content-type': 'text/html' }));
    await fallsBack(`bad/html-${status}`, expected);
  });

  const waits: [string, () => Record<string, string>, Expected['retryAfterMs']][] = [
    ['seconds', () => ({ 'retry-after': '7' }), 7000],
    ['milliseconds', () => ({ 'retry-after-ms': '1500' }), 1500],
    [
      'a date',
      () => ({ 'retry-after': new Date(Date.now() + 30_000).toUTCString() }),
      (ms) => ms !== null && ms > 15_000 && ms <= 30_000,
    ],
    ['a date that is over', () => ({ 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' }), 0],
    ['far too much', () => ({ 'retry-after': '99999999999999999999' }), 7 * 86_400_000],
    ['a negative number', () => ({ 'retry-after': '-5' }), undefined],
    ['words', () => ({ 'retry-after': 'soon' }), undefined],
  ];
  it.each(waits)('with 429 has its Retry-After read: %s', async (name, headers, retryAfterMs) => {
    const model = name.replaceAll(' ', '-');
    bad.script(model, (call, response) => fail(429, 'Slow down.', headers())(call, response));
    await fallsBack(`bad/${model}`, {
      class: 'rate_limited',
      http: 429,
      sent: true,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  });

  it.each([301, 302, 303, 307, 308])('by a redirect (%i) is not followed', async (status) => {
    const location = `${elsewhere.url}/chat/completions`;
    bad.script(`redirect-${status}`, reply(status, '', { location }));
    await fallsBack(`bad/redirect-${status}`, { class: 'malformed', http: status, sent: true });
    expect(elsewhere.calls()).toHaveLength(0);
  });
});

describe('A model that sends far too much', () => {
  // The upstream and the tests are in this process too, and its heap grows before it is swept.
  const MOST_GROWTH = 150 * MEGABYTE;

  it.each([
    ['300 MB, announced', 'huge-announced', huge(300 * MEGABYTE, true), null],
    ['300 MB, not announced', 'huge', huge(300 * MEGABYTE), null],
    ['a gzip bomb of 1 GB', 'bomb', gzipBomb(1024), 200],
  ])('is malformed, and its answer is not held in memory: %s', async (_name, model, behaviour, http) => {
    bad.script(model, behaviour);
    const before = process.memoryUsage.rss();
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
    await fallsBack(`bad/${model}`, { class: 'malformed', http, sent: true });
    clearInterval(timer);
    expect(peak - before).toBeLessThan(MOST_GROWTH);
  });
});

describe('The record', () => {
  it('has exactly the calls that the upstreams saw', async () => {
    const attempts: AttemptReply[] = [];
    let after = '';
    for (;;) {
      const { body } = await baton.request('GET', `/v1/jobs?limit=100${after}`);
      const jobs = body['data'] as JobReply[];
      for (const { id } of jobs) attempts.push(...(await baton.job(id)).attempts);
      if (body['has_more'] !== true) break;
      after = `&after=${String(body['last_id'])}`;
    }
    const sent = attempts.filter((attempt) => attempt.sent).map((attempt) => attempt.id);
    const seen = [bad, untrusted, good, elsewhere].flatMap((upstream) =>
      upstream.calls().map((call) => String(call.headers['x-baton-attempt-id'])),
    );
    expect(seen.toSorted()).toEqual(sent.toSorted());
    expect(attempts.filter((attempt) => !attempt.sent).map((attempt) => attempt.model)).toEqual(
      expect.arrayContaining(['nobody/model', 'nowhere/model', 'untrusted/model']),
    );
  });
});

/** The call of an attempt, as its upstream saw it. */
function callOf(attempt: AttemptReply) {
  const calls = [...bad.calls(), ...good.calls()];
  return calls.find((call) => call.headers['x-baton-attempt-id'] === attempt.id);
}
