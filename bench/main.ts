/**
 * How fast Baton is, as ratios to what it is built on, measured in the same minutes on the same machine: docs/benchmarks.md.
 * It must never measure two things at a time.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type Arena, type ArenaOptions, type QueueKind, startArena } from './arena.js';
import { CleanUp } from './clean-up.js';
import { BareContender, type BareRound, BatonContender, type BatonRound } from './contenders.js';
import { type Summary, summaryOf, tableOf } from './report.js';
import { machineNow, runBounded, writeRecord } from './run-bounded.js';
import { TestedBaton } from './tested-baton.js';

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

interface Options extends ArenaOptions {
  readonly jobs: number;
  readonly rounds: number;
  readonly idle: number;
  readonly limitSeconds: number;
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

/** Runs both contenders on one kind of queue, and leaves nothing running. */
async function measure(kind: QueueKind, arena: Arena, options: Options, outer: CleanUp): Promise<Summary> {
  const { jobs, rounds, idle } = options;
  const cleanUp = new CleanUp();
  outer.later(() => cleanUp.run());
  const baton = new BatonContender(arena, await TestedBaton.start(arena, `baton_${kind}`, kind, cleanUp));
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

const options = readOptions();
runBounded(options.limitSeconds, async (cleanUp) => {
  const machine = machineNow();
  const arena = await startArena(options, cleanUp);
  const summaries: Record<string, Summary> = {};
  for (const kind of KINDS) summaries[kind] = await measure(kind, arena, options, cleanUp);
  const { jobs, rounds, idle, isSplit } = options;
  const result = { ...summaries, node: process.version, cpus: cpus().length, jobs, rounds, idle, isSplit };
  console.error(tableOf(summaries));
  if (options.outFile !== null) {
    await writeRecord(options.outFile, { ...machine, concurrency: arena.concurrency }, result);
  }
  console.log(JSON.stringify(result));
});
