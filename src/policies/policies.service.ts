/** Policies: named fallback chains, versioned. Every change makes a new immutable version, and a job pins what it began with. */
import { createHash } from 'node:crypto';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DEFAULT_PROJECT_ID } from '../api-keys/principal.js';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { ApiError } from '../http/api-error.js';
import { BoundedCache } from '../providers/bounded-cache.js';
import { ProvidersService } from '../providers/providers.service.js';
import type { Chain } from '../routing/chain.js';
import { GroupCommit } from '../storage/group-commit.js';
import { checkPolicy, isPolicyName } from './check-policy.js';
import type { PolicyDto } from './policy.dto.js';
import { PoliciesRepository, type PolicyName, type PolicyRow } from './policies.repository.js';
import {
  chainOfModels,
  chainOfPolicy,
  policyNameOf,
  type Surroundings,
  unknownPolicy,
} from './resolve-chain.js';

/** A chain that a job can pin. */
export interface ResolvedChain {
  readonly chainId: string;
  /** What the caller asked for, as it is shown: `policy/x`, or the first model. */
  readonly model: string;
  readonly policy: { readonly name: string; readonly version: number } | null;
}

/** Chains never change, so they are remembered for as long as there is room. */
const MOST_CACHED_CHAINS = 1_000;

/** Keeps policies and resolves what a request names into a chain. */
@Injectable()
export class PoliciesService implements OnApplicationBootstrap {
  private readonly chainIds = new BoundedCache<Promise<string>>(MOST_CACHED_CHAINS);
  /** Who asks while others are answered is answered by the next look, which sees all that was written before. */
  private readonly lookups = new GroupCommit<PolicyName, PolicyRow>((wanted) =>
    this.repository.findAll(wanted),
  );
  private readonly chains = new BoundedCache<Promise<Chain>>(MOST_CACHED_CHAINS);

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly repository: PoliciesRepository,
    private readonly providers: ProvidersService,
  ) {}

  /** Gives the config file's policies their versions: a changed one gets the next. */
  async onApplicationBootstrap(): Promise<void> {
    for (const [name, raw] of this.config.policies) {
      const current = await this.repository.find({ projectId: DEFAULT_PROJECT_ID, name });
      if (current?.source === 'config' && JSON.stringify(current.body) === JSON.stringify(raw)) continue;
      await this.repository.put(DEFAULT_PROJECT_ID, name, 'config', raw);
    }
  }

  /** Makes a new version. Throws an ApiError when the policy is wrong, or stands in the config file. */
  async put(projectId: string, name: string, body: unknown): Promise<PolicyRow> {
    this.assertWritable(name);
    const policy = checkPolicy(name, body);
    const { name: _name, ...kept } = policy;
    // Two at once could each be sound, and a circle together.
    return this.repository.alone(projectId, async (repository) => {
      await chainOfPolicy(policy, name, 'steps', this.surroundings(projectId, repository));
      return repository.put(projectId, name, 'api', kept);
    });
  }

  /** Throws `unknown_policy` if there is none. */
  async get(projectId: string, name: string, param = 'name'): Promise<PolicyRow> {
    const row = await this.find(projectId, name);
    if (!row) throw unknownPolicy(name, param);
    return row;
  }

  async list(
    projectId: string,
    limit: number,
    after: string | null,
    descending: boolean,
  ): Promise<PolicyRow[]> {
    return this.repository.list(projectId, [...this.config.policies.keys()], limit, after, descending);
  }

  /** Also of a deleted policy. Throws `unknown_policy` if there never was one. */
  async versions(
    projectId: string,
    name: string,
    limit: number,
    after: number | null,
    descending: boolean,
  ): Promise<PolicyRow[]> {
    const rows = isPolicyName(name)
      ? await this.repository.versions(projectId, name, limit, after, descending)
      : [];
    if (rows.length === 0 && after === null) throw unknownPolicy(name, 'name');
    return rows;
  }

  /** One version, also of a deleted policy. Throws `unknown_policy` if it never was. */
  async version(projectId: string, name: string, version: number, param = 'version'): Promise<PolicyRow> {
    const row = isPolicyName(name) ? await this.repository.findVersion(projectId, name, version) : undefined;
    if (row) return row;
    throw new ApiError('unknown_policy', `Policy '${name.slice(0, 64)}' has no version ${version}.`, {
      param,
    });
  }

  /** Makes an old version the newest again, as a new version. */
  async restore(projectId: string, name: string, version: number): Promise<PolicyRow> {
    const old = await this.version(projectId, name, version);
    return this.put(projectId, name, old.body);
  }

  /** The chain of a policy that need not be kept anywhere. Throws an ApiError when it is wrong. */
  async chainOf(projectId: string, name: string, body: unknown): Promise<Chain> {
    return chainOfPolicy(checkPolicy(name, body), name, 'steps', this.surroundings(projectId));
  }

  /** Jobs that began with it run on. Throws when there is none, or it stands in the config file. */
  async delete(projectId: string, name: string): Promise<void> {
    this.assertWritable(name);
    if (!isPolicyName(name) || !(await this.repository.delete(projectId, name)))
      throw unknownPolicy(name, 'name');
  }

  /** Resolves `model` and/or `models` of a request. Throws an ApiError that names the field that is wrong. */
  async resolve(projectId: string, model: string | null, models: readonly string[]): Promise<ResolvedChain> {
    const around = this.surroundings(projectId);
    const named = [
      ...(model === null ? [] : [{ model, param: 'request.model' }]),
      ...models
        .map((each, index) => ({ model: each, param: `request.models.${index}` }))
        .filter((each) => each.model !== model),
    ];
    const [first, ...others] = named;
    if (!first)
      throw new ApiError(
        'missing_field',
        'request.model is missing: name a model (provider/model) or a policy (policy/name).',
        { param: 'request.model' },
      );
    const only = others.length === 0 ? policyNameOf(first.model) : null;
    if (only === null) {
      const chain = await chainOfModels(named, around);
      return { chainId: await this.keep(projectId, chain), model: first.model, policy: null };
    }
    const policy = await this.find(projectId, only);
    if (!policy) throw unknownPolicy(only, first.param);
    const chain = await chainOfPolicy(asDto(policy), only, first.param, around);
    return {
      chainId: await this.keep(projectId, chain),
      model: first.model,
      policy: { name: only, version: policy.version },
    };
  }

  /** The chain that a job pinned. */
  async chain(chainId: string): Promise<Chain> {
    return remembered(this.chains, chainId, async () => (await this.repository.findChain(chainId)) as Chain);
  }

  private surroundings(projectId: string, repository?: PoliciesRepository): Surroundings {
    return {
      whyUnknown: (model) => this.providers.whyUnknown(model),
      findPolicy: async (name) => {
        const raw = this.config.policies.get(name);
        if (raw !== undefined) return { body: checkPolicy(name, raw), version: 0 };
        const row = await this.find(projectId, name, repository);
        return row ? { body: asDto(row), version: row.version } : null;
      },
    };
  }

  /** A policy that was in the config file, and no longer is, is not there any more. */
  private async find(
    projectId: string,
    name: string,
    repository?: PoliciesRepository,
  ): Promise<PolicyRow | null> {
    if (!isPolicyName(name)) return null;
    const wanted = { projectId, name };
    const row = await (repository?.find(wanted) ?? this.lookups.put(wanted));
    if (!row || (row.source === 'config' && !this.config.policies.has(name))) return null;
    return row;
  }

  private assertWritable(name: string): void {
    if (!this.config.policies.has(name)) return;
    throw new ApiError('policy_read_only', `Policy '${name}' stands in the config file: change it there.`, {
      param: 'name',
    });
  }

  private async keep(projectId: string, chain: Chain): Promise<string> {
    const body = JSON.stringify(chain);
    const digest = createHash('sha256').update(body).digest();
    const key = `${projectId}:${digest.toString('base64')}`;
    return remembered(this.chainIds, key, () => this.repository.keepChain(projectId, digest, body));
  }
}

function asDto(row: PolicyRow): PolicyDto {
  // Checked when it was written.
  return row.body as unknown as PolicyDto;
}

/** What one caller has made is there for all; what failed is made anew by the next. */
async function remembered<Value>(
  cache: BoundedCache<Promise<Value>>,
  key: string,
  make: () => Promise<Value>,
): Promise<Value> {
  try {
    return await cache.get(key, make);
  } catch (error) {
    cache.delete(key);
    throw error;
  }
}
