import { FAILURE_CLASSES, FAILURE_GROUPS, FAILURES } from './failure.js';

const HEADER = ['Class', 'With retries left', 'Else', 'Can heal', 'What it means'];

/** The default of every class in Markdown, one table for each group: the text that `docs/routing.md` shows. */
export function failureTables(): string {
  return Object.entries(FAILURE_GROUPS)
    .map(([group, sentence]) => {
      const classes = FAILURE_CLASSES.filter((name) => FAILURES[name].group === group);
      const rows = classes.map((name) => {
        const { rule, heals, meaning } = FAILURES[name];
        return [`\`${name}\``, rule, 'next', heals ? 'yes' : 'no', meaning];
      });
      return `${sentence}\n\n${markdownTable(rows)}`;
    })
    .join('\n\n');
}

/** Padded as the formatter pads it, so that the formatter leaves it alone. */
function markdownTable(rows: readonly (readonly string[])[]): string {
  const widths = HEADER.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [HEADER, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n');
}
