import { BoundedMap } from './bounded-map.js';

/** Sums over a model's calls in which the past counts less and less; they can be added, across processes too. */
export interface FadingSums {
  /** Milliseconds that the good answers took. */
  readonly goodMs: number;
  readonly good: number;
  /** Calls that showed whether the model does its work: good answers, and failures that are its own. */
  readonly all: number;
  /** Unix milliseconds as of which they hold. */
  readonly atMs: number;
}

/** Sums of one model. */
export interface ModelNews {
  readonly model: string;
  readonly sums: FadingSums;
}

interface Entry {
  readonly model: string;
  sums: FadingSums;
  untold: FadingSums | null;
}

/** After this time a call counts half. */
export const HALF_LIFE_MS = 300_000;
/** Less than this is left of one call after half an hour: too old to say anything. */
const LEAST_KNOWN = 1 / 64;
/** Slower than any model that answers. */
const ONLY_FAILS_MS = 3_600_000;
const MOST_MODELS = 2_000;

/** How fast and how surely each model answers of late, as an exponentially weighted mean. */
export class RecentAnswers {
  private readonly entries = new BoundedMap<Entry>(MOST_MODELS);

  /** Notes a call; `goodMs` is how long a good answer took, null for a failure that is the model's own. */
  note(model: string, goodMs: number | null, nowMs: number): void {
    const entry = this.entry(model, nowMs);
    const one = { goodMs: goodMs ?? 0, good: goodMs === null ? 0 : 1, all: 1, atMs: nowMs };
    entry.sums = added(entry.sums, one);
    entry.untold = entry.untold === null ? one : added(entry.untold, one);
  }

  /**
   * Milliseconds until a good answer, for whoever must choose between models: the mean of the good ones, over their share
   * of the calls, so that a model which fails half the time counts as twice as slow; {@link ONLY_FAILS_MS} for one that did
   * nothing but fail. Null if too little is known.
   */
  latencyMsOf(model: string, nowMs: number): number | null {
    const sums = this.entries.peek(model)?.sums;
    if (!sums) return null;
    const meanMs = this.meanMsOf(model, nowMs);
    if (meanMs !== null) return meanMs * (sums.all / sums.good);
    return faded(sums, nowMs).all < LEAST_KNOWN ? null : ONLY_FAILS_MS;
  }

  /** Milliseconds that a good answer takes; null if too little is known. */
  meanMsOf(model: string, nowMs: number): number | null {
    const entry = this.entries.peek(model);
    if (!entry) return null;
    const { goodMs, good } = faded(entry.sums, nowMs);
    return good < LEAST_KNOWN ? null : goodMs / good;
  }

  takeNews(): ModelNews[] {
    const news: ModelNews[] = [];
    for (const entry of this.entries.values()) {
      if (entry.untold === null) continue;
      news.push({ model: entry.model, sums: entry.untold });
      entry.untold = null;
    }
    return news;
  }

  /** What all processes together know of a model. */
  learn({ model, sums }: ModelNews): void {
    const entry = this.entry(model, sums.atMs);
    entry.sums = entry.untold === null ? sums : added(sums, entry.untold);
  }

  private entry(model: string, nowMs: number): Entry {
    const sums = { goodMs: 0, good: 0, all: 0, atMs: nowMs };
    return this.entries.use(model, () => ({ model, sums, untold: null }));
  }
}

function added(one: FadingSums, other: FadingSums): FadingSums {
  const atMs = Math.max(one.atMs, other.atMs);
  const [a, b] = [faded(one, atMs), faded(other, atMs)];
  return { goodMs: a.goodMs + b.goodMs, good: a.good + b.good, all: a.all + b.all, atMs };
}

function faded({ goodMs, good, all, atMs }: FadingSums, nowMs: number): FadingSums {
  const rest = 0.5 ** (Math.max(0, nowMs - atMs) / HALF_LIFE_MS);
  return { goodMs: goodMs * rest, good: good * rest, all: all * rest, atMs: nowMs };
}
