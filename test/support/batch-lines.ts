/**
 * The input of a batch, made up from a seed: the same seed makes the same bytes. Which lines are bad, and with which code they
 * must be turned away, is known before the first byte; the bytes come piece by piece and are never all in memory.
 */
import { BAD_LINES, type Flaw, type LineParts } from './bad-lines.js';
import { drawFrom } from './simulated-world.js';

export interface BatchLinesOptions {
  readonly seed: number;
  /** How many requests there are, good and bad; blank lines come on top. */
  readonly requests: number;
  /** About how large the text of a good line's message is. Default 20. */
  readonly textBytes?: number;
  /** 0 to 1: how many of the requests are bad. Default 0. */
  readonly badShare?: number;
  /** The kinds of bad lines, taken in turn. Default all. */
  readonly flaws?: readonly Flaw[];
  /** 0 to 1: before how many of the requests a blank line stands. Default 0. */
  readonly blankShare?: number;
  /** Default `sim/echo`; null for lines that name none. */
  readonly model?: string | null;
  /** Default `/v1/chat/completions`. */
  readonly endpoint?: string;
  readonly byteOrderMark?: boolean;
  /** Default LF. */
  readonly lineEnd?: '\n' | '\r\n';
  /** Whether the last line has an end. Default true. */
  readonly endsLast?: boolean;
}

/** A line that must be turned away. */
export interface BadLine {
  /** Its number in the file, from 1. */
  readonly line: number;
  readonly flaw: Flaw;
  readonly code: string;
  readonly param: string | null;
  /** What the error file must name it by; null if it has no id of its own that can be kept. */
  readonly customId: string | null;
}

export interface GoodLine {
  readonly line: number;
  readonly customId: string;
}

/** One request of the plan: good if it has no flaw. */
interface Planned {
  readonly index: number;
  readonly line: number;
  readonly isAfterBlank: boolean;
  readonly bad: BadLine | null;
}

/** Pieces of an odd length, so that lines and characters are cut anywhere. */
const PIECE_BYTES = 65_521;
const BLANKS = ['', ' ', '\t  '];

export class BatchLines implements AsyncIterable<Buffer> {
  readonly bad: BadLine[] = [];
  readonly good: GoodLine[] = [];
  private readonly plan: Planned[] = [];

  constructor(private readonly options: BatchLinesOptions) {
    const { seed, requests, badShare = 0, blankShare = 0, flaws = ALL_FLAWS } = options;
    const draw = drawFrom(seed);
    let line = 0;
    for (let index = 0; index < requests; index++) {
      const isAfterBlank = draw() < blankShare;
      line += isAfterBlank ? 2 : 1;
      const isBad = draw() < badShare;
      const flaw = isBad ? flaws[this.bad.length % flaws.length] : undefined;
      // The first line has none before it that it could repeat.
      const bad = flaw === undefined || this.good.length === 0 ? null : badLine(flaw, line, index);
      if (bad === null) this.good.push({ line, customId: idOf(index) });
      else this.bad.push(bad);
      this.plan.push({ index, line, isAfterBlank, bad });
    }
  }

  /** The text of a good line's only message. */
  textOf(index: number): string {
    const { textBytes = 20, seed } = this.options;
    const words = `${seed}-${index} naïve € 🙂 `;
    return words.repeat(Math.ceil(textBytes / Buffer.byteLength(words)));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    let rest: Buffer[] = [];
    let length = 0;
    for (const part of this.parts()) {
      rest.push(part);
      length += part.length;
      if (length < PIECE_BYTES) continue;
      const whole = Buffer.concat(rest);
      let at = 0;
      for (; at + PIECE_BYTES <= whole.length; at += PIECE_BYTES) yield whole.subarray(at, at + PIECE_BYTES);
      rest = [whole.subarray(at)];
      length = whole.length - at;
    }
    if (length > 0) yield Buffer.concat(rest);
  }

  /** All of it, for inputs that are small. */
  async bytes(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  private *parts(): Generator<Buffer> {
    const { lineEnd = '\n', endsLast = true, byteOrderMark = false } = this.options;
    const end = Buffer.from(lineEnd);
    if (byteOrderMark) yield Buffer.from('\u{feff}');
    for (const planned of this.plan) {
      if (planned.isAfterBlank) yield Buffer.from(`${BLANKS[planned.index % BLANKS.length]}${lineEnd}`);
      yield this.lineOf(planned);
      if (endsLast || planned.index < this.plan.length - 1) yield end;
    }
  }

  private lineOf({ index, bad }: Planned): Buffer {
    const { model = 'sim/echo', endpoint = '/v1/chat/completions' } = this.options;
    const text = this.textOf(index);
    const parts: LineParts = {
      custom_id: idOf(index),
      method: 'POST',
      url: endpoint,
      body: { ...(model === null ? {} : { model }), ...contentOf(endpoint, text) },
    };
    if (bad === null) return Buffer.from(JSON.stringify(parts));
    return BAD_LINES[bad.flaw].write(parts, this.good[0]?.customId ?? '');
  }
}

const ALL_FLAWS = Object.keys(BAD_LINES) as Flaw[];

function badLine(flaw: Flaw, line: number, index: number): BadLine {
  const { code, param, keepsId } = BAD_LINES[flaw];
  return { line, flaw, code, param, customId: keepsId ? idOf(index) : null };
}

function idOf(index: number): string {
  return `request-${index}`;
}

function contentOf(endpoint: string, text: string): Record<string, unknown> {
  switch (endpoint) {
    case '/v1/chat/completions':
      return { messages: [{ role: 'user', content: text }] };
    case '/v1/completions':
      return { prompt: text };
    default:
      return { input: text };
  }
}
