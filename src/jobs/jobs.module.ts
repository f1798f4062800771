import { type DynamicModule, Module } from '@nestjs/common';
import { IdempotencyModule } from '../http/idempotency.module.js';
import { PoliciesModule } from '../policies/policies.module.js';
import { ProvidersModule } from '../providers/providers.module.js';
import { WebhooksModule } from '../webhooks/webhooks.module.js';
import { BatchBell } from './batch-bell.js';
import { BatchJobsService } from './batch-jobs.service.js';
import { BatchLinesRepository } from './batch-lines.repository.js';
import { BatchResultsRepository } from './batch-results.repository.js';
import { BatchTalliesRepository } from './batch-tallies.repository.js';
import { Dispatcher } from './dispatcher.js';
import { JobDispatchRepository } from './job-dispatch.repository.js';
import { LineDispatchRepository } from './line-dispatch.repository.js';
import { JobEndings } from './job-endings.js';
import { JobForgetter } from './job-forgetter.js';
import { JobForgettingRepository } from './job-forgetting.repository.js';
import { JobGates } from './job-gates.js';
import { JobRemover } from './job-remover.js';
import { JobRetentionRepository } from './job-retention.repository.js';
import { JobRunner } from './job-runner.js';
import { JobRunsRepository } from './job-runs.repository.js';
import { JobSweeper } from './job-sweeper.js';
import { JobSweepsRepository } from './job-sweeps.repository.js';
import { JobWaiter } from './job-waiter.js';
import { JobWaker } from './job-waker.js';
import { RunPreparer } from './run-preparer.js';
import { RunWriter } from './run-writer.js';
import { JobsController } from './jobs.controller.js';
import { JobsProcessor } from './jobs.processor.js';
import { JobsRepository } from './jobs.repository.js';
import { JobsService } from './jobs.service.js';
import { LeaseKeeper } from './lease-keeper.js';
import { PolicyStatsController } from './policy-stats.controller.js';
import { PolicyStatsRepository } from './policy-stats.repository.js';
import { PolicyStatsService } from './policy-stats.service.js';
import { WaitingLoad } from './waiting-load.js';
import { WaitingLoadRepository } from './waiting-load.repository.js';

@Module({})
export class JobsModule {
  static forRoot(roles: { readonly api: boolean; readonly worker: boolean }): DynamicModule {
    return {
      module: JobsModule,
      imports: [IdempotencyModule, PoliciesModule, ProvidersModule, WebhooksModule.forRoot(roles)],
      controllers: roles.api ? [JobsController, PolicyStatsController] : [],
      providers: [
        JobsRepository,
        JobRunsRepository,
        JobSweepsRepository,
        JobDispatchRepository,
        LineDispatchRepository,
        JobRetentionRepository,
        BatchLinesRepository,
        BatchTalliesRepository,
        BatchResultsRepository,
        BatchBell,
        BatchJobsService,
        JobEndings,
        JobWaiter,
        ...(roles.api
          ? [JobsService, PolicyStatsService, PolicyStatsRepository, WaitingLoad, WaitingLoadRepository]
          : []),
        ...(roles.worker
          ? [
              JobsProcessor,
              JobRunner,
              RunPreparer,
              RunWriter,
              JobGates,
              JobWaker,
              LeaseKeeper,
              Dispatcher,
              JobSweeper,
              JobRemover,
              JobForgetter,
              JobForgettingRepository,
            ]
          : []),
      ],
      exports: [BatchJobsService, ...(roles.api ? [WaitingLoad] : []), PoliciesModule, WebhooksModule],
    };
  }
}
