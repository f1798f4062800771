import fc from 'fast-check';
import { v7 } from 'uuid';
import { firstUuidAt, newId, newUuid, toPublicId, toUuid } from './ids.js';

describe('ids', () => {
  it('come back as the uuid that they were made from, for every kind', () => {
    for (const prefix of [
      'job',
      'att',
      'batch',
      'file',
      'evt',
      'whe',
      'whd',
      'key',
      'proj',
      'req',
    ] as const) {
      const uuid = newUuid();
      const id = toPublicId(prefix, uuid);
      expect(id).toMatch(
        prefix === 'file' ? /^file-[0-9A-HJKMNP-TV-Z]{26}$/ : /^[a-z]+_[0-9A-HJKMNP-TV-Z]{26}$/,
      );
      expect(toUuid(prefix, id)).toBe(uuid);
      expect(toUuid(prefix, id.toLowerCase())).toBe(uuid);
    }
  });

  it.each([0, 1, 1_700_000_000_000, 9_999_999_999_999])('have a least one at %d ms', (ms) => {
    expect(firstUuidAt(ms) <= v7({ msecs: ms })).toBe(true);
    expect(firstUuidAt(ms + 1) > v7({ msecs: ms })).toBe(true);
    expect(toUuid('evt', toPublicId('evt', firstUuidAt(ms)))).toBe(firstUuidAt(ms));
    expect(firstUuidAt(-1)).toBe(firstUuidAt(0));
  });

  it('are in the order of their creation', () => {
    const ids = Array.from({ length: 2000 }, () => newId('job'));
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each([
    ['another kind', 'att_01J00000000000000000000000'],
    ['too short', 'job_01J'],
    ['too long', 'job_01J000000000000000000000000'],
    ['a letter outside the alphabet', 'job_01J0000000000000000000000U'],
    ['more than 128 bits', 'job_ZZZZZZZZZZZZZZZZZZZZZZZZZZ'],
    ['no prefix', '01J00000000000000000000000'],
    ['empty', ''],
    ['a path', '../../etc/passwd'],
  ])('refuse %s', (_what, text) => {
    expect(toUuid('job', text)).toBeNull();
  });

  it('never throw, whatever the text', () => {
    fc.assert(fc.property(fc.string(), (text) => void toUuid('job', `job_${text}`)));
    fc.assert(
      fc.property(fc.string({ minLength: 26, maxLength: 26 }), (text) => void toUuid('job', `job_${text}`)),
    );
  });
});
