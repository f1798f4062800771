import { leastCpuMs } from '../../test/support/wall.js';
import { RawJson, stringifyWithRaw } from './raw-json.js';

test('texts come through byte for byte', () => {
  const text = '{ "b" : 1.0,\n "a":"\\u00e9$&$1", "big": 12345678901234567890 }';
  const reply = { id: 'x', body: new RawJson(text), list: [new RawJson('[]'), 1, new RawJson('null')] };
  expect(stringifyWithRaw(reply)).toBe(`{"id":"x","body":${text},"list":[[],1,null]}`);
});

test('a reply without them is what JSON.stringify says', () => {
  const reply = { a: [1, null, undefined, 'x'], at: new Date(0) };
  expect(stringifyWithRaw(reply)).toBe(JSON.stringify(reply));
});

test('a text can be the whole reply', () => {
  expect(stringifyWithRaw(new RawJson(' 5 '))).toBe(' 5 ');
});

test("a user's text that looks like a mark stays as it is", () => {
  const marks: unknown[] = [];
  const spy = { toJSON: () => marks.push(new RawJson('1').toJSON()) };
  stringifyWithRaw(spy);
  const [mark] = marks;
  expect(mark).toMatch(/^[0-9a-f]{24}:0$/);
  expect(stringifyWithRaw({ said: mark, raw: new RawJson('2') })).toBe(`{"said":"${String(mark)}","raw":2}`);
  expect(stringifyWithRaw({ raw: new RawJson(JSON.stringify(mark)) })).toBe(`{"raw":"${String(mark)}"}`);
});

test('outside of a reply it is its value', () => {
  expect(JSON.stringify({ a: new RawJson('{ "b": 1 }') })).toBe('{"a":{"b":1}}');
});

test('one inside the making of another does not disturb it', () => {
  const inner = { toJSON: () => stringifyWithRaw([new RawJson('1 ')]) };
  expect(stringifyWithRaw([new RawJson('2 '), inner, new RawJson('3 ')])).toBe('[2 ,"[1 ]",3 ]');
});

test('many large texts take time in proportion', () => {
  const reply = Array.from({ length: 10_000 }, () => new RawJson(`"${'x'.repeat(1000)}"`));
  const run = () => expect(stringifyWithRaw(reply).length).toBe(10_000 * 1003 + 1);
  expect(leastCpuMs(run)).toBeLessThan(1000);
});
