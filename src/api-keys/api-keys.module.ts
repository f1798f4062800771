import { type DynamicModule, Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ApiKeyGuard } from './api-key.guard.js';
import { ADMIN_KEY, ApiKeysService } from './api-keys.service.js';

@Global()
@Module({})
export class ApiKeysModule {
  static forRoot(adminKey: string): DynamicModule {
    return {
      module: ApiKeysModule,
      providers: [
        { provide: ADMIN_KEY, useValue: adminKey },
        ApiKeysService,
        { provide: APP_GUARD, useClass: ApiKeyGuard },
      ],
      exports: [ApiKeysService],
    };
  }
}
