/**
 * F20: Batons of two versions at work on one database, which is migrated under load. The older one is built from the repository's
 * history, which takes time and the whole history: so it is in the long run, and fails there without it. The rule for migrations
 * is checked always.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { newFolder } from '../support/baton-process.js';
import { isLong } from '../support/fault-scale.js';
import { FaultWorld, type Member } from '../support/fault-world.js';
import { buildCommit, commitBefore, newestMigration } from '../support/older-baton.js';
import { after, answer } from '../support/upstream-behaviours.js';

jest.setTimeout(300_000);

const RUN_MS = 10_000;
const inTheLongRun = isLong ? describe : describe.skip;

/** What an older Baton that still runs would stumble over. */
const CONTRACTING = [
  /\bdrop\s+(table|column|view|type)\b/i,
  /\brename\b/i,
  /\balter\s+(column\s+)?\w+\s+(set\s+data\s+)?type\b/i,
  /\bset\s+not\s+null\b/i,
  /\badd\s+column\s+\w+[^,]*\bnot\s+null\b(?![^,]*\bdefault\b)/i,
];

it('F20: the newest migration takes nothing away that an older Baton uses', () => {
  const text = readFileSync(join(__dirname, '../..', newestMigration()), 'utf8');
  expect(CONTRACTING.filter((pattern) => pattern.test(text))).toEqual([]);
  // The rule can be broken.
  expect(CONTRACTING.filter((pattern) => pattern.test('alter table jobs drop column worker'))).toHaveLength(
    1,
  );
});

inTheLongRun('of two versions', () => {
  it('F20: old APIs and workers go on beside new ones, while the tables are migrated and after; no job is lost and nothing answers 5xx', async () => {
    const commit = commitBefore();
    if (commit === null)
      throw new Error('The history does not reach back before the newest migration: clone all of it.');
    const program = buildCommit(commit, join(await newFolder(), 'older'));
    const world = await FaultWorld.start();
    try {
      world.upstream.script('a', after(300, answer()));
      const apis: Member[] = [await world.add('api', {}, program)];
      await world.add('worker', {}, program);
      const statuses = new Map<number | null, number>();
      let isOver = false;
      let number = 0;
      const submitting = Promise.all(
        Array.from({ length: 3 }, async () => {
          while (!isOver) {
            const { api } = apis[number % apis.length] as Member;
            const status = (await world.trySubmit(api, `job-${number++}`))?.status ?? null;
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
            await delay(50);
          }
        }),
      );
      await delay(RUN_MS / 4);
      const [olderTables] = await world.query<{ count: string }>('select count(*) from kysely_migration');
      // It migrates at its start, under the load of the old ones.
      apis.push(await world.add('api'));
      await delay(RUN_MS);
      await world.add('worker');
      await delay(RUN_MS);
      isOver = true;
      await submitting;
      await world.allEnded(60_000);

      const [tables] = await world.query<{ count: string }>('select count(*) from kysely_migration');
      expect(Number(tables?.count)).toBeGreaterThan(Number(olderTables?.count));
      // What went wrong is in the log.
      const errors = world.members.flatMap(
        ({ baton }) => baton.stderr.match(/^.*"level":"error".*$/gm) ?? [],
      );
      expect({ statuses: [...statuses.keys()], errors }).toEqual({ statuses: [202], errors: [] });
      const workers = await world.query('select distinct worker from attempts');
      expect(workers).toHaveLength(2);
      const figures = await world.check();
      expect(figures).toMatchObject({ interrupted: 0, superseded: 0, completed: figures.accepted });
    } finally {
      await world.stop();
    }
  });
});
