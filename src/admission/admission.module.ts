import { type DynamicModule, Module } from '@nestjs/common';
import { AdmissionService } from './admission.service.js';
import { CircuitBoard } from './circuit-board.js';
import { CircuitControl } from './circuit-control.js';
import { CircuitReporter } from './circuit-reporter.js';
import { CircuitSync } from './circuit-sync.js';
import { ProvidersController } from './providers.controller.js';
import { RecentAnswers } from './recent-answers.js';
import { SharedLimiter } from './shared-limiter.js';

/**
 * Every process has it: workers ask, and the API shows and sets what they have met. Global, because it is one for the
 * whole process: two boards would know half each.
 */
@Module({})
export class AdmissionModule {
  static forRoot(roles: { readonly api: boolean }): DynamicModule {
    return {
      module: AdmissionModule,
      global: true,
      controllers: roles.api ? [ProvidersController] : [],
      providers: [
        { provide: CircuitBoard, useFactory: () => new CircuitBoard() },
        RecentAnswers,
        CircuitSync,
        CircuitReporter,
        SharedLimiter,
        AdmissionService,
        ...(roles.api ? [CircuitControl] : []),
      ],
      exports: [AdmissionService],
    };
  }
}
