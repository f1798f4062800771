import { type DynamicModule, Module } from '@nestjs/common';
import { EgressModule } from '../egress/egress.module.js';
import { DeliverySweeper } from './delivery-sweeper.js';
import { WebhooksController } from './webhooks.controller.js';
import { WebhooksProcessor } from './webhooks.processor.js';
import { WebhooksRepository } from './webhooks.repository.js';
import { WebhooksService } from './webhooks.service.js';

/** Every process can write events; only workers send them. */
@Module({})
export class WebhooksModule {
  static forRoot({ worker }: { worker: boolean }): DynamicModule {
    return {
      module: WebhooksModule,
      imports: [EgressModule],
      controllers: [WebhooksController],
      providers: [
        WebhooksRepository,
        WebhooksService,
        ...(worker ? [WebhooksProcessor, DeliverySweeper] : []),
      ],
      exports: [WebhooksService],
    };
  }
}
