/** The longest line of a batch's input, in bytes without its end. */
export const LINE_LIMIT = 2 ** 20;

const LF = 0x0a;
const CR = 0x0d;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
/** What may come to a line besides its own bytes: a byte order mark and a CR. */
const SLACK = BOM.length + 1;

/** A line of a file. */
export interface FileLine {
  /** Its number in the file, from 1; blank lines count. */
  readonly line: number;
  /** Without its end; null if it is longer than {@link LINE_LIMIT}: then nothing of it was kept. */
  readonly bytes: Buffer | null;
  /** The place in the file behind its end: where to go on after it. */
  readonly end: number;
}

/** Where to begin: a place behind the end of a line, and how many lines are before it. */
export interface LinePlace {
  readonly bytes: number;
  readonly lines: number;
}

/**
 * Cuts a stream of bytes into lines, at LF or CRLF; the last line needs no end, and a byte order mark at the begin of the file
 * is none of the first line's. Never holds more than one line and one piece of the stream.
 */
export async function* splitLines(
  source: AsyncIterable<Buffer>,
  from: LinePlace = { bytes: 0, lines: 0 },
): AsyncGenerator<FileLine> {
  const open = new OpenLine();
  let line = from.lines;
  let place = from.bytes;
  for await (const piece of source) {
    let at = 0;
    for (let end = piece.indexOf(LF); end >= 0; end = piece.indexOf(LF, at)) {
      line += 1;
      yield { line, bytes: open.close(piece.subarray(at, end), line === 1), end: place + end + 1 };
      at = end + 1;
    }
    open.add(piece.subarray(at));
    place += piece.length;
  }
  if (open.length > 0) yield { line: line + 1, bytes: open.close(Buffer.alloc(0), line === 0), end: place };
}

/** The begin of a line whose end has not come yet. */
class OpenLine {
  length = 0;
  private parts: Buffer[] = [];

  add(part: Buffer): void {
    if (part.length === 0) return;
    this.length += part.length;
    // A line that is too long is counted and not kept.
    if (this.length > LINE_LIMIT + SLACK) this.parts = [];
    else this.parts.push(part);
  }

  /** The whole line, and an empty one from now on. */
  close(rest: Buffer, isFirst: boolean): Buffer | null {
    this.add(rest);
    const { length } = this;
    const whole = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
    this.parts = [];
    this.length = 0;
    if (whole === undefined || whole.length < length) return null;
    const start = isFirst && whole.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0;
    const bytes = whole.subarray(start, whole.at(-1) === CR ? -1 : undefined);
    return bytes.length > LINE_LIMIT ? null : bytes;
  }
}
