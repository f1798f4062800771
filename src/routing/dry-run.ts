/** A job's whole walk in virtual time, the outcomes of its calls said beforehand: nothing is called, and nothing waits. */
import type { Chain } from './chain.js';
import { type Decision, FAILURES, type FailureClass } from './failure.js';
import { type Action, nextAction, type PastAttempt } from './next-action.js';
import type { ScriptedOutcome } from './outcome-script.js';

/** What is played. */
export interface DryRunScene {
  /** Its steps in the order in which the job walks them. */
  readonly chain: Chain;
  /** What comes of each call in turn; the last one comes again and again. No outcome at all is one good answer. */
  readonly script: readonly ScriptedOutcome[];
  /** From the start to the job's deadline, in milliseconds. */
  readonly lifetimeMs: number;
  /** The job's own number, from which its waits are drawn. */
  readonly seed: number;
  /** The ids of the keys that each step's provider has, by step. */
  readonly keyIds: readonly (readonly string[])[];
  /** Why a step can't take the request after these attempts, as a sentence; null if it can. */
  readonly whyNot: (step: number, attempts: readonly PastAttempt[]) => string | null;
}

/** An attempt that would be made. Times are milliseconds; moments are counted from the job's start. */
export interface DryAttempt extends PastAttempt {
  readonly outcome: 'succeeded' | 'failed' | 'skipped';
  /** Why the step can't take the request; null where its outcome comes from the script. */
  readonly message: string | null;
  readonly startsAtMs: number;
  /** How long the job waited before it. */
  readonly waitedMs: number;
  /** What follows, and why; null only on the last attempt of a walk that was cut off. */
  readonly decision: Decision | null;
  readonly reason: string | null;
}

/** What would become of the job. */
export interface DryRun {
  readonly attempts: readonly DryAttempt[];
  /** `cut_off`: there would be more attempts than are played. */
  readonly status: 'completed' | 'failed' | 'expired' | 'cut_off';
  /** The index of the attempt whose answer or failure the job shows; null for none. */
  readonly by: number | null;
  readonly reason: string;
  readonly endsAtMs: number;
}

/** More than a chain needs that goes anywhere. Each attempt looks back at all before it: ten times as many would hold the process up. */
export const MOST_DRY_ATTEMPTS = 200;

/** Walks the chain as a real job does. A call takes no time, but for one that times out: that takes all it may. */
export function dryRun(scene: DryRunScene): DryRun {
  const attempts: DryAttempt[] = [];
  let nowMs = 0;
  let waitedMs = 0;
  for (;;) {
    const action = nextAction({
      chain: scene.chain,
      attempts,
      nowMs,
      deadlineMs: scene.lifetimeMs,
      seed: scene.seed,
      keyCounts: scene.keyIds.map((ids) => ids.length),
      isRoom: false,
    });
    const last = attempts.pop();
    if (last) attempts.push({ ...last, decision: action.decision, reason: action.reason });
    if (action.type === 'wait') {
      waitedMs += action.untilMs - nowMs;
      nowMs = action.untilMs;
    } else if (action.type !== 'call') {
      return endOf(action, attempts, nowMs);
    } else if (attempts.length === MOST_DRY_ATTEMPTS) {
      const reason = `no more than ${MOST_DRY_ATTEMPTS} attempts are played`;
      return { attempts, status: 'cut_off', by: null, reason, endsAtMs: nowMs };
    } else {
      const attempt = attemptOf(scene, attempts, action, nowMs);
      attempts.push({ ...attempt, waitedMs });
      nowMs = attempt.endedAtMs;
      waitedMs = 0;
    }
  }
}

function attemptOf(
  scene: DryRunScene,
  attempts: readonly DryAttempt[],
  { step, round, timeoutMs }: Extract<Action, { type: 'call' }>,
  startsAtMs: number,
): Omit<DryAttempt, 'waitedMs'> {
  const open = { step, round, startsAtMs, decision: null, reason: null };
  const message = scene.whyNot(step, attempts);
  if (message !== null) return { ...open, ...INCOMPATIBLE, message, endedAtMs: startsAtMs };
  const played = attempts.filter(({ message }) => message === null).length;
  const said = scene.script[Math.min(played, scene.script.length - 1)] ?? GOOD_ANSWER;
  const outcome = outcomeOf(said.class);
  return {
    ...open,
    ...said,
    outcome,
    message: null,
    keyId: outcome === 'skipped' ? null : nextKey(scene, attempts, open),
    endedAtMs: startsAtMs + (said.class === 'timeout' ? timeoutMs : 0),
  };
}

const INCOMPATIBLE = { outcome: 'skipped', class: 'incompatible', retryAfterMs: null, keyId: null } as const;
const GOOD_ANSWER: ScriptedOutcome = { class: null, retryAfterMs: null };

/** Whether an outcome is one of a call, or of a gate before it: of what is not sent, only a connection is tried. */
function outcomeOf(name: FailureClass | null): DryAttempt['outcome'] {
  if (name === null) return 'succeeded';
  return FAILURES[name].group === 'not_sent' && name !== 'connect_failed' ? 'skipped' : 'failed';
}

/** The first key that was not used yet at this step in this round; once all were, the first again. */
function nextKey(
  { keyIds }: DryRunScene,
  attempts: readonly DryAttempt[],
  { step, round }: Pick<PastAttempt, 'step' | 'round'>,
): string | null {
  const here = attempts.filter((attempt) => attempt.step === step && attempt.round === round);
  const used = new Set(here.map(({ keyId }) => keyId));
  const ids = keyIds[step] ?? [];
  return ids.find((id) => !used.has(id)) ?? ids[0] ?? null;
}

function endOf(
  action: Extract<Action, { type: 'succeed' | 'fail' | 'expire' }>,
  attempts: readonly DryAttempt[],
  endsAtMs: number,
): DryRun {
  const { reason } = action;
  switch (action.type) {
    case 'succeed':
      return { attempts, status: 'completed', by: attempts.length - 1, reason, endsAtMs };
    case 'fail':
      return { attempts, status: 'failed', by: action.attempt, reason, endsAtMs };
    case 'expire':
      return { attempts, status: 'expired', by: null, reason, endsAtMs };
  }
}
