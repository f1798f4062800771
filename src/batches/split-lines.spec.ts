import { type FileLine, LINE_LIMIT, splitLines } from './split-lines.js';

const BOM = '\ufeff';

/** The text in pieces of so many bytes. */
async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function linesOf(
  bytes: Buffer,
  size: number,
  from?: { bytes: number; lines: number },
): Promise<FileLine[]> {
  const lines: FileLine[] = [];
  for await (const line of splitLines(inPieces(bytes.subarray(from?.bytes ?? 0), size), from))
    lines.push(line);
  return lines;
}

const texts = (lines: readonly FileLine[]): (string | null)[] =>
  lines.map(({ bytes }) => bytes && bytes.toString());

describe('lines of a file', () => {
  it.each<[string, string, string[]]>([
    ['end with LF', 'a\nbb\n', ['a', 'bb']],
    ['need no end at the end of the file', 'a\nbb', ['a', 'bb']],
    ['end with CRLF', 'a\r\nbb\r\n', ['a', 'bb']],
    ['may be mixed', 'a\r\nbb\nc\r\n', ['a', 'bb', 'c']],
    ['keep a CR that ends none', 'a\rb\n', ['a\rb']],
    ['may be empty', '\n\na\n\n', ['', '', 'a', '']],
    ['begin behind a byte order mark', `${BOM}a\nb`, ['a', 'b']],
    ['keep a byte order mark that is not at the begin', `a\n${BOM}b`, ['a', `${BOM}b`]],
    ['are none in an empty file', '', []],
    ['keep letters of several bytes', 'ä€𝄞\n𝄞', ['ä€𝄞', '𝄞']],
  ])('%s', async (_what, text, expected) => {
    for (const size of [1, 2, 3, 7, 1_000]) {
      const lines = await linesOf(Buffer.from(text), size);
      expect(texts(lines)).toEqual(expected);
      expect(lines.map(({ line }) => line)).toEqual(expected.map((_, index) => index + 1));
    }
  });

  it('are taken up behind any line as if they had been read from the begin', async () => {
    const bytes = Buffer.from(`${BOM}eins\r\nzwei\n\ndrei 𝄞\r\nvier`);
    const all = await linesOf(bytes, 4);
    for (const [index, { end, line }] of all.entries()) {
      expect(await linesOf(bytes, 3, { bytes: end, lines: line })).toEqual(all.slice(index + 1));
    }
    expect(all.at(-1)?.end).toBe(bytes.length);
  });

  it('are as long as they may be, and not a byte longer', async () => {
    const right = 'x'.repeat(LINE_LIMIT);
    const bytes = Buffer.from(`${BOM}${right}\r\n${right}x\n${right}\n${'y'.repeat(3 * LINE_LIMIT)}`);
    const lines = await linesOf(bytes, 64 * 1024);
    expect(lines.map((each) => each.bytes?.length ?? null)).toEqual([LINE_LIMIT, null, LINE_LIMIT, null]);
    expect(lines.map(({ line }) => line)).toEqual([1, 2, 3, 4]);
    expect(lines.at(-1)?.end).toBe(bytes.length);
  });
});
