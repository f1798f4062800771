/** Gateway: the doors of OpenAI's API that need no job of their own to be kept. It must hold nothing, and call no provider. */
import { type DynamicModule, Module } from '@nestjs/common';
import { PoliciesModule } from '../policies/policies.module.js';
import { ModelsController } from './models.controller.js';

@Module({})
export class GatewayModule {
  static forRoot(roles: { readonly api: boolean }): DynamicModule {
    return {
      module: GatewayModule,
      imports: [PoliciesModule],
      controllers: roles.api ? [ModelsController] : [],
    };
  }
}
