import fc from 'fast-check';
import { toStoredText } from './response-text.js';

describe('toStoredText', () => {
  it.each([
    ['nothing', Buffer.alloc(0), null],
    ['only NUL', Buffer.alloc(10), null],
    ['plain text', Buffer.from('ok'), 'ok'],
    ['NUL within', Buffer.from('a\0b'), 'ab'],
    ['broken bytes', Buffer.from([0x61, 0xff, 0x62]), 'a\ufffdb'],
    ['a byte order mark', Buffer.from('\ufeffx'), '\ufeffx'],
    ['letters of four bytes', Buffer.from('😀'), '😀'],
    ['more than is kept', Buffer.from('x'.repeat(5_000)), 'x'.repeat(1_024)],
    ['a letter across the cut', Buffer.from('x'.repeat(1_023) + 'é'), 'x'.repeat(1_023)],
    ['broken bytes that grow', Buffer.alloc(1_024, 0xff), '\ufffd'.repeat(341)],
  ])('keeps %s', (_what, body, text) => {
    expect(toStoredText(body)).toBe(text);
  });

  it('is at most 1 KiB of sound UTF-8 without NUL, whatever came', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000 }), (bytes) => {
        const text = toStoredText(Buffer.from(bytes)) ?? '';
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1_024);
        expect(text).not.toContain('\0');
        expect(Buffer.from(text).toString()).toBe(text);
      }),
    );
  });
});
