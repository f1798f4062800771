import {
  needsOf,
  type RequestNeeds,
  whyIncompatible,
  type WindowToExceed,
  windowToExceed,
} from '../routing/compatibility.js';
import type { Endpoint } from './adapter.js';
import type { ProvidersService } from './providers.service.js';

/** How a request and a model fit together, told before any call. */
export interface Fit {
  readonly needs: RequestNeeds;
  /** Why the model can't take it after these models found it too long; null if it can, or if that is not known. */
  readonly whyNot: (tooLongFor: readonly string[]) => string | null;
}

/** Holds the request, as it would be sent, against the model: its wire format, and what is known of it. */
export function fitOf(
  providers: Pick<ProvidersService, 'factsOf' | 'whyNot'>,
  model: string,
  endpoint: Endpoint,
  body: Readonly<Record<string, unknown>>,
): Fit {
  const needs = needsOf(body, endpoint);
  const ofFormat = providers.whyNot(model, endpoint, body);
  const windowOf = (tooSmall: string): WindowToExceed => {
    return { model: tooSmall, tokens: providers.factsOf(tooSmall).contextWindow ?? 0 };
  };
  return {
    needs,
    whyNot: (tooLongFor) =>
      ofFormat ?? whyIncompatible(providers.factsOf(model), needs, windowToExceed(tooLongFor.map(windowOf))),
  };
}
