import { Injectable } from '@nestjs/common';
import { SecretSeal } from '../storage/seal.js';
import type { RotateSecretDto } from './endpoint.dto.js';
import { GRACE } from './grace.js';
import { type SecretOwner, SecretsRepository } from './secrets.repository.js';
import { newSecret } from './sign.js';

/** The seconds that a request to rotate names, in either of its ways. */
export function graceOf(dto: RotateSecretDto): number {
  const { grace_seconds: seconds, keep_old_secret_active_for_24_hours: isKept } = dto;
  return seconds ?? (isKept === false ? 0 : GRACE.normal);
}

/** The secrets that sign: kept sealed, opened only to sign, and shown when they are new. */
@Injectable()
export class SecretsService {
  constructor(
    private readonly repository: SecretsRepository,
    private readonly seal: SecretSeal,
  ) {}

  /**
   * The secret that signs what goes to a job's own `webhook_url`: `whsec_…`, made when it is first asked for; the same for
   * all who ask at once. Throws if the project does not exist or the secret does not open (see {@link SecretSeal.open}).
   */
  async ofProject(projectId: string): Promise<string> {
    const owner = { projectId, endpointId: null };
    const sealed =
      (await this.repository.current(owner)) ??
      (await this.repository.keepFirst(projectId, this.sealed(newSecret(), owner)));
    return this.open(sealed, owner);
  }

  /** All that sign now, the newest first: several while one is rotated. */
  async signing(owner: SecretOwner): Promise<string[]> {
    const current =
      owner.endpointId === null ? await this.ofProject(owner.projectId) : await this.ofEndpoint(owner);
    const old = await this.repository.old(owner);
    return [current, ...old.map((sealed) => this.open(sealed, owner))];
  }

  /** Gives the project a new default secret; the one before signs beside it for so long. */
  async rotateProject(projectId: string, graceSeconds: number): Promise<string> {
    const owner = { projectId, endpointId: null };
    const secret = newSecret();
    await this.repository.transaction(async (trx) => {
      const before = await this.repository.replaceDefault(trx, projectId, this.sealed(secret, owner));
      if (before !== null) await this.repository.retire(trx, owner, before, graceSeconds);
    });
    return secret;
  }

  /** A secret as it is kept. It opens for this owner only. */
  sealed(secret: string, owner: SecretOwner): Buffer {
    return this.seal.seal(secret, placeOf(owner));
  }

  private async ofEndpoint(owner: SecretOwner): Promise<string> {
    const sealed = await this.repository.current(owner);
    if (!sealed) throw new Error(`The endpoint ${owner.endpointId} has no secret`);
    return this.open(sealed, owner);
  }

  private open(sealed: Buffer, owner: SecretOwner): string {
    return this.seal.open(sealed, placeOf(owner));
  }
}

/** Where a secret is kept, current or rotated; what is kept elsewhere does not open. */
function placeOf({ projectId, endpointId }: SecretOwner): string {
  return endpointId === null ? `projects|${projectId}` : `webhook_endpoints|${endpointId}`;
}
