import { Injectable } from '@nestjs/common';
import { AdmissionService, type Permit } from '../admission/admission.service.js';
import type { WaitingPlace } from '../admission/room-bell.js';
import type { Endpoint } from '../providers/adapter.js';
import { fitOf } from '../providers/fit.js';
import { ProvidersService } from '../providers/providers.service.js';
import { type Failure, NO_REPLY } from '../routing/call-result.js';
import type { RequestNeeds } from '../routing/compatibility.js';
import type { FailureClass } from '../routing/failure.js';
import type { LedgerAttempt } from './attempts.repository.js';

/** A call that is about to be made, unless something stands against it. */
export interface IntendedCall {
  readonly model: string;
  readonly endpoint: Endpoint;
  /** As it would be sent. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The job's attempts so far. */
  readonly past: readonly LedgerAttempt[];
}

/** When and as what it is to be made. */
export interface CallPlace {
  readonly step: number;
  readonly round: number;
  readonly attemptId: string;
  readonly timeoutMs: number;
}

export type Gate =
  | { readonly isOpen: true; readonly keyId: string | null; readonly permit: Permit }
  | {
      readonly isOpen: false;
      readonly failure: Failure;
      /** Where the job may wait for room; null where there is none to wait for. */
      readonly parkOn: WaitingPlace | null;
    };

/**
 * What stands between the decision to call a model and the call: can it take the request at all, and is there room at it
 * now. A gate that is shut is an attempt that was skipped, with the reason.
 */
@Injectable()
export class JobGates {
  constructor(
    private readonly providers: ProvidersService,
    private readonly admission: AdmissionService,
  ) {}

  async pass(call: IntendedCall, place: CallPlace): Promise<Gate> {
    const { needs, incompatible } = this.needsOf(call);
    if (incompatible !== null) return shut('incompatible', incompatible, null, null);
    const admission = await this.admission.admit({
      model: call.model,
      // Counted only if a limit asks for it.
      get tokens() {
        return needs.tokens.input + (needs.tokens.output ?? 0);
      },
      avoidKeyIds: failedKeys(call.past, place),
      attemptId: place.attemptId,
      timeoutMs: place.timeoutMs,
    });
    if (admission.ok) return { isOpen: true, keyId: admission.keyId, permit: admission.permit };
    return shut(admission.class, admission.message, admission.retryAfterMs, admission.parkOn);
  }

  /** What the request needs, and why the model can't take it; null if it can, or if that is not known. */
  needsOf({ model, endpoint, body, past }: IntendedCall): {
    needs: RequestNeeds;
    incompatible: string | null;
  } {
    const { needs, whyNot } = fitOf(this.providers, model, endpoint, body);
    const tooLong = past.filter((attempt) => attempt.class === 'context_length_exceeded');
    return { needs, incompatible: whyNot(tooLong.map((attempt) => attempt.model)) };
  }
}

/** The keys that failed this job at this step in this round: another one goes before them. */
function failedKeys(past: readonly LedgerAttempt[], { step, round }: CallPlace): string[] {
  return past.flatMap((attempt) =>
    attempt.step === step && attempt.round === round && attempt.keyId !== null ? [attempt.keyId] : [],
  );
}

function shut(
  name: FailureClass,
  message: string,
  retryAfterMs: number | null,
  parkOn: WaitingPlace | null,
): Gate {
  const failure = { ...NO_REPLY, class: name, message, sent: false, keyId: null, retryAfterMs };
  return { isOpen: false, failure, parkOn };
}
