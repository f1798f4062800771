/** I3 and I4: what the upstream saw, held against the attempts that were written down. */
import { toPublicId } from '../../../src/storage/ids.js';
import type { Ledger, Violation } from './ledger.js';
import type { SoakUpstream } from './upstream.js';

export interface CallFigures {
  readonly attempts: number;
  /** Attempts by what became of them. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly calls: number;
  /** Calls that reached the upstream and were made again, because their worker or its lease was gone. */
  readonly extraCalls: number;
  /** The same by what was written down as the reason. */
  readonly extraReasons: Readonly<Record<string, number>>;
}

interface AttemptRow {
  readonly id: string;
  readonly job: string;
  readonly outcome: string;
  readonly sent: boolean | null;
  readonly message: string | null;
}

const PAGE = 20_000;
const REPEATED = new Set(['interrupted', 'superseded']);
/** These may have reached the upstream or not: they were cut off before anybody could know. */
const UNKNOWN = new Set(['interrupted', 'superseded', 'cancelled']);

export async function checkCalls(
  ledger: Ledger,
  upstream: SoakUpstream,
  mostExtra: number,
): Promise<{ figures: CallFigures; violations: Array<Violation | null> }> {
  const known = new Set<string>();
  const outcomes: Record<string, number> = {};
  const extraReasons: Record<string, number> = {};
  const unseen: string[] = [];
  let extraCalls = 0;
  for await (const attempt of attemptsOf(ledger)) {
    const publicId = toPublicId('att', attempt.id);
    const seen = upstream.attempts.get(publicId);
    known.add(publicId);
    add(outcomes, attempt.outcome);
    if (seen && REPEATED.has(attempt.outcome)) {
      extraCalls += seen.calls;
      add(extraReasons, `${attempt.outcome}: ${attempt.message ?? 'an answer'}`);
    }
    if (!seen && attempt.sent === true && !UNKNOWN.has(attempt.outcome)) unseen.push(attempt.job);
  }
  const strangers = [...upstream.attempts.keys()].filter((id) => !known.has(id));
  const twice = [...upstream.attempts].filter(([, { calls }]) => calls > 1).map(([id]) => id);
  const violations = [
    await ledger.violation('I3', 'calls reached the upstream that no attempt tells of', strangers),
    await ledger.violation('I3', 'attempts were sent twice', twice),
    await ledger.violation('I3', 'jobs tell of calls that never reached the upstream', unseen),
    await ledger.violation(
      'I4',
      `calls were made again, though the faults explain ${mostExtra} at most`,
      extraCalls > mostExtra ? [String(extraCalls)] : [],
    ),
  ];
  const figures = { attempts: known.size, outcomes, calls: upstream.calls, extraCalls, extraReasons };
  return { figures, violations };
}

async function* attemptsOf(ledger: Ledger): AsyncGenerator<AttemptRow> {
  for (let last = '00000000-0000-0000-0000-000000000000'; ;) {
    const rows = await ledger.rows<AttemptRow>(
      `select id, job_id as job, coalesce(outcome, 'open') as outcome, sent, message from attempts
       where id > $1 order by id limit ${PAGE}`,
      [last],
    );
    yield* rows;
    const next = rows.at(-1);
    if (!next) return;
    last = next.id;
  }
}

function add(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}
