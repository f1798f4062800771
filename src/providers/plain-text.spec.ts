import { toBody, toMessage } from './plain-text.js';

const SECRET = 'sk-live-0123456789';

describe('a message', () => {
  test.each([
    ['a plain one', 'Rate limit reached.', 'Rate limit reached.'],
    ['lines and tabs', ' a\r\n\tb \u0000c\u001b[31m ', 'a b c [31m'],
    ['writing direction turned round', 'abc\u202Edcba\u2066', 'abc dcba'],
    ['a key', `wrong key ${SECRET}, I said ${SECRET}!`, 'wrong key [key], I said [key]!'],
    ['a placeholder for a key', 'there is none', 'there is none'],
    ['half a character', 'a\ud800b', 'a\ufffdb'],
    ['other scripts', 'größer 漢字 😀', 'größer 漢字 😀'],
  ])('with %s', (_name, text, expected) => {
    expect(toMessage(text, [SECRET, 'none'])).toBe(expected);
  });

  test('has at most 500 characters, none of them cut in half', () => {
    const message = toMessage('x' + '😀'.repeat(1000), []);
    expect(message.length).toBeLessThanOrEqual(500);
    expect(message).toMatch(/…$/);
    expect(Buffer.from(message).toString()).toBe(message);
  });
});

describe('a body', () => {
  test('is kept as it is', () => {
    const text = '{"error":\n\t{"message":"ü"}}';
    expect(toBody(text, [SECRET])).toBe(text);
  });

  test('has neither key nor NUL', () => {
    expect(toBody(`a\u0000b ${SECRET}`, [SECRET])).toBe('a\ufffdb [key]');
  });

  test('has at most 64 KiB of UTF-8, no character cut in half', () => {
    const body = toBody('x' + '😀'.repeat(100_000), []);
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(65_536);
    expect(Buffer.byteLength(body)).toBeGreaterThan(65_500);
    expect(Buffer.from(body).toString()).toBe(body);
  });
});
