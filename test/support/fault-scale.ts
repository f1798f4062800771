/**
 * How long the tests of faults go on: `npm test` runs some of them, in short, and `FAULTS=long`, which `npm run test:faults` sets, all,
 * with as many kills and cycles as the promise needs to be believed. `FAULTS_SEED` repeats the moments of an earlier run.
 */
import { randomInt } from 'node:crypto';
import { drawFrom } from './simulated-world.js';

export const isLong = process.env['FAULTS'] === 'long';

/** A test of the long run alone, since it takes long to start or to show anything. */
export const inTheLongRun = isLong ? it : it.skip;

export const seed = Number(process.env['FAULTS_SEED'] ?? randomInt(2 ** 31));

/** Numbers from 0 up to 1, the same in each run with the same seed. */
export const draw: () => number = drawFrom(seed);

/** A count of the short run and of the long one. */
export function scaled(short: number, long: number): number {
  return isLong ? long : short;
}
