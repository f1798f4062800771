import {
  adopt,
  add,
  type Circuit,
  NEW_CIRCUIT,
  observe,
  type Phase,
  setByHand,
  stampOf,
  stateAt,
  type Tally,
  tallyOf,
  termOf,
} from '../routing/circuit.js';
import { type CircuitRules, KEY_RULES, MODEL_RULES, verdictOf } from '../routing/circuit-rules.js';
import type { CallResult } from '../routing/call-result.js';
import { BoundedMap } from './bounded-map.js';
import { type CircuitId, idOf, keyOf, nameOf } from './circuit-id.js';
import { type CircuitChange, type CircuitView, type LastFailure, viewOf } from './circuit-view.js';

/** One call's stay at a circuit. */
export interface Pass {
  readonly id: CircuitId;
  readonly term: string;
  readonly isProbe: boolean;
}

/** What other processes are to be told of one circuit. */
export interface CircuitNews {
  readonly name: string;
  readonly stamp: string;
  readonly phase: Phase;
  /** Outcomes that this process has not told of yet. */
  readonly tallies: readonly Tally[];
  readonly lastFailure: LastFailure | null;
}

interface Entry {
  readonly id: CircuitId;
  readonly name: string;
  readonly rules: CircuitRules;
  circuit: Circuit;
  lastFailure: LastFailure | null;
  /** Calls of this process that are under way and began in the present term. */
  running: number;
  untold: Tally[];
  isUntold: boolean;
  /** Unix milliseconds until which nobody of this process need ask for the probe: somebody has it. */
  probedUntilMs: number;
}

const MOST_CIRCUITS = 2_000;

/**
 * All circuits that this process knows of. It is memory alone: nobody waits for it, and {@link CircuitSync} tells it what
 * the other processes have met. Times are on the clock that all processes share.
 */
export class CircuitBoard {
  private readonly entries = new BoundedMap<Entry>(
    MOST_CIRCUITS,
    ({ circuit: { phase } }) => phase.state === 'open' || phase.isForced,
  );
  private readonly listeners: ((change: CircuitChange) => void)[] = [];
  /** How far the shared clock is ahead of ours; set by the sync. */
  aheadMs = 0;

  constructor(private readonly clock: () => number = Date.now) {}

  /** Unix milliseconds on the shared clock. */
  nowMs(): number {
    return this.ownMs() + this.aheadMs;
  }

  /** Unix milliseconds on the clock of this machine. */
  ownMs(): number {
    return this.clock();
  }

  onChange(listener: (change: CircuitChange) => void): void {
    this.listeners.push(listener);
  }

  /** The circuit as it stands now, also where nothing was ever heard of it. */
  view(id: CircuitId): CircuitView {
    const entry = this.entries.peek(keyOf(id));
    return entry ? this.viewOf(entry) : viewOf(id, NEW_CIRCUIT, null, this.nowMs());
  }

  /** The circuits of a provider that something was heard of. */
  list(provider: string): CircuitView[] {
    return [...this.entries.values()]
      .filter(({ id }) => id.provider === provider)
      .map((entry) => this.viewOf(entry));
  }

  /** How many more calls it lets through at once: none while it is open, one for the probe; Infinity for any number. */
  room(id: CircuitId): number {
    const entry = this.entries.peek(keyOf(id));
    if (!entry) return Infinity;
    const { cap, phase } = entry.circuit;
    switch (stateAt(phase, this.nowMs())) {
      case 'closed':
        return cap === null ? Infinity : Math.max(0, cap - entry.running);
      case 'half_open':
        return entry.probedUntilMs > this.nowMs() ? 0 : 1;
      case 'open':
        return 0;
    }
  }

  /** Notes that a call goes through. Whoever enters must {@link leave}. */
  enter(id: CircuitId): Pass {
    const entry = this.entry(id);
    const { phase } = entry.circuit;
    const isProbe = stateAt(phase, this.nowMs()) === 'half_open';
    entry.running += 1;
    return { id, term: termOf(phase), isProbe };
  }

  /** Keeps others of this process from probing until then; 0 lets them. */
  markProbed(id: CircuitId, untilMs: number): void {
    this.entry(id).probedUntilMs = untilMs;
  }

