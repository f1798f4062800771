import { Injectable } from '@nestjs/common';
import { ApiError } from '../http/api-error.js';
import type { NewLine } from '../jobs/batch-jobs.service.js';
import { chainNames } from '../jobs/chain-names.js';
import { PoliciesService, type ResolvedChain } from '../policies/policies.service.js';
import { type CheckedLine, flawOfError, type LineFlaw, type Reject } from './check-line.js';

/** Lines of one batch name few models; where each names another one, the same is asked again. */
const MOST_REMEMBERED = 1_000;
/** Nobody names so much twice, and it would be kept for nothing. */
const LONGEST_REMEMBERED = 10_000;

/** A line that can become a job. */
export type ResolvedLine = Omit<NewLine, 'id'>;

/** Finds the chain that a line names. */
@Injectable()
export class LineResolver {
  constructor(private readonly policies: PoliciesService) {}

  /** Resolves the lines of one project, remembering what they name; a line that names what is not there is turned away. */
  forBatch(projectId: string): (line: CheckedLine) => Promise<ResolvedLine | Reject> {
    const remembered = new Map<string, Promise<ResolvedChain | LineFlaw>>();
    return async (line) => {
      const named = JSON.stringify(line.names);
      let found = remembered.get(named);
      if (!found) {
        if (remembered.size >= MOST_REMEMBERED) remembered.clear();
        found = this.resolve(projectId, line.names);
        if (named.length <= LONGEST_REMEMBERED) remembered.set(named, found);
      }
      const chain = await found;
      if ('code' in chain) return { line: line.line, customId: line.customId, ...chain };
      return {
        line: line.line,
        customId: line.customId,
        model: chain.model,
        policy: chain.policy,
        chainId: chain.chainId,
        request: line.request,
      };
    };
  }

  private async resolve(projectId: string, names: CheckedLine['names']): Promise<ResolvedChain | LineFlaw> {
    try {
      const { model, models } = chainNames(names);
      return await this.policies.resolve(projectId, model, models);
    } catch (error) {
      if (error instanceof ApiError) return flawOfError(error);
      throw error;
    }
  }
}
