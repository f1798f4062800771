/** docs/reliability.md names a test for each fault, and each test that it names is there. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');
const ROWS = Array.from({ length: 20 }, (_, index) => `F${index + 1}`);
const page = readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8');

/** The tests of each row: the file, and how the title begins. */
const table = new Map(
  [...page.matchAll(/^\| (F\d+) \|.*\| ([^|]+) \|$/gm)].map(([, row = '', cell = '']) => [
    row,
    cell.split('<br>').map((each) => {
      const [, file = '', title = ''] = /((?:src|test)\/\S+\.ts) ›(?: (.+))?$/.exec(each.trim()) ?? [];
      return { file, title };
    }),
  ]),
);

/** Whether a file has a text that begins so: a title is the beginning of one. */
function begins(file: string, title: string): boolean {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [`'`, `"`, '`'].some((quote) => text.includes(quote + title));
}

it('has a row for each fault', () => {
  expect([...table.keys()]).toEqual(ROWS);
});

it.each(ROWS)('names tests of %s that are there', (row) => {
  const tests = table.get(row) ?? [];
  expect(tests.length).toBeGreaterThan(0);
  const missing = tests.filter(({ file, title }) => !existsSync(join(ROOT, file)) || !begins(file, title));
  expect(missing).toEqual([]);
});

it('names each test of faults', () => {
  const titles = readdirSync(join(ROOT, 'test/faults'))
    .filter((name) => name.endsWith('.e2e-spec.ts'))
    .map((name) => join('test/faults', name))
    .flatMap((file) => {
      const text = readFileSync(join(ROOT, file), 'utf8');
      return [...text.matchAll(/\(\s*['"`](F\d+: [^'"`]+)/g)].map(([, title = '']) => ({ file, title }));
    });
  expect(titles.length).toBeGreaterThan(20);
  const named = [...table.values()].flat();
  const isNamed = (file: string, title: string) =>
    named.some((each) => each.file === file && title.startsWith(each.title));
  expect(titles.filter(({ file, title }) => !isNamed(file, title))).toEqual([]);
});
