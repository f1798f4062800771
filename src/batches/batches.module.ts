import { type DynamicModule, Module } from '@nestjs/common';
import { FilesRepository } from './files.repository.js';
import { FilesService } from './files.service.js';

@Module({})
export class BatchesModule {
  static forRoot(_roles: { readonly api: boolean; readonly worker: boolean }): DynamicModule {
    return {
      module: BatchesModule,
      providers: [FilesRepository, FilesService],
    };
  }
}