  /**
   * The call is over; `result` is null if it was not made, or says nothing of the model because we stopped it. True if the
   * call told something here; else another call may be the probe.
   */
  leave(pass: Pass, result: CallResult | null): boolean {
    const entry = this.entry(pass.id);
    if (pass.term === termOf(entry.circuit.phase)) {
      entry.running = Math.max(0, entry.running - 1);
      if (pass.isProbe) entry.probedUntilMs = 0;
    }
    const verdict = result === null ? 'neutral' : verdictOf(result, entry.rules);
    if (result === null || verdict === 'neutral') return false;
    const nowMs = this.nowMs();
    if (verdict === 'failure' && !result.ok) entry.lastFailure = { class: result.class, atMs: nowMs };
    entry.untold = add(entry.untold, tallyOf({ term: pass.term, nowMs }, verdict), nowMs);
    entry.isUntold = true;
    this.change(entry, observe(entry.circuit, { ...pass, result, nowMs }, entry.rules));
    return true;
  }

  /** What an operator says; `forMs` is null for until it is taken back. */
  setByHand(id: CircuitId, state: 'open' | 'closed' | 'auto', forMs: number | null): void {
    const entry = this.entry(id);
    const nowMs = this.nowMs();
    entry.isUntold = true;
    this.change(entry, setByHand(entry.circuit, state, nowMs, forMs === null ? null : nowMs + forMs));
  }

  /** What was not told yet; from here on it counts as told. */
  takeNews(): CircuitNews[] {
    return [...this.entries.values()]
      .filter((entry) => entry.isUntold)
      .map((entry) => {
        const { name, circuit, lastFailure, untold: tallies } = entry;
        entry.untold = [];
        entry.isUntold = false;
        return { name, stamp: stampOf(circuit.phase), phase: circuit.phase, tallies, lastFailure };
      });
  }

  /** The news did not arrive. The phases are told again; tallies might be counted twice, and are not. */
  keepNews(news: readonly CircuitNews[]): void {
    for (const { name } of news) {
      const id = idOf(name);
      const entry = id && this.entries.peek(keyOf(id));
      if (entry) entry.isUntold = true;
    }
  }

  /** Everything that is not new is to be told again: the shared store has lost it. */
  tellAll(): void {
    for (const entry of this.entries.values()) {
      entry.isUntold ||= entry.circuit.phase.era > 0 || entry.circuit.phase.turn > 0;
    }
  }

  /** What all processes together know of a circuit. */
  learn(news: CircuitNews): void {
    const id = idOf(news.name);
    if (id === null) return;
    const entry = this.entry(id);
    // What was told is in the shared tallies now; what was not is added.
    const tallies = entry.untold.reduce((sum, one) => add(sum, one, this.nowMs()), [...news.tallies]);
    if (news.lastFailure && news.lastFailure.atMs > (entry.lastFailure?.atMs ?? 0)) {
      entry.lastFailure = news.lastFailure;
    }
    this.change(entry, adopt({ ...entry.circuit, tallies }, news.phase, entry.rules, this.nowMs()));
  }

  private change(entry: Entry, circuit: Circuit): void {
    const before = entry.circuit;
    // Mostly the very same, told without a word.
    const isSame = before.phase === circuit.phase || stampOf(before.phase) === stampOf(circuit.phase);
    const shown = isSame ? null : this.viewOf(entry);
    entry.circuit = circuit;
    if (shown === null) return;
    if (termOf(before.phase) !== termOf(circuit.phase)) {
      entry.probedUntilMs = 0;
      // Calls that hang since the trouble began must not keep out those that come after it.
      entry.running = 0;
    }
    for (const listener of this.listeners) listener({ before: shown, after: this.viewOf(entry) });
  }

  private viewOf({ id, circuit, lastFailure }: Entry): CircuitView {
    return viewOf(id, circuit, lastFailure, this.nowMs());
  }

  private entry(id: CircuitId): Entry {
    return this.entries.use(keyOf(id), () => ({
      id,
      name: nameOf(id),
      rules: id.model === null ? KEY_RULES : MODEL_RULES,
      circuit: NEW_CIRCUIT,
      lastFailure: null,
      running: 0,
      untold: [],
      isUntold: false,
      probedUntilMs: 0,
    }));
  }
}
