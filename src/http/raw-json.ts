import { randomBytes } from 'node:crypto';

/** The texts that one call of {@link stringifyWithRaw} has met, and the mark that stands for them meanwhile. */
interface Collection {
  mark: string;
  texts: string[];
}

let current: Collection | null = null;

const MARK_BYTES = 12;
/** Random bytes for many marks: to ask for a few at a time costs more than all the rest of a small reply. */
let randoms = Buffer.alloc(0);
let usedRandoms = 0;

function newMark(): string {
  if (usedRandoms === randoms.length) {
    randoms = randomBytes(MARK_BYTES * 512);
    usedRandoms = 0;
  }
  return randoms.toString('hex', usedRandoms, (usedRandoms += MARK_BYTES));
}

/** JSON text that goes into a reply as it is, byte for byte. It must be one valid JSON value. */
export class RawJson {
  constructor(readonly text: string) {}

  /** For JSON.stringify alone: inside {@link stringifyWithRaw} a mark, elsewhere the value. */
  toJSON(): unknown {
    if (current === null) return JSON.parse(this.text);
    // The mark is new in each call, so nothing that a user wrote can hold it.
    if (current.texts.length === 0) current.mark = newMark();
    current.texts.push(this.text);
    return `${current.mark}:${current.texts.length - 1}`;
  }
}

/** As JSON.stringify, with every {@link RawJson} inside written out verbatim. Linear in the length of the result. */
export function stringifyWithRaw(value: unknown): string {
  const outer = current;
  const mine: Collection = { mark: '', texts: [] };
  current = mine;
  try {
    const json = JSON.stringify(value);
    if (mine.texts.length === 0) return json;
    // Put together piece by piece, which copies none of them; replacing would copy all.
    const start = `"${mine.mark}:`;
    let whole = '';
    let from = 0;
    for (let at = json.indexOf(start); at !== -1; at = json.indexOf(start, from)) {
      const end = json.indexOf('"', at + start.length);
      whole += json.slice(from, at) + (mine.texts[Number(json.slice(at + start.length, end))] ?? 'null');
      from = end + 1;
    }
    return whole + json.slice(from);
  } finally {
    current = outer;
  }
}
