/**
 * How fast Baton is, as ratios to what it is built on, measured in the same minutes on the same machine: docs/benchmarks.md.
 * It must never measure two things at a time.
 */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CleanUp } from './clean-up.js';
import type { Client } from './client.js';
import {
  type Arena,
  BareContender,
  type BareRound,
  BatonContender,
  type BatonRound,
  type QueueKind,
} from './contenders.js';
import { Part } from './part.js';
import { startPrivateStores } from './private-stores.js';
import { type Summary, summaryOf, tableOf } from './report.js';
import type { Upstream } from './upstream.js';

const CONCURRENCY = 50;
const KINDS: readonly QueueKind[] = ['redis', 'postgres'];
const HELP = `npm run bench -- [options]
  --jobs N       jobs of a round (2000)
  --rounds N     rounds of each contender (3)
  --idle N       jobs that are run one after the other (200)
  --limit N      seconds after which it gives up (900)
  --short        --jobs 200 --rounds 1 --idle 20 --limit 60
  --split        Baton's API and worker in a process each
  --cpu-prof DIR a CPU profile of each Baton process
  --out FILE     also write the result, and what machine it is of
`;

interface Options {
  readonly jobs: number;
  readonly rounds: number;
  readonly idle: number;
  readonly limitSeconds: number;
  readonly isSplit: boolean;
  readonly profileFolder: string | null;
  readonly outFile: string | null;
}

function readOptions(): Options {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    options: {
      jobs: text,
      rounds: text,
      idle: text,
      limit: text,
      short: flag,
      split: flag,
      'cpu-prof': text,
      out: text,
      help: flag,
    },
  });
  if (values.help) {
    console.error(HELP);
    process.exit(0);
  }
  const count = (name: 'jobs' | 'rounds' | 'idle' | 'limit', normal: number, most: number): number => {
    const value = Number(values[name] ?? normal);
    if (Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw new Error(`--${name} must be a whole number from 1 to ${most}`);
  };
  return {
    jobs: count('jobs', values.short ? 200 : 2000, 50_000),
    rounds: count('rounds', values.short ? 1 : 3, 50),
    idle: count('idle', values.short ? 20 : 200, 5000),
    limitSeconds: count('limit', values.short ? 60 : 900, 7200),
    isSplit: values.split,
    profileFolder: values['cpu-prof'] ?? null,
    outFile: values.out ?? null,
  };
}

/** Starts everything that is measured; `cleanUp` stops it. */
async function startArena(options: Options, cleanUp: CleanUp): Promise<Arena> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-bench-'));
  cleanUp.later(() => rm(folder, { recursive: true, force: true }));
  // The embedded PostgreSQL may have to run as another user, who passes through.
  await chmod(folder, 0o711);
  const stores = await startPrivateStores(folder, cleanUp);
  const upstream = Part.start<Upstream>('upstream');
  cleanUp.later(() => upstream.stop());
  const client = Part.start<Client>('client');
  cleanUp.later(() => client.stop());
  const upstreamUrl = await upstream.ask('listen');
  return { ...options, folder, stores, upstream, upstreamUrl, client, concurrency: CONCURRENCY };
}

/** Runs both contenders on one kind of queue, and leaves nothing running. */
async function measure(kind: QueueKind, arena: Arena, options: Options, outer: CleanUp): Promise<Summary> {
  const { jobs, rounds, idle } = options;
  const cleanUp = new CleanUp();
  outer.later(() => cleanUp.run());
  const baton = await BatonContender.start(arena, kind, cleanUp);
  const bare = await BareContender.start(arena, kind, cleanUp);
  // The first round, in which code is compiled and connections are opened, does not count.
  await baton.round(jobs);
  await bare.round(jobs);
  const batonRounds: BatonRound[] = [];
  const bareRounds: BareRound[] = [];
  // In turns, so that a busy minute of the machine falls on both.
  for (let round = 1; round <= rounds; round += 1) {
    const ours = await baton.round(jobs);
    const theirs = await bare.round(jobs);
    batonRounds.push(ours);
    bareRounds.push(theirs);
    const rates = [ours, theirs].map((each) => each.jobsPerSecond.toFixed(0));
    console.error(`${kind}, round ${round} of ${rounds}: Baton ${rates[0]}/s, bare ${rates[1]}/s`);
  }
  const batonIdleMs = await baton.idle(idle);
  const bareIdleMs = await bare.idle(idle);
  await cleanUp.run();
  return summaryOf({ batonRounds, bareRounds, batonIdleMs, bareIdleMs });
}

async function main(): Promise<void> {
  const options = readOptions();
  const cleanUp = new CleanUp();
  const leave = (why: string): void => {
    console.error(`${why}: ending what was started`);
    void cleanUp.run().finally(() => process.exit(1));
  };
  setTimeout(leave, options.limitSeconds * 1000, `Not done after ${options.limitSeconds} s`).unref();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, leave);
  try {
    // More than nothing says that others used the machine.
    const loadBefore = loadavg()[0];
    const arena = await startArena(options, cleanUp);
    const summaries: Record<string, Summary> = {};
    for (const kind of KINDS) summaries[kind] = await measure(kind, arena, options, cleanUp);
    const { jobs, rounds, idle, isSplit } = options;
    const result = { ...summaries, node: process.version, cpus: cpus().length, jobs, rounds, idle, isSplit };
    console.error(tableOf(summaries));
    if (options.outFile !== null) {
      const machine = {
        cpu: cpus()[0]?.model,
        memoryGib: Math.round(totalmem() / 2 ** 30),
        os: `${type()} ${release()}`,
        loadBefore,
      };
      const record = { date: new Date().toISOString(), ...machine, concurrency: CONCURRENCY, ...result };
      await writeFile(options.outFile, `${JSON.stringify(record, null, 2)}\n`);
    }
    console.log(JSON.stringify(result));
  } finally {
    await cleanUp.run();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
