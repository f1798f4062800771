import { Logger } from '@nestjs/common';
import type { AppConfig, CallLimits, ProviderConfig } from '../config/config.js';
import { SoftStore } from '../queue/soft-store.js';
import type { CallResult } from '../routing/call-result.js';
import type { FailureClass } from '../routing/failure.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { type Admission, AdmissionService, type Ask } from './admission.service.js';
import { CircuitBoard } from './circuit-board.js';
import { CircuitReporter } from './circuit-reporter.js';
import { CircuitSync } from './circuit-sync.js';
import { RecentAnswers } from './recent-answers.js';
import { SharedLimiter } from './shared-limiter.js';

const START = 1_800_000_000_000;

let nowMs: number;
let count = 0;
const open: AdmissionService[] = [];

beforeAll(() => Logger.overrideLogger(false));
beforeEach(() => {
  nowMs = START;
});
afterEach(() => open.splice(0).forEach((each) => each.onApplicationShutdown()));

/** The gates of a process that has nobody to share with. */
function start({ keys = 1, limits }: { keys?: number; limits?: CallLimits }) {
  const apiKeys = Array.from({ length: keys }, (_, n) => ({ id: `p-${n}`, secret: `s-${n}` }));
  const provider: ProviderConfig = {
    name: 'p',
    kind: 'openai',
    baseUrl: 'http://p',
    apiKeys,
    protect: true,
    ...(limits && { limits }),
  };
  const config = { providers: new Map([['p', provider]]), models: new Map() } as unknown as AppConfig;
  const store = new SoftStore(null, 'test');
  const board = new CircuitBoard(() => nowMs);
  const answers = new RecentAnswers();
  const sync = new CircuitSync(store, board, answers);
  const metrics = new MetricsService();
  new CircuitReporter(config, board, metrics);
  const admission = new AdmissionService(config, board, sync, answers, new SharedLimiter(store), metrics);
  open.push(admission);
  return { admission, metrics };
}

function ask(over: Partial<Ask> = {}): Ask {
  count += 1;
  return {
    model: 'p/m',
    tokens: 10,
    avoidKeyIds: [],
    attemptId: `call-${count}`,
    timeoutMs: 60_000,
    ...over,
  };
}

function result(of: 'ok' | FailureClass): CallResult {
  const called = { httpStatus: null, upstreamRequestId: null, usage: null, costMicros: null, keyId: null };
  if (of === 'ok') return { ok: true, ...called, httpStatus: 200, body: '{}' };
  return { ok: false, ...called, class: of, message: of, sent: true, retryAfterMs: null, body: null };
}

/** The permit of one that was let through. */
function permitOf(admission: Admission) {
  if (!admission.ok) throw new Error(admission.message);
  return admission.permit;
}

async function calls(admission: AdmissionService, of: 'ok' | FailureClass, times: number): Promise<void> {
  for (let done = 0; done < times; done += 1) {
    admission.settle(permitOf(await admission.admit(ask())), result(of));
  }
}

const many = (admission: AdmissionService, asked: number, over: Partial<Ask> = {}) =>
  Promise.all(Array.from({ length: asked }, () => admission.admit(ask(over))));

const letThrough = (all: readonly Admission[]) => all.filter(({ ok }) => ok).length;

test.each<[string, CallLimits | undefined]>([
  ['without limits', undefined],
  ['with limits', { rpm: 6_000, concurrency: 50 }],
])('of calls that ask in the same moment one probes, %s', async (_, limits) => {
  const { admission } = start({ ...(limits && { limits }) });
  await calls(admission, 'server_error', 5);
  expect(letThrough(await many(admission, 3))).toBe(0);
  nowMs += 5_000;
  expect(letThrough(await many(admission, 10))).toBe(1);
});

