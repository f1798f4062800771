import { answerContent, contentDisposition } from './file-content.js';
import type { FileRow } from './files.repository.js';

const ROW: FileRow = {
  id: '01900000-0000-7000-8000-000000000002',
  project_id: '01900000-0000-7000-8000-000000000001',
  purpose: 'batch',
  filename: 'in.jsonl',
  bytes: 10,
  status: 'ready',
  kept_in: 'database',
  created_at: new Date(0),
  expires_at: null,
};
const TAG = answerContent(ROW, {}).headers['etag'];

test.each<[string, Parameters<typeof answerContent>[1], number, [number, number], string | undefined]>([
  ['nothing special', {}, 200, [0, 10], undefined],
  ['a range', { range: 'bytes=2-4' }, 206, [2, 5], 'bytes 2-4/10'],
  ['several ranges', { range: 'bytes=2-4,6-7' }, 200, [0, 10], undefined],
  ['a range of the same file', { range: 'bytes=-1', 'if-range': TAG }, 206, [9, 10], 'bytes 9-9/10'],
  ['a range of another file', { range: 'bytes=-1', 'if-range': '"other"' }, 200, [0, 10], undefined],
  ['a range of an older one', { range: 'bytes=-1', 'if-range': 'Tue, 24 Nov 2026 23:00:00 GMT' }, 200, [0, 10], undefined],
  ['what the client has', { 'if-none-match': TAG, range: 'bytes=0-1' }, 304, [0, 0], undefined],
  ['what the client has not', { 'if-none-match': '"other"' }, 200, [0, 10], undefined],
])('%s is answered', (_name, request, status, [start, end], contentRange) => {
  const answer = answerContent(ROW, request);
  expect(answer).toMatchObject({ status, bytes: { start, end } });
  expect(answer.headers['content-range']).toBe(contentRange);
  expect(answer.headers['content-length']).toBe(status === 304 ? undefined : String(end - start));
  expect(answer.headers).toMatchObject({ etag: TAG, 'accept-ranges': 'bytes' });
}); // prettier-ignore

test('a range outside of the file says how long it is', () => {
  const refusal = expect.objectContaining({ code: 'range_not_satisfiable', status: 416, param: 'Range' });
  expect(() => answerContent(ROW, { range: 'bytes=10-' })).toThrow(refusal);
  expect(() => answerContent({ ...ROW, bytes: 3 }, { range: 'bytes=3-' })).toThrow('3 bytes');
});

test.each([
  ['a.jsonl', `attachment; filename="a.jsonl"; filename*=UTF-8''a.jsonl`],
  ['a b.jsonl', `attachment; filename="a b.jsonl"; filename*=UTF-8''a%20b.jsonl`],
  ['"\\%\r\n.x', `attachment; filename="_____.x"; filename*=UTF-8''%22%5C%25%0D%0A.x`],
  ['ключ😀.x', `attachment; filename="_____.x"; filename*=UTF-8''%D0%BA%D0%BB%D1%8E%D1%87%F0%9F%98%80.x`],
  ["it's (1)*", `attachment; filename="it's (1)*"; filename*=UTF-8''it%27s%20%281%29%2A`],
])('%j is saved under its name, and breaks no header', (filename, expected) => {
  expect(contentDisposition(filename)).toBe(expected);
});
