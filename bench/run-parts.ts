/** What both benchmarks are asked for, part by part. */
import { cpus } from 'node:os';
import type { Arena } from './arena.js';
import { type Figures, type Meanings, rounded, tableOf } from './figures.js';
import { machineNow, writeRecord } from './run-bounded.js';

/** The whole number that an option gives; `normal` if it is not there. Throws if it is none, or not from 1 to `most`. */
export function countOf(name: string, text: string | undefined, normal: number, most: number): number {
  const value = Number(text ?? normal);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name} must be a whole number from 1 to ${most}`);
}

/** The parts that `--only` names, in their own order; all if it is not there. Throws if one is not known. */
export function partsOf<Part extends string>(text: string | undefined, all: readonly Part[]): Part[] {
  const asked: readonly string[] = text?.split(',') ?? all;
  const parts = all.filter((part) => asked.includes(part));
  if (parts.length !== asked.length) throw new Error(`--only must name some of: ${all.join(', ')}`);
  return parts;
}

/** Measures the parts, shows each as soon as it is there, and tells all of it as JSON, and to `outFile`, with the options that were asked for. */
export async function measureParts<Part extends string, Name extends string>(
  meanings: Meanings<Name>,
  options: { readonly parts: readonly Part[]; readonly outFile: string | null },
  asked: Readonly<Record<string, number>>,
  arena: Arena,
  measure: (part: Part) => Promise<Figures<Name>>,
): Promise<void> {
  const machine = machineNow();
  const figures: Partial<Record<Name, number | null>> = {};
  for (const part of options.parts) {
    const startedMs = performance.now();
    const found = rounded(meanings, await measure(part));
    console.error(tableOf(meanings, found));
    console.error(`${part}: ${((performance.now() - startedMs) / 1000).toFixed(0)} s\n`);
    Object.assign(figures, found);
  }
  const result = { ...figures, node: process.version, cpus: cpus().length, ...asked };
  if (options.outFile !== null) {
    await writeRecord(options.outFile, { ...machine, concurrency: arena.concurrency }, result);
  }
  console.log(JSON.stringify(result));
}
