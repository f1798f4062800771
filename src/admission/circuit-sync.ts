import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { SoftStore } from '../queue/soft-store.js';
import type { Phase, Tally } from '../routing/circuit.js';
import { CircuitBoard, type CircuitNews, type Pass } from './circuit-board.js';
import type { CircuitId } from './circuit-id.js';
import type { LastFailure } from './circuit-view.js';
import { type FadingSums, type ModelNews, RecentAnswers } from './recent-answers.js';
import { PAGE, RELEASE_PROBE, RENEW_PROBE, SYNC, TAKE_PROBE } from './circuit-scripts.js';

const PERIOD_MS = 500;
/** What is out of the ordinary is told again this often, in case the store has lost it. */
const RETELL_MS = 30_000;
/** Other calls of the same process keep off this much longer than a probe may last. */
const PROBE_GRACE_MS = 5_000;
/** A dead worker's probe stands in the way for so long. Renew it several times in that span. */
const PROBE_HOLD_MS = 15_000;

const KEYS = ['circuits', 'circuits:changes'];

/** A circuit as the store has it. */
interface StoredCircuit {
  readonly s: string;
  readonly p: string;
  /** `term|slot` to successes and failures. */
  readonly c: Readonly<Record<string, readonly [number, number]>>;
  readonly f?: readonly [string, number];
}

/**
 * Lets all processes of a Baton share what they have met: twice a second each tells its own outcomes and changes, and
 * reads the others'. Soft: without Redis each process has its own circuits, and nothing else changes. Only the taking of
 * a probe makes a call wait for Redis.
 */
@Injectable()
export class CircuitSync implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger('Circuits');
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();
  private turn: Promise<void> = Promise.resolve();
  private cursor = '0';
  private retoldMs = performance.now();

  constructor(
    private readonly store: SoftStore,
    private readonly board: CircuitBoard,
    private readonly answers: RecentAnswers,
  ) {}

  onModuleInit(): void {
    this.loop = this.run();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  /** Tells and reads at once; resolves when it is done, or the store did not answer. Never throws. */
  sync(): Promise<void> {
    this.turn = this.turn.then(() => this.exchange()).catch((error: unknown) => this.logger.error(error));
    return this.turn;
  }

  /**
   * True if the caller may make the one call that probes the circuit, which lasts `timeoutMs` at most. The caller renews it
   * until the call is over. Asked once the circuit is half open.
   */
  async takeProbe(id: CircuitId, term: string, holder: string, timeoutMs: number): Promise<boolean> {
    // Before anything is waited for: the other calls of this process must not ask too.
    this.board.markProbed(id, this.board.nowMs() + timeoutMs + PROBE_GRACE_MS);
    const answer = await this.store.run(TAKE_PROBE, [probeKey(id, term)], [holder, PROBE_HOLD_MS]);
    return answer !== 0;
  }

  /** The probe is still under way. Never throws. */
  async renewProbe({ id, term }: Pass, holder: string): Promise<void> {
    await this.store.run(RENEW_PROBE, [probeKey(id, term)], [holder, PROBE_HOLD_MS]);
  }

  /** The probe told nothing: another call may take it. Never throws. */
  async releaseProbe(id: CircuitId, term: string, holder: string): Promise<void> {
    this.board.markProbed(id, 0);
    await this.store.run(RELEASE_PROBE, [probeKey(id, term)], [holder]);
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await this.sync();
      await sleep(PERIOD_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  private async exchange(): Promise<void> {
    if (!this.store.isShared) return;
    if (performance.now() - this.retoldMs > RETELL_MS) {
      this.board.tellAll();
      this.retoldMs = performance.now();
    }
    const circuits = this.board.takeNews();
    const models = this.answers.takeNews();
    for (let from = 0; ; from += PAGE) {
      const page = { circuits: circuits.slice(from, from + PAGE), models: models.slice(from, from + PAGE) };
      const told = JSON.stringify({ ...page, circuits: page.circuits.map(toStore) });
      const sentMs = this.board.ownMs();
      const answer = await this.store.run(SYNC, KEYS, [told, this.cursor]);
      if (!Array.isArray(answer)) return this.board.keepNews(circuits.slice(from));
      const [storeMs, cursor, isMore, ...records] = answer as [string, string, number, ...string[]];
      // The store's clock at about the middle of the question.
      this.board.aheadMs = Math.round(Number(storeMs) - (sentMs + this.board.ownMs()) / 2);
      this.cursor = cursor;
      this.learn(records);
      if (isMore !== 1 && from + PAGE >= Math.max(circuits.length, models.length)) return;
    }
  }

  private learn(records: readonly string[]): void {
    for (let at = 0; at + 1 < records.length; at += 2) {
      const [name = '', record = ''] = records.slice(at, at + 2);
      const stored: unknown = JSON.parse(record);
      if (name.startsWith('m')) {
        this.answers.learn({ model: name.slice(1), sums: stored as FadingSums } satisfies ModelNews);
      } else {
        this.board.learn(fromStore(name.slice(1), stored as StoredCircuit));
      }
    }
  }
}

function probeKey({ provider, keyId, model }: CircuitId, term: string): string {
  return `circuit-probe:${term}:${JSON.stringify([provider, keyId, model])}`;
}

function toStore({ name, stamp, phase, tallies, lastFailure }: CircuitNews): StoredCircuit & { n: string } {
  return {
    n: name,
    s: stamp,
    p: JSON.stringify(phase),
    c: Object.fromEntries(
      tallies.map(({ term, slot, successes, failures }) => [`${term}|${slot}`, [successes, failures]]),
    ),
    ...(lastFailure && { f: [lastFailure.class, lastFailure.atMs] as const }),
  };
}

function fromStore(name: string, { s, p, c, f }: StoredCircuit): CircuitNews {
  const tallies = Object.entries(c).map(([at, [successes, failures]]): Tally => {
    const [term = '', slot] = at.split('|');
    return { term, slot: Number(slot), successes, failures };
  });
  const lastFailure = f ? ({ class: f[0], atMs: f[1] } as LastFailure) : null;
  return { name, stamp: s, phase: JSON.parse(p) as Phase, tallies, lastFailure };
}
