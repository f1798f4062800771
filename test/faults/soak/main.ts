/**
 * The soak: random faults under load, and then every promise held against what is written down. `SOAK` names the form (`short`,
 * `middle`, `long`; `long` by default), `SOAK_SEED` repeats the faults of an earlier run, `SOAK_REPORT` is a path to which
 * `.json` and `.md` are put. The exit code is 1 if anything was broken.
 */
import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { CleanUp } from '../../../bench/clean-up.js';
import { machineNow, runBounded } from '../../../bench/run-bounded.js';
import type { Life } from '../../support/fleet.js';
import { drawFrom } from '../../support/simulated-world.js';
import { Batches } from './batches.js';
import { check } from './check.js';
import { StubbornClient } from './client.js';
import { drain } from './drain.js';
import { type Form, formNamed } from './forms.js';
import { GrowthWatch } from './growth.js';
import { Ledger } from './ledger.js';
import { loggedIn } from './logged.js';
import { Nemesis } from './nemesis.js';
import { timesOf } from './recovery.js';
import { type SoakReport, toMarkdown } from './report.js';
import { Singles } from './singles.js';
import { startWorld, type World } from './world.js';

/** What is not done so long after the last fault counts as stuck. */
const STUCK_MS = 120_000;
/** What the checks and the end may take beyond the form's limit. */
const SPARE_SECONDS = 600;
const LOOK_EVERY_MS = 100;
/** Longer than any call of a model takes. */
const LATE_ANSWER_MS = 3_000;
const TELL_EVERY_MS = 15_000;

interface Load {
  readonly client: StubbornClient;
  readonly singles: Singles;
  readonly batches: Batches;
  readonly nemesis: Nemesis;
  readonly seconds: number;
}

/** Load and faults together, until both have come as far as the form asks, or its time is up. */
async function run(form: Form, world: World, draw: () => number): Promise<Load> {
  const { fleet, upstream } = world;
  const client = new StubbornClient(() => fleet.urls, world.key);
  const singles = new Singles(client, form.jobsPerSecond, `${upstream.origin}/hook`, draw);
  const batches = new Batches(client, form.batchLines);
  const nemesis = new Nemesis({ ...world, form, draw }, form);
  const startedMs = Date.now();
  const endMs = startedMs + form.limitSeconds * 1_000;
  const failed = new AbortController();
  const giveUp = AbortSignal.any([failed.signal, AbortSignal.timeout(form.limitSeconds * 1_000 + STUCK_MS)]);
  const over = new AbortController();
  const jobs = (): number => singles.accepted.size + batches.lineCount;
  const mayGoOn = (): boolean =>
    Date.now() < endMs && !over.signal.aborted && (jobs() < form.jobs || !nemesis.isThrough);
  const loading = batches.run(mayGoOn, giveUp);
  const ending = async (): Promise<void> => {
    while (mayGoOn()) await delay(LOOK_EVERY_MS);
    await Promise.race([loading, delay(form.lastBatchSeconds * 1_000, undefined, { ref: false })]);
    over.abort();
  };
  const tell = setInterval(() => {
    const up = fleet.slots.filter((slot) => slot.isUp).map((slot) => slot.name);
    console.error(
      `${Math.round((Date.now() - startedMs) / 1_000)} s: ${jobs()} jobs accepted, ${upstream.attempts.size} calls, ` +
        `${nemesis.done.length} faults, up: ${up.join(' ')}`,
    );
  }, TELL_EVERY_MS);
  const parts = [loading, ending(), singles.run(over.signal, giveUp), nemesis.run(over.signal)];
  try {
    await Promise.all(parts);
  } catch (error) {
    failed.abort(error);
    throw error;
  } finally {
    over.abort();
    clearInterval(tell);
    await Promise.allSettled(parts);
  }
  return { client, singles, batches, nemesis, seconds: (Date.now() - startedMs) / 1_000 };
}

/** The whole of it: what was broken, and what else is to be told. */
async function soak(form: Form, seed: number, cleanUp: CleanUp): Promise<SoakReport> {
  const machine = { ...machineNow(), cpus: cpus().length };
  let isBroken = true;
  const world = await startWorld(form, drawFrom(seed + 1), cleanUp, () => isBroken);
  const { folder, fleet, postgres, messages } = world;
  console.error(`What the processes say: ${folder}`);
  const growth = new GrowthWatch(fleet);
  cleanUp.later(async () => growth.stop());
  const load = await run(form, world, drawFrom(seed));
  const ledger = await Ledger.open(postgres.url);
  cleanUp.later(() => ledger.close());
  const { lastMs } = load.nemesis;
  const left = await drain(ledger, lastMs + STUCK_MS);
  const drainedMs = Date.now() - lastMs;
  // An answer that comes late is still written down on its own attempt.
  await delay(LATE_ANSWER_MS);
  const evidence = { ...load, form, ledger, upstream: world.upstream, lives: fleet.lives };
  const findings = await check(evidence, AbortSignal.timeout(SPARE_SECONDS * 500));
  isBroken = findings.violations.length > 0;
  const { version } = await ledger.row<{ version: string }>(
    `select current_setting('server_version') as version`,
  );
  const versions = { node: process.version, postgres: version, redis: await messages.version() };
  growth.stop();
  await fleet.stop();
  return {
    ...findings,
    date: new Date().toISOString(),
    form: form.name,
    seed,
    machine,
    versions,
    processes: { apis: form.apis, workers: form.workers, concurrency: form.concurrency },
    ...figuresOf(load),
    ...livesOf(fleet.lives),
    drainedMs,
    left,
    grown: growth.grown(),
    logged: await loggedIn(folder),
  };
}

function figuresOf({ client, singles, batches, nemesis, seconds }: Load) {
  return {
    durationSeconds: seconds,
    accepted: { singles: singles.accepted.size, lines: batches.lineCount },
    submission: timesOf(singles.tookMs),
    setbacks: Object.fromEntries(client.setbacks),
    faults: Object.fromEntries(nemesis.done.map(({ kind }) => [kind, nemesis.count(kind)])),
  };
}

function livesOf(lives: readonly Life[]) {
  const isVain = ({ endedMs, readyAfterMs }: Life): boolean => endedMs !== null && readyAfterMs === null;
  return {
    endedByThemselves: lives.filter((life) => life.how === 'by itself' && !isVain(life)).length,
    failedStarts: lives.filter(isVain).length,
    exitCodes: countOf(lives.flatMap(({ how, code }) => (how === 'terminated' ? [String(code)] : []))),
    readyAfter: timesOf(lives.flatMap(({ readyAfterMs }) => readyAfterMs ?? [])),
  };
}

function countOf(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, names.filter((each) => each === name).length]));
}

const form = formNamed(process.env['SOAK']);
const seed = Number(process.env['SOAK_SEED'] ?? randomInt(2 ** 31));
runBounded(form.limitSeconds + SPARE_SECONDS, async (cleanUp) => {
  console.error(`SOAK=${form.name} SOAK_SEED=${seed}`);
  const report = await soak(form, seed, cleanUp);
  const path = process.env['SOAK_REPORT'];
  if (path) {
    await writeFile(`${path}.json`, `${JSON.stringify(report, null, 2)}\n`);
    await writeFile(`${path}.md`, toMarkdown(report));
  }
  console.error(toMarkdown(report));
  console.log(JSON.stringify(report, null, 2));
  if (report.violations.length > 0) process.exitCode = 1;
});
