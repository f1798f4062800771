import { type DynamicModule, Module } from '@nestjs/common';
import { TransfersService } from '../http/transfers.service.js';
import { FileTransfers } from './file-transfers.js';
import { FilesController } from './files.controller.js';
import { FilesRepository } from './files.repository.js';
import { FilesService } from './files.service.js';

@Module({})
export class BatchesModule {
  static forRoot(roles: { readonly api: boolean; readonly worker: boolean }): DynamicModule {
    return {
      module: BatchesModule,
      controllers: roles.api ? [FilesController] : [],
      providers: [FilesRepository, FilesService, ...(roles.api ? [FileTransfers, TransfersService] : [])],
    };
  }
}
