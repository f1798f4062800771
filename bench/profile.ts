/**
 * Where the CPU of a Baton goes: runs lines of a batch, then single jobs, under V8's profiler, and tells the busy time by package or room
 * and by function. The profiles stay, for Chrome's or Node's tools.
 */
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startArena, TOGETHER } from './arena.js';
import { BatonBatch, BatonSingles } from './baton-contender.js';
import type { BatchClient } from './batch-client.js';
import type { CleanUp } from './clean-up.js';
import { Part } from './part.js';
import { runBounded } from './run-bounded.js';
import { TestedBaton } from './tested-baton.js';

const LIMIT_SECONDS = 300;
const MOST_FUNCTIONS = 35;
const MOST_GROUPS = 30;

/** What V8 writes (https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile), as far as it is read here. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const { values } = parseArgs({ options: { jobs: { type: 'string' }, only: { type: 'string' } } });
const jobs = Number(values.jobs ?? 5_000);

runBounded(LIMIT_SECONDS, async (cleanUp) => {
  for (const kind of ['batch', 'singles'] as const) {
    if (values.only !== undefined && values.only !== kind) continue;
    const profileFolder = await mkdtemp(join(tmpdir(), `baton-profile-${kind}-`));
    await run(kind, profileFolder, cleanUp);
    for (const file of await readdir(profileFolder)) {
      const profile = JSON.parse(await readFile(join(profileFolder, file), 'utf8')) as Profile;
      console.log(`\n${kind}: ${join(profileFolder, file)}\n${tableOf(profile)}`);
    }
  }
});

async function run(kind: 'batch' | 'singles', profileFolder: string, outer: CleanUp): Promise<void> {
  const cleanUp = outer.inner();
  const arena = await startArena({ roles: TOGETHER, profileFolder }, cleanUp);
  const baton = await TestedBaton.start(arena, kind, cleanUp);
  const user = Part.start<BatchClient>('batch-client', cleanUp);
  const contender = kind === 'batch' ? new BatonBatch(arena, baton, user) : new BatonSingles(arena, baton);
  for (let round = 0; round < 2; round += 1) {
    const seen = await contender.round({ jobs, isFlaky: false });
    console.log(
      `${kind}: ${seen.jobsPerSecond.toFixed(0)}/s, CPU µs a job: Baton ${seen.cpuMicros}, stores ${seen.storesCpuMicros}`,
    );
  }
  await cleanUp.run();
}

function tableOf(profile: Profile): string {
  const byFunction = new Map<string, number>();
  const byGroup = new Map<string, number>();
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  let busy = 0;
  for (const [i, id] of profile.samples.entries()) {
    const frame = frames.get(id);
    const micros = profile.timeDeltas[i] ?? 0;
    if (!frame || frame.functionName === '(idle)') continue;
    busy += micros;
    const place = placeOf(frame.url);
    add(byFunction, `${frame.functionName || '(anonymous)'} ${place}:${frame.lineNumber + 1}`, micros);
    add(byGroup, groupOf(frame.functionName, place), micros);
  }
  const lines = (sums: Map<string, number>, most: number): string[] =>
    [...sums]
      .sort(([, a], [, b]) => b - a)
      .slice(0, most)
      .map(([name, micros]) => `${((100 * micros) / busy).toFixed(1).padStart(6)} %  ${name}`);
  return [...lines(byGroup, MOST_GROUPS), '', ...lines(byFunction, MOST_FUNCTIONS)].join('\n');
}

function add(sums: Map<string, number>, name: string, micros: number): void {
  sums.set(name, (sums.get(name) ?? 0) + micros);
}

function placeOf(url: string): string {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  return path.slice(Math.max(path.lastIndexOf('/node_modules/') + 1, path.lastIndexOf('/dist/') + 1));
}

/** A package, a room, or what V8 and Node do by themselves. */
function groupOf(name: string, place: string): string {
  if (place === '') return name || '(native)';
  const [first, second = '', third = ''] = place.split('/');
  if (first === 'node_modules') return second.startsWith('@') ? `${second}/${third}` : second;
  return first === 'dist' ? `dist/${second}` : place;
}
