import type { FailureClass } from '../routing/failure.js';

/** What the operator allows us to use of each key; null for no limit of ours. */
export class CallLimitsDto {
  /** Requests a minute. */
  rpm: number | null;
  /** Tokens a minute. */
  tpm: number | null;
  /** Calls at once. */
  concurrency: number | null;
}

/** The last failure that a circuit counted. */
export class LastFailureDto {
  class: FailureClass;
  /** Unix seconds. */
  at: number;
}

/** Whether one model is called with one key. */
export class CircuitReplyDto {
  /** `provider/model` */
  model: string;
  /** `half_open`: its time is over, and the next call probes. */
  state: 'closed' | 'open' | 'half_open';
  /** True while an operator holds it in its state. */
  is_forced: boolean;
  /** Unix seconds at which it last opened or closed; null if it never has. */
  since_at: number | null;
  /** Unix seconds at which it may be probed, or an operator's word ends; null for no such time. */
  until_at: number | null;
  /** Why it is not closed, as a sentence; null if it is. */
  reason: string | null;
  last_failure: LastFailureDto | null;
  /** Outcomes of the last minute. */
  successes: number;
  failures: number;
  /** How many calls at once this process makes of it for now: it recovers, or refused more; null for any number. */
  calls_at_once: number | null;
  /** How long it takes to get a good answer of the model of late, in milliseconds; an hour if it only fails, null if too little is known. */
  latency_ms: number | null;
}

/** One key of a provider, and the models that were called with it. */
export class ProviderKeyReplyDto {
  /** Null for a provider without keys. */
  id: string | null;
  /** `resting`: the provider did not take it, or an operator took it out. */
  state: 'ready' | 'resting';
  /** True while an operator holds it in its state. */
  is_forced: boolean;
  /** Unix seconds; null if it was never anything but ready. */
  since_at: number | null;
  /** Unix seconds at which one call will try it, or an operator's word ends; null for no such time. */
  until_at: number | null;
  /** Why it rests, as a sentence; null if it does not. */
  reason: string | null;
  circuits: CircuitReplyDto[];
}

/** A provider that is switched on. */
export class ProviderReplyDto {
  object: 'provider';
  /** What stands before the `/` of its models. */
  name: string;
  /** The wire format. */
  kind: string;
  /** Null for `sim`. */
  base_url: string | null;
  /** False if it has no circuits, and its keys do not rest. */
  is_protected: boolean;
  limits: CallLimitsDto;
  keys: ProviderKeyReplyDto[];
}

/** The providers that are switched on. */
export class ProviderListDto {
  object: 'list';
  data: ProviderReplyDto[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}
