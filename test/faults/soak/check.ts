/** What must hold when all is over: every invariant, read from the ledger, the upstream, the receiver and the files. */
import type { Life } from '../../support/fleet.js';
import type { Batches } from './batches.js';
import { type CallFigures, checkCalls } from './check-calls.js';
import { checkFiles, type FileFigures } from './check-files.js';
import { checkTold, type ToldFigures } from './check-told.js';
import type { StubbornClient } from './client.js';
import type { Form } from './forms.js';
import type { Ledger, Violation } from './ledger.js';
import type { Nemesis } from './nemesis.js';
import { type Recovery, recoveryOf } from './recovery.js';
import { RULES } from './rules.js';
import type { Singles } from './singles.js';
import type { SoakUpstream } from './upstream.js';

export interface Evidence {
  readonly form: Form;
  readonly ledger: Ledger;
  readonly upstream: SoakUpstream;
  readonly client: StubbornClient;
  readonly singles: Singles;
  readonly batches: Batches;
  readonly nemesis: Nemesis;
  readonly lives: readonly Life[];
}

export interface Findings {
  /** Jobs by status, and by error where they failed. */
  readonly ends: Readonly<Record<string, number>>;
  readonly calls: CallFigures;
  /** The most calls that the faults may have made necessary once more. */
  readonly mostExtraCalls: number;
  readonly told: ToldFigures;
  readonly files: FileFigures;
  readonly recovery: Recovery;
  readonly databaseMib: number;
  readonly violations: readonly Violation[];
}

export async function check(evidence: Evidence, giveUp: AbortSignal): Promise<Findings> {
  const { form, ledger, upstream, client, singles, batches, nemesis, lives } = evidence;
  await ledger.note(singles.accepted.values());
  // A worker that dies or is frozen cuts off what it has in flight, a database what all of them have.
  const cuts =
    nemesis.count('killWorker', 'rollWorker', 'freezeWorker') + nemesis.count('killDatabase') * form.workers;
  const mostExtraCalls = cuts * form.concurrency;
  const calls = await checkCalls(ledger, upstream, mostExtraCalls);
  const told = await checkTold(ledger, upstream);
  const files = await checkFiles(ledger, batches, client, giveUp);
  const violations = [
    ...(await brokenRules(ledger)),
    ...calls.violations,
    ...told.violations,
    ...files.violations,
    await ledger.violation('I1', 'submissions were answered in a way that they should not be', singles.wrong),
    await ledger.violation('I1', 'batches were answered in a way that they should not be', batches.wrong),
  ];
  return {
    ends: await endsOf(ledger),
    calls: calls.figures,
    mostExtraCalls,
    told: told.figures,
    files: files.figures,
    recovery: await recoveryOf(ledger, lives, nemesis.done),
    databaseMib: (
      await ledger.row<{ mib: number }>(
        'select round(pg_database_size(current_database()) / 1048576.0)::int as mib',
      )
    ).mib,
    violations: violations.filter((each) => each !== null),
  };
}

async function brokenRules(ledger: Ledger): Promise<Array<Violation | null>> {
  const violations: Array<Violation | null> = [];
  for (const { invariant, what, sql } of RULES) {
    const rows = await ledger.rows<{ id: string }>(sql);
    violations.push(
      await ledger.violation(
        invariant,
        what,
        rows.map(({ id }) => id),
      ),
    );
  }
  return violations;
}

async function endsOf(ledger: Ledger): Promise<Record<string, number>> {
  const rows = await ledger.rows<{ end: string; count: number }>(
    `select concat_ws(': ', status, error_code) as end, count(*)::int as count from jobs group by 1 order by 2 desc`,
  );
  return Object.fromEntries(rows.map(({ end, count }) => [end, count]));
}
