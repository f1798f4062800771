/** Whether processes grow as they live: memory and open files of each, looked at every few seconds (Linux' `/proc`). */
import { readdirSync, readFileSync } from 'node:fs';
import { median } from '../../../bench/statistics.js';
import type { Fleet } from '../../support/fleet.js';

interface Sample {
  readonly memoryMib: number;
  readonly files: number;
}

/** One process that lived long: what it held early and late, as medians of a quarter of its life. */
export interface Grown {
  readonly slot: string;
  readonly pid: number;
  readonly livedSeconds: number;
  readonly early: Sample;
  readonly late: Sample;
}

const LOOK_EVERY_MS = 2_000;
/** A process that lived shorter says nothing. */
const LEAST_SAMPLES = 30;
const PAGE_BYTES = 4_096;

export class GrowthWatch {
  private readonly samples = new Map<string, Sample[]>();
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly fleet: Fleet) {
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** The processes that lived longest, the first of each role. */
  grown(): Grown[] {
    return [...this.samples]
      .filter(([, samples]) => samples.length >= LEAST_SAMPLES)
      .sort(([, one], [, other]) => other.length - one.length)
      .slice(0, 4)
      .map(([name, samples]) => {
        const [slot = '', pid] = name.split(' ');
        const quarter = Math.floor(samples.length / 4);
        // The first seconds are those in which code is loaded and connections are opened.
        return {
          slot,
          pid: Number(pid),
          livedSeconds: (samples.length * LOOK_EVERY_MS) / 1_000,
          early: middleOf(samples.slice(quarter / 4, quarter + quarter / 4)),
          late: middleOf(samples.slice(-quarter)),
        };
      });
  }

  private look(): void {
    for (const slot of this.fleet.slots) {
      slot.trim();
      const { pid } = slot;
      const sample = pid === null ? null : sampleOf(pid);
      if (sample === null) continue;
      const name = `${slot.name} ${pid}`;
      this.samples.set(name, [...(this.samples.get(name) ?? []), sample]);
    }
  }
}

/** What a process holds now; null if it is gone. */
function sampleOf(pid: number): Sample | null {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    return { memoryMib: (pages * PAGE_BYTES) / 2 ** 20, files: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return null;
  }
}

function middleOf(samples: readonly Sample[]): Sample {
  return {
    memoryMib: Math.round(median(samples.map((each) => each.memoryMib))),
    files: median(samples.map((each) => each.files)),
  };
}
