/**
 * How many tokens a text is likely to be, without any model's vocabulary: by counting words, figures, signs and the letters
 * of each script. Bounded work: of long texts only evenly spread parts are read, and the whole is reckoned from them.
 */

/** A text, and how many of its like it stands for where only some of many were taken. */
export interface SampledText {
  readonly text: string;
  readonly standsFor: number;
}

/** About so many characters are read at most, in parts of this length; all of them where there are no more. */
const MOST_READ = 131_072;
const PART_LENGTH = 1_024;

/** The likely tokens of all these texts together; not rounded. */
export function textTokens(texts: readonly SampledText[]): number {
  const length = texts.reduce((sum, { text }) => sum + text.length, 0);
  const stride = PART_LENGTH * Math.max(1, length / MOST_READ);
  let whole = 0;
  let read = 0;
  let tokens = 0;
  let offset = 0; // Of the text, were all of them laid end to end.
  for (const { text, standsFor } of texts) {
    for (let from = 0; from < text.length;) {
      const intoStride = (offset + from) % stride;
      if (intoStride < PART_LENGTH) {
        const to = Math.min(text.length, Math.ceil(from + PART_LENGTH - intoStride));
        tokens += standsFor * partTokens(text, from, to);
        read += standsFor * (to - from);
        from = to;
      } else {
        from += Math.ceil(stride - intoStride);
      }
    }
    whole += standsFor * text.length;
    offset += text.length;
  }
  return read === 0 ? 0 : (tokens * whole) / read;
}

/** The kinds of characters that make runs: blanks, line ends, words, figures, signs; what is not ASCII is weighed by itself. */
type Kind = 'space' | 'break' | 'small' | 'capital' | 'digit' | 'sign' | 'other';

const ASCII: readonly Kind[] = Array.from({ length: 128 }, (_, code) => {
  const char = String.fromCharCode(code);
  if (/[a-z]/.test(char)) return 'small';
  if (/[A-Z]/.test(char)) return 'capital';
  if (/[0-9]/.test(char)) return 'digit';
  if (/[\r\n]/.test(char)) return 'break';
  return code <= 32 ? 'space' : 'sign';
});

/** The tokens of `text` from one index up to another, in one pass. */
function partTokens(text: string, from: number, to: number): number {
  let tokens = 0;
  let kind: Kind = 'break';
  let run = 0; // How many characters of this kind came in a row, with this one.
  let alike = 0; // How often this very character came before it in a row.
  for (let index = from; index < to; index++) {
    const code = text.charCodeAt(index);
    alike = index > from && code === text.charCodeAt(index - 1) ? alike + 1 : 0;
    const last = kind;
    kind = ASCII[code] ?? 'other';
    if (kind === 'other') {
      tokens += alike < LONG_ROW ? otherTokens(code) : ROW_TOKENS;
      // An accented letter belongs to the word around it.
      if (code >= 0xc0 && code < 0x250 && (last === 'small' || last === 'capital')) kind = 'small';
      else continue;
    }
    run = kind === last || (kind === 'small' && last === 'capital') ? run + 1 : 1;
    tokens += alike < LONG_ROW ? runTokens(kind, run, last) : ROW_TOKENS;
  }
  return tokens;
}

/** Vocabularies have tokens for long rows of one sign or blank (rules, indentation): after the first few they cost little. */
const LONG_ROW = 3;
const ROW_TOKENS = 1 / 32;

/** What the `run`th ASCII character of its kind in a row adds, where `last` is the kind before it. */
function runTokens(kind: Kind, run: number, last: Kind): number {
  switch (kind) {
    case 'small': // Words of up to five letters are mostly one token, with the blank before them.
      return run === 1 ? 1 : run > 5 ? 0.25 : 0;
    case 'capital':
      return run === 1 ? 1 : 0.35;
    case 'digit': // Figures go by threes, and no blank goes with them.
      return (run % 3 === 1 ? 1 : 0) + (run === 1 && last === 'space' ? 1 : 0);
    case 'sign':
      return run === 1 ? 0.8 : 0.3;
    case 'space':
      return run === 2 ? 0.7 : 0;
    case 'break':
      return run === 1 ? 0.5 : 0;
    case 'other':
      return 0;
  }
}

/** The last code of a block of Unicode, and how many tokens a UTF-16 unit of it is on average. */
const BLOCKS: readonly (readonly [number, number])[] = [
  [0x024f, 0.22], // accented Latin, on top of its word
  [0x05ff, 0.3], // Greek, Cyrillic, Hebrew
  [0x08ff, 0.34], // Arabic
  [0x10ff, 0.42], // India, Thailand and around
  [0x1dff, 0.55],
  [0x1eff, 0.22], // Vietnamese
  [0x206f, 0.6], // typographic signs
  [0x2fff, 1],
  [0x30ff, 0.6], // Kana
  [0x33ff, 1],
  [0x9fff, 0.7], // Han
  [0xabff, 1],
  [0xd7ff, 0.58], // Hangul
  [0xdfff, 0.85], // one half of an emoji or a rare sign
  [0xffff, 0.8],
];

function otherTokens(code: number): number {
  for (const [last, tokens] of BLOCKS) if (code <= last) return tokens;
  return 1;
}
