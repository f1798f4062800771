import * as fc from 'fast-check';
import { JsonScan } from './json-scan.js';

function scan(text: string | Buffer, budgetBytes = 1_000, inside = {}): JsonScan {
  const it = new JsonScan(Buffer.from(text), inside);
  while (it.step(budgetBytes));
  return it;
}

/** What a text is to JSON.parse and to the scan: good, or not. */
function verdicts(text: string, budgetBytes: number): [boolean, boolean] {
  const isGood = (read: () => unknown): boolean => {
    try {
      read();
      return true;
    } catch {
      return false;
    }
  };
  return [isGood(() => JSON.parse(text)), isGood(() => scan(text, budgetBytes))];
}

const PIECES = ['{', '}', '[', ']', ',', ':', '"a"', '"', '\\', '\\u00e9', 'u12', ' ', '\n', '\t', '0', '-', '1', '.5', 'e', 'E+', '9', 'true', 'false', 'null', 'nul', 'é', '\u0001', '/', "'"]; // prettier-ignore

it('takes for JSON what JSON.parse takes for JSON, wherever its steps end', () => {
  const spoilt = fc.tuple(fc.json({ maxDepth: 5 }), fc.nat(), fc.nat(3), fc.constantFrom('', ...PIECES));
  fc.assert(
    fc.property(spoilt, fc.integer({ min: 1, max: 20 }), ([json, at, cut, piece], budgetBytes) => {
      const place = at % (json.length + 1);
      const text = json.slice(0, place) + piece + json.slice(place + cut);
      fc.pre(!/__proto__|prototype/.test(text));
      const [parsed, scanned] = verdicts(text, budgetBytes);
      expect([text, scanned]).toEqual([text, parsed]);
    }),
    { numRuns: 5_000 },
  );
});

it('takes for JSON what JSON.parse takes for JSON, of pieces in any order', () => {
  const pieces = fc.array(fc.constantFrom(...PIECES), { maxLength: 8 });
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 4 }), (some, budgetBytes) => {
      const text = some.join('');
      const [parsed, scanned] = verdicts(text, budgetBytes);
      expect([text, scanned]).toEqual([text, parsed]);
    }),
    { numRuns: 20_000 },
  );
});

it('finds each field of an object where it stands', () => {
  const object = fc.dictionary(fc.string({ maxLength: 20 }), fc.jsonValue({ maxDepth: 3 }));
  fc.assert(
    fc.property(object, fc.nat(2), fc.integer({ min: 1, max: 30 }), (made, indent, budgetBytes) => {
      const text = JSON.stringify(made, null, indent);
      fc.pre(!/__proto__|prototype/.test(text));
      const bytes = Buffer.from(text);
      const { fields } = scan(bytes, budgetBytes);
      const found = [...fields].map(([key, { start, end }]) => [
        key,
        JSON.parse(bytes.toString('utf8', start, end)),
      ]);
      expect(Object.fromEntries(found)).toEqual(JSON.parse(text));
    }),
  );
});

it('finds the members and the items of the fields that it is asked for, and the last of doubled ones', () => {
  const text =
    '\ufeff{"o": {"a": 1, "b": [2, {"a": 3}], "a" : "four"}, "l": [ {"x": 1}, 5 , [] ], "o2": {"a": 6}, "n": [7]}';
  const bytes = Buffer.from(text);
  const { fields, values } = scan(bytes, 1, { o: 'members', l: 'items' });
  const textOf = ({ start, end }: { start: number; end: number }) => bytes.toString('utf8', start, end);
  const { members, items } = { members: fields.get('o')?.members, items: fields.get('l')?.items };
  expect([...(members ?? [])].map(([key, span]) => [key, textOf(span)])).toEqual([
    ['a', '"four"'],
    ['b', '[2, {"a": 3}]'],
  ]);
  expect(items?.map(textOf)).toEqual(['{"x": 1}', '5', '[]']);
  expect([...fields.keys()]).toEqual(['o', 'l', 'o2', 'n']);
  expect(fields.get('o2')?.members.size).toBe(0);
  expect(fields.get('n')?.items).toEqual([]);
  expect(values).toBe(17);
});

test.each<[string, string, RegExp]>([
  ['['.repeat(65), 'json_too_deep', /64 levels, at byte 65/],
  ['{"a": [{"b": 1, "__proto__" \n : null}]}', 'forbidden_key', /'__proto__'/],
  ['{"\\u005f_proto\\u005F_": {}}', 'forbidden_key', /'__proto__'/],
  ['{"constr\\u0075ctor": {"x": [], "prototyp\\u0065": 1}}', 'forbidden_key', /'constructor\.prototype'/],
  ['{\n  "ä": 1,\n}', 'invalid_json', /at line 3, column 1\.$/],
  ['{"ä": x}', 'invalid_json', /Unexpected token at line 1, column 7\.$/],
  ['{"a": 1', 'invalid_json', /Unexpected end of JSON input at line 1, column 8\.$/],
])('%j is refused as %s', (text, code, message) => {
  expect(() => scan(text)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  );
});

test.each([
  '{"constructor": [{"prototype": 1}]}',
  '{"constructor": "x", "prototype": {}}',
  '{"said": "__proto__"}',
])('%s is let through', (text) => expect(() => scan(text)).not.toThrow());
