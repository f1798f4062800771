/** Circuits that several processes share over Redis; and what each has when Redis is not there. */
import { randomBytes } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { CircuitBoard } from '../src/admission/circuit-board.js';
import type { CircuitId } from '../src/admission/circuit-id.js';
import { CircuitSync } from '../src/admission/circuit-sync.js';
import { RecentAnswers } from '../src/admission/recent-answers.js';
import { SoftStore, type SoftScript } from '../src/queue/soft-store.js';
import type { CallResult } from '../src/routing/call-result.js';
import type { FailureClass } from '../src/routing/failure.js';
import { PATIENT_MS } from './support/soft-store.js';

const START = 1_800_000_000_000;
const MODEL: CircuitId = { provider: 'p', keyId: 'p-1', model: 'm' };
const KEY: CircuitId = { ...MODEL, model: null };

/** What time it is in Redis, and on every machine whose clock is right. */
let nowMs = START;

class TimedStore extends SoftStore {
  override run(
    { name, lua }: SoftScript,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const time = `{ ${Math.floor(nowMs / 1_000)}, ${(nowMs % 1_000) * 1_000} }`;
    return super.run({ name, lua: lua.replace("redis.call('TIME')", time) }, keys, args);
  }
}

/** One process's share of it all. */
interface Process {
  readonly board: CircuitBoard;
  readonly sync: CircuitSync;
  readonly answers: RecentAnswers;
}

const stores: SoftStore[] = [];
let prefix: string;

async function open(
  skewMs = 0,
  redisUrl: string | null = process.env['TEST_REDIS_URL'] ?? '',
): Promise<Process> {
  const store = new TimedStore(redisUrl, prefix, PATIENT_MS);
  stores.push(store);
  await store.onModuleInit();
  const board = new CircuitBoard(() => nowMs + skewMs);
  const answers = new RecentAnswers();
  const sync = new CircuitSync(store, board, answers);
  await sync.sync();
  return { board, sync, answers };
}

beforeAll(() => Logger.overrideLogger(false));
beforeEach(() => {
  prefix = `{test-${randomBytes(6).toString('hex')}}`;
  nowMs = START;
});
afterAll(() => stores.forEach((store) => store.onApplicationShutdown()));

function result(of: 'ok' | FailureClass): CallResult {
  const called = { httpStatus: null, upstreamRequestId: null, usage: null, costMicros: null, keyId: null };
  if (of === 'ok') return { ok: true, ...called, httpStatus: 200, body: '{}' };
  return { ok: false, ...called, class: of, message: of, sent: true, retryAfterMs: null, body: null };
}

function call({ board }: Process, of: 'ok' | FailureClass, times = 1, id = MODEL): void {
  for (let count = 0; count < times; count += 1) board.leave(board.enter(id), result(of));
}

/** Each tells what it has and reads what there is, twice round. */
async function share(...all: Process[]): Promise<void> {
  for (const { sync } of [...all, ...all]) await sync.sync();
}

const states = (all: readonly Process[], id = MODEL) => all.map(({ board }) => board.view(id).state);

/** Two processes that both know of an open circuit whose time is over. */
async function halfOpen(): Promise<[Process, Process]> {
  const both: [Process, Process] = [await open(), await open()];
  call(both[0], 'timeout', 5);
  await share(...both);
  nowMs += 5_000;
  expect(states(both)).toEqual(['half_open', 'half_open']);
  return both;
}

const probe = ({ board, sync }: Process, holder: string) =>
  sync.takeProbe(MODEL, board.enter(MODEL).term, holder, 60_000);

