import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Compares the part of a docs page that is made from code with the code: the lines between `<!-- name -->` and
 * `<!-- /name -->`. With `UPDATE_DOCS=1` in the environment the page is written anew instead.
 */
export function expectDocsSection(page: string, name: string, lines: readonly string[]): void {
  const file = join(__dirname, '../../docs', page);
  const text = readFileSync(file, 'utf8');
  const opening = `<!-- ${name} -->\n`;
  const start = text.indexOf(opening) + opening.length;
  const end = text.indexOf(`<!-- /${name} -->`);
  if (start < opening.length || end < start) throw new Error(`docs/${page} has no section ${name}`);
  // Prettier would pad every cell of a table to the width of its longest.
  const made = ['<!-- prettier-ignore-start -->', ...lines, '<!-- prettier-ignore-end -->', ''].join('\n');
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, text.slice(0, start) + made + text.slice(end));
  else expect(text.slice(start, end)).toBe(made);
}

/** A Markdown table's lines. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
