import { type DynamicModule, Global, Module } from '@nestjs/common';
import { KeptProjectsRepository } from './kept-projects.repository.js';
import { RetentionService } from './retention.service.js';
import { RetentionSweeper } from './retention-sweeper.js';

/** Every room may say what it keeps; only workers remove. */
@Global()
@Module({})
export class RetentionModule {
  static forRoot({ worker }: { readonly worker: boolean }): DynamicModule {
    return {
      module: RetentionModule,
      providers: [RetentionService, ...(worker ? [KeptProjectsRepository, RetentionSweeper] : [])],
      exports: [RetentionService],
    };
  }
}
