import { nearestName } from '../config/nearest-name.js';
import { PROVIDER_PRESETS } from '../config/provider-presets.js';
import { splitModel } from './adapter.js';
import { SIM_MODELS } from './sim.js';

/** The names of the providers that are switched on: a set of them, or a map by them. */
export interface ProviderNames {
  has(name: string): boolean;
  keys(): IterableIterator<string>;
}

const MAX_MODEL_LENGTH = 256;

/**
 * Null if `provider/model` can be called, else a sentence that says what is wrong and what would be right. Any model name is
 * taken at a provider that is switched on, because only the provider knows which it has; those of `sim` are known.
 */
export function whyUnknown(model: string, providers: ProviderNames): string | null {
  if (model.length > MAX_MODEL_LENGTH || /[\p{Cc}\p{Surrogate}]/u.test(model)) {
    return `A model's name has at most ${MAX_MODEL_LENGTH} characters, and no control characters or halves of surrogate pairs among them.`;
  }
  const whatIsOn = `Switched on: ${[...providers.keys()].join(', ')}.`;
  const parts = splitModel(model);
  if (parts === null) return `\`${model}\` is not a model: write it as provider/model. ${whatIsOn}`;
  const { provider, name } = parts;
  if (providers.has(provider)) return provider === 'sim' ? whyUnknownSim(name) : null;
  const preset = Object.hasOwn(PROVIDER_PRESETS, provider) ? PROVIDER_PRESETS[provider] : undefined;
  if (preset !== undefined) {
    return `The provider \`${provider}\` is not switched on: set ${preset.keyEnv}. ${whatIsOn}`;
  }
  const near = nearestName(provider, [...providers.keys(), ...Object.keys(PROVIDER_PRESETS)]);
  const hint = near === null ? '' : ` Did you mean \`${near}/${name}\`?`;
  return `There is no provider \`${provider}\`.${hint} ${whatIsOn}`;
}

function whyUnknownSim(name: string): string | null {
  if (Object.hasOwn(SIM_MODELS, name)) return null;
  const names = Object.keys(SIM_MODELS);
  const near = nearestName(name, names);
  const hint = near === null ? '' : ` Did you mean \`sim/${near}\`?`;
  return `There is no model \`sim/${name}\`.${hint} There are ${names.map((one) => `sim/${one}`).join(', ')}.`;
}
