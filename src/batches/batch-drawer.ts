import { Injectable } from '@nestjs/common';
import { ApiError } from '../http/api-error.js';
import { jsonOf } from '../http/kept-json.js';
import { BatchJobsService, type LineRequest } from '../jobs/batch-jobs.service.js';
import type { Load } from '../jobs/waiting-load.js';
import { PoliciesService } from '../policies/policies.service.js';
import { PRIORITIES } from '../queue/queues.js';
import type { DatabaseOrTransaction } from '../storage/database.js';
import { toPublicId } from '../storage/ids.js';
import { WebhooksService } from '../webhooks/webhooks.service.js';
import type { CreateBatchDto } from './batch.dto.js';
import { BatchesRepository, type BatchRow, type NewBatch } from './batches.repository.js';
import { WINDOW_RULE, windowSeconds } from './completion-window.js';
import { FILE_LIFE } from './file-terms.js';
import type { FileRow } from './files.repository.js';
import { FilesService, fileUuid } from './files.service.js';
import { inlineLines } from './inline-lines.js';
import { parseExpiry } from './parse-expiry.js';

type Draft = Omit<NewBatch, 'id'>;
type EndedStatus = 'failed' | 'expired' | 'cancelled';

/** Draws up a batch from what a caller asks for, and makes its input file where the caller gave none. */
@Injectable()
export class BatchDrawer {
  constructor(
    private readonly batches: BatchesRepository,
    private readonly files: FilesService,
    private readonly jobs: BatchJobsService,
    private readonly policies: PoliciesService,
    private readonly webhooks: WebhooksService,
  ) {}

  /** Throws an ApiError that names the field that is wrong. */
  async draw(projectId: string, dto: CreateBatchDto): Promise<Draft> {
    const seconds = windowSeconds(dto.completion_window);
    if (seconds === null) throw invalid('completion_window', WINDOW_RULE);
    const outputExpiresInSeconds =
      parseExpiry(dto.output_expires_after ?? null, 'output_expires_after') ?? FILE_LIFE.normal;
    const webhookUrl = dto.webhook_url ?? null;
    if (webhookUrl !== null) await this.webhooks.checkUrl(webhookUrl);
    if (dto.model !== undefined && dto.model !== null) await this.checkModel(projectId, dto.model);
    const input = await this.inputOf(projectId, dto);
    return {
      projectId,
      endpoint: dto.endpoint,
      completionWindow: dto.completion_window,
      windowSeconds: seconds,
      model: dto.model ?? null,
      webhookUrl,
      priority: PRIORITIES[dto.priority ?? 'normal'],
      metadata: dto.metadata ?? {},
      inputFileId: input.id,
      outputExpiresInSeconds,
      maxCostMicros: dto.max_cost_usd == null ? null : Math.round(dto.max_cost_usd * 1e6),
      maxErrorRate: dto.max_error_rate ?? null,
      acceptInvalidLines: dto.accept_invalid_lines ?? false,
      dedupe: dto.dedupe ?? false,
      retryOf: null,
    };
  }

  /** A batch like an ended one, of its lines that ended in one of these ways. Throws an ApiError if there are none. */
  async redraw(row: BatchRow, statuses: readonly EndedStatus[]): Promise<Draft> {
    const first = await this.jobs.requests(row.id, statuses, null);
    if (first.length === 0) {
      throw new ApiError('nothing_to_retry', `No line of the batch is ${statuses.join(' or ')}.`);
    }
    const { row: input } = await this.files.make(
      row.project_id,
      {
        purpose: 'batch',
        filename: `${toPublicId('batch', row.id)}_retry.jsonl`,
        expiresInSeconds: FILE_LIFE.normal,
      },
      this.linesOf(row, statuses, first),
    );
    return {
      projectId: row.project_id,
      endpoint: row.endpoint,
      completionWindow: row.completion_window,
      windowSeconds: windowSeconds(row.completion_window) ?? 0,
      model: row.model,
      webhookUrl: row.webhook_url,
      priority: row.priority,
      metadata: row.metadata,
      inputFileId: input.id,
      outputExpiresInSeconds: row.output_expires_in,
      maxCostMicros: row.max_cost_micros,
      maxErrorRate: row.max_error_rate,
      acceptInvalidLines: row.accept_invalid_lines,
      dedupe: row.dedupe,
      retryOf: row.id,
    };
  }

  /** Writes the batch down, while nobody can delete its input. Throws if the input is gone. */
  async insert(trx: DatabaseOrTransaction, batch: NewBatch): Promise<BatchRow> {
    await this.files.hold(trx, batch.projectId, batch.inputFileId, 'input_file_id');
    return this.batches.insert(trx, batch);
  }

  private async inputOf(projectId: string, dto: CreateBatchDto): Promise<FileRow> {
    const { input_file_id: fileId, requests } = dto;
    if ((fileId == null) === (requests == null)) {
      throw new ApiError(
        fileId == null ? 'missing_field' : 'invalid_value',
        'Give either input_file_id, a file of purpose batch, or requests, the requests themselves.',
        { param: 'input_file_id' },
      );
    }
    if (fileId == null) return this.fileOf(projectId, dto.endpoint, requests ?? []);
    const param = 'input_file_id';
    const file = await this.files.get(projectId, fileUuid(fileId, param), param);
    if (file.purpose !== 'batch') {
      throw invalid(param, `must be a file of purpose 'batch'; this one is '${file.purpose}'`);
    }
    return file;
  }

  /** Inline requests as an input file, each with the line that it would have in one. */
  private async fileOf(projectId: string, endpoint: string, requests: readonly unknown[]): Promise<FileRow> {
    const description = {
      purpose: 'batch',
      filename: 'requests.jsonl',
      expiresInSeconds: FILE_LIFE.normal,
    } as const;
    return (await this.files.make(projectId, description, inlineLines(endpoint, requests))).row;
  }

  private async *linesOf(
    row: BatchRow,
    statuses: readonly EndedStatus[],
    first: readonly LineRequest[],
  ): AsyncGenerator<Buffer> {
    for (let page = first; page.length > 0;) {
      const text = page.map(
        ({ customId, request }) =>
          `{"custom_id":${JSON.stringify(customId)},"method":"POST","url":"${row.endpoint}","body":${request}}\n`,
      );
      yield Buffer.from(text.join(''));
      page = await this.jobs.requests(row.id, statuses, page.at(-1)?.jobId ?? null);
    }
  }

  private async checkModel(projectId: string, model: string): Promise<void> {
    try {
      await this.policies.resolve(projectId, model, []);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw new ApiError(error.code, error.message.replaceAll('request.model', 'model'), { param: 'model' });
    }
  }
}

/** What the requests of a body come to; those of a file are not counted yet. */
export function sizeOf({ requests }: CreateBatchDto): Load {
  const bytes = (requests ?? []).reduce<number>((sum, each) => sum + jsonOf(each).length, 0);
  return { jobs: requests?.length ?? 0, bytes };
}

function invalid(param: string, predicate: string): ApiError {
  return new ApiError('invalid_value', `${param} ${predicate}.`, { param });
}