describe('Processes that share a Redis', () => {
  it('count their failures together, and open for the same time', async () => {
    const [a, b] = [await open(), await open()];
    call(a, 'timeout', 3);
    await share(a, b);
    call(b, 'server_error');
    expect(states([a, b])).toEqual(['closed', 'closed']);
    await share(a, b);
    nowMs += 100;
    call(a, 'overloaded');
    await share(a, b);
    expect(states([a, b])).toEqual(['open', 'open']);
    const seen = {
      untilMs: nowMs + 5_000,
      class: 'overloaded',
      failures: 5,
      successes: 0,
      lastFailure: { class: 'overloaded', atMs: nowMs },
    };
    expect([a.board.view(MODEL), b.board.view(MODEL)]).toMatchObject([seen, seen]);
  });

  it('count each other’s successes too, each outcome once, however often they tell', async () => {
    const [a, b] = [await open(), await open()];
    call(a, 'ok', 6);
    call(b, 'timeout', 4);
    for (let round = 0; round < 5; round += 1) await share(a, b);
    call(b, 'timeout');
    await share(a, b);
    expect([a, b].map(({ board }) => board.view(MODEL))).toMatchObject([
      { state: 'closed', successes: 6, failures: 5 },
      { state: 'closed', successes: 6, failures: 5 },
    ]);
  });

  it('let one call of all of them probe', async () => {
    const both = await halfOpen();
    const taken = await Promise.all([...both, ...both].map((each, at) => probe(each, `call-${at}`)));
    expect(taken.filter((isOurs) => isOurs)).toHaveLength(1);
  });

  it('all close when the probe succeeds, and each lets calls in step by step', async () => {
    const [a, b] = await halfOpen();
    call(a, 'ok');
    await share(a, b);
    expect(states([a, b])).toEqual(['closed', 'closed']);
    expect([a.board.room(MODEL), b.board.room(MODEL)]).toEqual([1, 1]);
  });

  it('all stay away for longer when the probe fails', async () => {
    const [a, b] = await halfOpen();
    call(b, 'connect_failed');
    await share(a, b);
    expect([a, b].map(({ board }) => board.view(MODEL).untilMs)).toEqual([nowMs + 10_000, nowMs + 10_000]);
  });

  it('probe again when a probe told nothing', async () => {
    const [a, b] = await halfOpen();
    const pass = a.board.enter(MODEL);
    expect(await a.sync.takeProbe(MODEL, pass.term, 'first', 60_000)).toBe(true);
    expect(await probe(b, 'second')).toBe(false);
    expect(a.board.leave(pass, null)).toBe(false);
    await a.sync.releaseProbe(MODEL, pass.term, 'first');
    expect(await probe(b, 'third')).toBe(true);
  });

  it('do not give back a probe that is another’s', async () => {
    const [a, b] = await halfOpen();
    const { term } = a.board.enter(MODEL);
    expect(await a.sync.takeProbe(MODEL, term, 'first', 60_000)).toBe(true);
    await b.sync.releaseProbe(MODEL, term, 'second');
    expect(await probe(b, 'third')).toBe(false);
  });

  it('wait some seconds for a probe whose worker died, however long its call may last', async () => {
    const [a, b] = await halfOpen();
    const pass = a.board.enter(MODEL);
    const leftMs = async () => {
      const lua = "return redis.call('PTTL', KEYS[1])";
      const key = `circuit-probe:${pass.term}:${JSON.stringify(['p', 'p-1', 'm'])}`;
      return Number(await stores.at(-1)?.run({ name: 'look', lua }, [key], []));
    };
    expect(await a.sync.takeProbe(MODEL, pass.term, 'first', 86_400_000)).toBe(true);
    expect(await leftMs()).toBeLessThanOrEqual(15_000);

    // Alive, it keeps the probe, also where Redis has lost it; another's it leaves alone.
    await a.sync.releaseProbe(MODEL, pass.term, 'first');
    await a.sync.renewProbe(pass, 'first');
    expect(await leftMs()).toBeGreaterThan(5_000);
    await b.sync.renewProbe(pass, 'second');
    await b.sync.releaseProbe(MODEL, pass.term, 'second');
    expect(await probe(b, 'second')).toBe(false);
  });

  it('rest a key for all, and only for what it is', async () => {
    const [a, b] = [await open(), await open()];
    call(a, 'unauthorized', 1, KEY);
    await share(a, b);
    expect(states([a, b], KEY)).toEqual(['open', 'open']);
    expect(b.board.view(KEY)).toMatchObject({ class: 'unauthorized', untilMs: START + 60_000 });
    expect(states([a, b])).toEqual(['closed', 'closed']);
  });

  it('obey an operator, whatever happens at the same time, until it is taken back', async () => {
    const [a, b] = [await open(), await open()];
    a.board.setByHand(MODEL, 'closed', null);
    // The other has not heard of it yet, and goes through a whole life meanwhile.
    call(b, 'timeout', 5);
    nowMs += 5_000;
    call(b, 'timeout');
    nowMs += 10_000;
    call(b, 'ok');
    await share(b, a);
    expect([a, b].map(({ board }) => board.view(MODEL))).toMatchObject([
      { state: 'closed', isForced: true },
      { state: 'closed', isForced: true, cap: null },
    ]);
    b.board.setByHand(MODEL, 'auto', null);
    await share(b, a);
    expect(a.board.view(MODEL)).toMatchObject({ state: 'closed', isForced: false });
  });

  it('agree on the time, although the clock of one is an hour wrong', async () => {
    const [right, wrong] = [await open(), await open(-3_600_000)];
    call(wrong, 'timeout', 5);
    await share(right, wrong);
    expect(right.board.view(MODEL)).toMatchObject({ state: 'open', untilMs: START + 5_000, failures: 5 });
    nowMs += 5_000;
    expect(states([right, wrong])).toEqual(['half_open', 'half_open']);
  });

  it('know at the start what the others know, page by page', async () => {
    const a = await open();
    const ids = Array.from({ length: 1_200 }, (_, at) => ({ ...MODEL, model: `m-${at} "quoted" é` }));
    for (const id of ids) call(a, 'timeout', 5, id);
    await a.sync.sync();
    const late = await open();
    expect(new Set(states([late], ids[0]))).toEqual(new Set(['open']));
    expect(late.board.list('p').filter(({ state }) => state === 'open')).toHaveLength(1_200);
  });

  it('tell again what a Redis that was emptied has lost', async () => {
    const a = await open();
    a.board.setByHand(MODEL, 'open', null);
    await a.sync.sync();
    const empty = { name: 'empty', lua: "return redis.call('DEL', KEYS[1], KEYS[2])" };
    expect(await stores.at(-1)?.run(empty, ['circuits', 'circuits:changes'], [])).toBe(2);
    expect(states([await open()])).toEqual(['closed']);
    a.board.tellAll();
    await a.sync.sync();
    const c = await open();
    expect(states([c])).toEqual(['open']);
  });

  it('share how fast models answer', async () => {
    const [a, b] = [await open(), await open()];
    for (const ms of [100, 300]) a.answers.note('p/m', ms, nowMs);
    b.answers.note('p/m', 800, nowMs);
    b.answers.note('p/m', null, nowMs);
    await share(a, b);
    const mean = 400;
    expect([a, b].map(({ answers }) => Math.round(answers.meanMsOf('p/m', nowMs) ?? 0))).toEqual([
      mean,
      mean,
    ]);
    // One of four failed: a good answer takes a third longer to get.
    expect(a.answers.latencyMsOf('p/m', nowMs)).toBeCloseTo((mean * 4) / 3);
  });
});

describe('A process without Redis', () => {
  it.each([
    ['has none', null],
    ['cannot reach its own', 'redis://127.0.0.1:1'],
  ])('that %s has circuits of its own, and probes by itself', async (_, url) => {
    const [a, b] = [await open(0, url), await open(0, url)];
    call(a, 'timeout', 5);
    await share(a, b);
    expect(states([a, b])).toEqual(['open', 'closed']);
    nowMs += 5_000;
    expect(await probe(a, 'call-1')).toBe(true);
    expect(a.board.room(MODEL)).toBe(0);
    call(a, 'ok');
    expect(states([a])).toEqual(['closed']);
  });
});
