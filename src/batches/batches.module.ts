import { type DynamicModule, Module } from '@nestjs/common';
import { IdempotencyModule } from '../http/idempotency.module.js';
import { TransfersService } from '../http/transfers.service.js';
import { BatchAdvancer } from './batch-advancer.js';
import { BatchDrawer } from './batch-drawer.js';
import { BatchEndings } from './batch-endings.js';
import { BatchIngest } from './batch-ingest.js';
import { BatchOutput } from './batch-output.js';
import { BatchRemover } from './batch-remover.js';
import { BatchRetentionRepository } from './batch-retention.repository.js';
import { BatchStepsRepository } from './batch-steps.repository.js';
import { BatchStreams } from './batch-streams.js';
import { BatchSweeper } from './batch-sweeper.js';
import { BatchesController } from './batches.controller.js';
import { BatchesProcessor } from './batches.processor.js';
import { BatchesRepository } from './batches.repository.js';
import { BatchesService } from './batches.service.js';
import { DraftsRepository } from './drafts.repository.js';
import { FileRemover } from './file-remover.js';
import { FileSweeper } from './file-sweeper.js';
import { FileTransfers } from './file-transfers.js';
import { FilesController } from './files.controller.js';
import { FilesRepository } from './files.repository.js';
import { FilesService } from './files.service.js';
import { LineResolver } from './line-resolver.js';

const API = [FileTransfers, TransfersService, BatchesService, BatchesRepository, BatchDrawer, BatchStreams];
const WORKER = [
  BatchesProcessor,
  BatchAdvancer,
  BatchIngest,
  BatchOutput,
  BatchEndings,
  BatchSweeper,
  BatchStepsRepository,
  DraftsRepository,
  FileSweeper,
  FileRemover,
  BatchRemover,
  BatchRetentionRepository,
  LineResolver,
];

@Module({})
export class BatchesModule {
  /** `jobs` is the module of the jobs room as this process has it: there must be one alone. */
  static forRoot(
    roles: { readonly api: boolean; readonly worker: boolean },
    jobs: DynamicModule,
  ): DynamicModule {
    return {
      module: BatchesModule,
      imports: [IdempotencyModule, jobs],
      controllers: roles.api ? [FilesController, BatchesController] : [],
      providers: [FilesRepository, FilesService, ...(roles.api ? API : []), ...(roles.worker ? WORKER : [])],
    };
  }
}
