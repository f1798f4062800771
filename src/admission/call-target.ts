/** What stands between a call and its model, as the config says: keys, circuits and limits, with their names. */
import type { AppConfig, ProviderConfig } from '../config/config.js';
import { findModel, type KnownModel } from '../providers/adapter.js';
import type { CircuitId } from './circuit-id.js';
import type { NamedLimits } from './limiter.js';

/** A model of a provider that is switched on. */
export interface Target extends KnownModel {
  /** `provider/model`. */
  readonly model: string;
}

/** Null for what is no model of a provider that is switched on. */
export function targetOf(config: AppConfig, model: string): Target | null {
  const known = findModel(config.providers, model);
  return known && { model, ...known };
}

/** The provider's keys; one that is none, where it has none. */
export function keysOf({ apiKeys }: ProviderConfig): (string | null)[] {
  return apiKeys.length === 0 ? [null] : apiKeys.map(({ id }) => id);
}

/** True if the provider has circuits: `sim` only plays, and others may be left to themselves by the config. */
export function isProtected({ protect, kind }: ProviderConfig): boolean {
  return protect && kind !== 'sim';
}

/** The circuits that a call goes through: the key's, and the model's with this key. */
export function circuitsOf({ provider, name }: Target, keyId: string | null): CircuitId[] {
  if (!isProtected(provider)) return [];
  return [
    { provider: provider.name, keyId, model: null },
    { provider: provider.name, keyId, model: name },
  ];
}

/** The limits that a call must find room in. */
export function limitsOf(config: AppConfig, target: Target, keyId: string | null): NamedLimits[] {
  const { provider, model, name } = target;
  const key = keyId === null ? provider.name : `${provider.name}/${keyId}`;
  const ofModel = config.models.get(model)?.limits;
  return [
    ...(provider.limits ? [{ name: key, limits: provider.limits }] : []),
    ...(ofModel ? [{ name: `${key}/${name}`, limits: ofModel }] : []),
  ];
}

/** By which name it is known how many calls at once the model bears with the key. */
export function borneName(model: string, keyId: string | null): string {
  return `${keyId ?? ''} ${model}`;
}
