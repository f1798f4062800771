import { Injectable } from '@nestjs/common';
import type { ProviderConfig } from '../config/config.js';
import { AdmissionService } from './admission.service.js';
import { isProtected, keysOf } from './call-target.js';
import { CircuitBoard } from './circuit-board.js';
import type { CircuitView } from './circuit-view.js';
import { CircuitSync } from './circuit-sync.js';
import type { CircuitReplyDto, ProviderKeyReplyDto, ProviderReplyDto } from './provider-reply.dto.js';
import type { CircuitSettingDto } from './providers.dto.js';
import { reasonOf } from './refusal.js';

/** What operators see of providers, and what they say of circuits. */
@Injectable()
export class CircuitControl {
  constructor(
    private readonly board: CircuitBoard,
    private readonly sync: CircuitSync,
    private readonly admission: AdmissionService,
  ) {}

  /** Sets a circuit of each of the keys by hand (`model` begins with the provider's name and a slash), and tells the other processes before it resolves. */
  async set(
    provider: ProviderConfig,
    keyIds: readonly (string | null)[],
    { state, model, for_seconds: forSeconds }: CircuitSettingDto,
  ): Promise<void> {
    const name = model ? model.slice(provider.name.length + 1) : null;
    // First what others were told: of two words the later one is to hold.
    await this.sync.sync();
    const forMs = forSeconds === undefined || forSeconds === null ? null : forSeconds * 1_000;
    for (const keyId of keyIds) {
      this.board.setByHand({ provider: provider.name, keyId, model: name }, state, forMs);
    }
    await this.sync.sync();
  }

  /** A provider as users see it. It holds no secret. */
  show(provider: ProviderConfig): ProviderReplyDto {
    const { name, kind, limits } = provider;
    const views = this.board.list(name);
    return {
      object: 'provider',
      name,
      kind,
      base_url: withoutSecrets(provider.baseUrl),
      is_protected: isProtected(provider),
      limits: {
        rpm: limits?.rpm ?? null,
        tpm: limits?.tpm ?? null,
        concurrency: limits?.concurrency ?? null,
      },
      keys: keysOf(provider).map((keyId) => this.showKey(name, keyId, views)),
    };
  }

  private showKey(
    provider: string,
    keyId: string | null,
    views: readonly CircuitView[],
  ): ProviderKeyReplyDto {
    const view = this.board.view({ provider, keyId, model: null });
    return {
      id: keyId,
      state: view.state === 'closed' ? 'ready' : 'resting',
      ...stateOf(view),
      circuits: views
        .filter(({ id }) => id.keyId === keyId)
        .flatMap((each) => (each.id.model === null ? [] : [this.showCircuit(each, each.id.model)]))
        .sort((a, b) => (a.model < b.model ? -1 : 1)),
    };
  }

  private showCircuit(view: CircuitView, model: string): CircuitReplyDto {
    const { provider, keyId } = view.id;
    const name = `${provider}/${model}`;
    const latencyMs = this.admission.latencyMsOf(name);
    const caps = [view.cap, this.admission.borneAtOnce(name, keyId)].filter((cap) => cap !== null);
    return {
      model: name,
      state: view.state,
      ...stateOf(view),
      last_failure: view.lastFailure && {
        class: view.lastFailure.class,
        at: Math.floor(view.lastFailure.atMs / 1_000),
      },
      successes: view.successes,
      failures: view.failures,
      calls_at_once: caps.length === 0 ? null : Math.min(...caps),
      latency_ms: latencyMs === null ? null : Math.round(latencyMs),
    };
  }
}

function stateOf(view: CircuitView) {
  return {
    is_forced: view.isForced,
    since_at: view.sinceMs === null ? null : Math.floor(view.sinceMs / 1_000),
    until_at: view.untilMs === null ? null : Math.ceil(view.untilMs / 1_000),
    reason: view.state === 'closed' && !view.isForced ? null : reasonOf(view),
  };
}

/** Null where there is none. A query may hold a secret. */
function withoutSecrets(baseUrl: string): string | null {
  if (!URL.canParse(baseUrl)) return null;
  const { origin, pathname } = new URL(baseUrl);
  return `${origin}${pathname}`.replace(/\/$/, '');
}
