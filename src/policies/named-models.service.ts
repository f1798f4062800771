import { Injectable } from '@nestjs/common';
import { ApiError } from '../http/api-error.js';
import { type ModelDescription, ProvidersService } from '../providers/providers.service.js';
import type { PolicyDto } from './policy.dto.js';
import type { PolicyRow } from './policies.repository.js';
import { PoliciesService } from './policies.service.js';
import { policyNameOf } from './resolve-chain.js';

/** Something that a request may name as its `model`. */
export interface NamedModel {
  /** `provider/model`, or `policy/name`. */
  readonly id: string;
  /** What is known of it; null for a policy, whose models differ. */
  readonly model: ModelDescription | null;
  /** Null for a model. */
  readonly policy: NamedPolicy | null;
}

interface NamedPolicy {
  readonly version: number;
  readonly description: string | null;
  /** What its steps name, in their order. */
  readonly models: readonly string[];
  /** When the current version was made. */
  readonly createdAt: Date;
}

/** How many policies are read at once. */
const PAGE = 500;

/** Tells what a request may name. */
@Injectable()
export class NamedModelsService {
  constructor(
    private readonly policies: PoliciesService,
    private readonly providers: ProvidersService,
  ) {}

  /** All that is known by its name, in the order of ids. Models that nobody has told of can be called as well. */
  async list(projectId: string): Promise<NamedModel[]> {
    const models = this.providers.knownModels().map((id) => this.ofModel(id));
    const policies = (await this.allPolicies(projectId)).map(ofPolicy);
    return [...models, ...policies].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** One of them, or any model that can be called. Throws `unknown_model` or `unknown_policy`. */
  async get(projectId: string, id: string): Promise<NamedModel> {
    const policy = policyNameOf(id);
    if (policy !== null) return ofPolicy(await this.policies.get(projectId, policy, 'model'));
    const problem = this.providers.whyUnknown(id);
    if (problem !== null) throw new ApiError('unknown_model', problem, { param: 'model' });
    return this.ofModel(id);
  }

  private ofModel(id: string): NamedModel {
    return { id, model: this.providers.describe(id), policy: null };
  }

  private async allPolicies(projectId: string): Promise<PolicyRow[]> {
    const rows: PolicyRow[] = [];
    for (let last: string | null = null; ;) {
      const page = await this.policies.list(projectId, PAGE, last, false);
      rows.push(...page);
      last = page.at(-1)?.name ?? null;
      if (page.length < PAGE) return rows;
    }
  }
}

function ofPolicy({ name, version, body, created_at: createdAt }: PolicyRow): NamedModel {
  // Checked when it was written.
  const { description = null, steps } = body as unknown as PolicyDto;
  const models = steps.map(({ model }) => model);
  return { id: `policy/${name}`, model: null, policy: { version, description, models, createdAt } };
}
