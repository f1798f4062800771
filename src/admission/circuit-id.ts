/** What a circuit guards: a model with a key, or (without a model) the key as a whole. No key where the provider has none. */
export interface CircuitId {
  readonly provider: string;
  readonly keyId: string | null;
  /** As the provider names it. */
  readonly model: string | null;
}

/** A circuit's name in the shared store. */
export function nameOf({ provider, keyId, model }: CircuitId): string {
  return JSON.stringify([provider, keyId, model]);
}

/** As its name, for this process alone: it is asked for many times a call. Only a model's name, a caller's words, may have line ends. */
export function keyOf({ provider, keyId, model }: CircuitId): string {
  const ofKey = `${provider}\n${keyId ?? ''}`;
  return model === null ? ofKey : `${ofKey}\n${model}`;
}

/** What a name of the shared store stands for; null if it is none. */
export function idOf(name: string): CircuitId | null {
  const [provider, keyId, model] = JSON.parse(name) as (string | null | undefined)[];
  return typeof provider === 'string' ? { provider, keyId: keyId ?? null, model: model ?? null } : null;
}