test.each<[string, CallLimits | undefined]>([
  ['without limits', undefined],
  ['with limits', { rpm: 6_000, concurrency: 50 }],
])('keys share calls that ask in the same moment evenly, %s', async (_, limits) => {
  const { admission } = start({ keys: 3, ...(limits && { limits }) });
  const keyIds = (await many(admission, 30)).map((each) => permitOf(each).keyId);
  expect([0, 1, 2].map((n) => keyIds.filter((id) => id === `p-${n}`).length)).toEqual([10, 10, 10]);
});

test('calls that hang since before the trouble do not hold up the recovery', async () => {
  const { admission } = start({});
  await many(admission, 40);
  await calls(admission, 'timeout', 5);
  nowMs += 5_000;
  await calls(admission, 'ok', 1);
  // The first to come after the probe, then two, then eight.
  await calls(admission, 'ok', 1);
  expect(letThrough(await many(admission, 10))).toBe(2);
});

test('a call that hung since before the trouble takes nobody’s place when it ends', async () => {
  const { admission } = start({});
  const hung = permitOf(await admission.admit(ask()));
  await calls(admission, 'timeout', 5);
  nowMs += 5_000;
  await calls(admission, 'ok', 1);
  expect(letThrough(await many(admission, 3))).toBe(1);
  admission.settle(hung, result('ok'));
  expect(letThrough(await many(admission, 3))).toBe(0);
});

test.each([1_000_000_000, Number.MAX_SAFE_INTEGER * 1_000, Infinity])(
  'a call that may use %d tokens keeps the others out for a minute at most, also if nobody knows what it used',
  async (tokens) => {
    const { admission } = start({ limits: { tpm: 6_000 } });
    const huge = permitOf(await admission.admit(ask({ tokens })));
    for (const settled of [false, true]) {
      if (settled) admission.settle(huge, result('timeout'));
      const next = await admission.admit(ask());
      expect(next).toMatchObject({ ok: false, class: 'locally_limited' });
      expect(next.ok ? 0 : next.retryAfterMs).toBeLessThanOrEqual(60_000);
    }
  },
);

test('what a call is known to have used is paid for, however little was taken for it', async () => {
  const { admission } = start({ limits: { tpm: 6_000 } });
  const huge = permitOf(await admission.admit(ask({ tokens: 1_000_000 })));
  const usage = { inputTokens: 60_000, outputTokens: 0, totalTokens: 60_000 };
  admission.settle(huge, { ...result('ok'), usage } as CallResult);
  await Promise.resolve();
  const next = await admission.admit(ask());
  expect(next.ok ? 0 : next.retryAfterMs).toBeGreaterThan(580_000);
});

test('the metric tells of what is open now, also where nobody calls any more', async () => {
  const { admission, metrics } = start({});
  await calls(admission, 'server_error', 5);
  const line = async () =>
    (await metrics.expose()).text.match(/baton_open_circuits\{.*of="model"\} (\d+)/)?.[1];
  expect(await line()).toBe('1');
  nowMs += 5_000;
  expect(await line()).toBe('0');
});

test('who waits for a place among calls at once is called when one comes free, and not before', async () => {
  const { admission } = start({ limits: { concurrency: 2 } });
  const called: number[] = [];
  admission.onRoom((_, room) => Promise.resolve(void called.push(room)).then(() => room));
  const [first] = await many(admission, 2);
  for (const refused of await many(admission, 5)) {
    if (!refused.ok && refused.parkOn) admission.park(refused.parkOn);
  }
  expect(called).toEqual([]);
  admission.settle(permitOf(first as Admission), result('ok'));
  expect(called).toEqual([1]);
});

test('the end of a call of another model calls nobody, unless they share a limit', async () => {
  const { admission } = start({});
  const called: string[] = [];
  admission.onRoom((model) => Promise.resolve(called.push(model)));
  admission.park({ model: 'p/waited-for', since: 0 });
  await calls(admission, 'ok', 3);
  expect(called).toEqual([]);

  const limited = start({ limits: { concurrency: 1 } }).admission;
  limited.onRoom((model) => Promise.resolve(called.push(model)));
  limited.park({ model: 'p/waited-for', since: 0 });
  await calls(limited, 'ok', 1);
  expect(called).toEqual(['p/waited-for']);
});
