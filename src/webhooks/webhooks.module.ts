import { type DynamicModule, Module } from '@nestjs/common';
import { EgressModule } from '../egress/egress.module.js';
import { DeliveriesRepository } from './deliveries.repository.js';
import { DeliveriesService } from './deliveries.service.js';
import { DeliveryCaller } from './delivery-caller.js';
import { DeliveryLeases } from './delivery-leases.js';
import { DeliveryStepsRepository } from './delivery-steps.repository.js';
import { DeliverySweeper } from './delivery-sweeper.js';
import { EndpointHealth } from './endpoint-health.js';
import { EndpointHealthRepository } from './endpoint-health.repository.js';
import { EndpointsController } from './endpoints.controller.js';
import { EndpointsRepository } from './endpoints.repository.js';
import { EndpointsService } from './endpoints.service.js';
import { EventRemover } from './event-remover.js';
import { EventRetentionRepository } from './event-retention.repository.js';
import { EventsRepository } from './events.repository.js';
import { SecretsRepository } from './secrets.repository.js';
import { SecretsService } from './secrets.service.js';
import { WebhooksController } from './webhooks.controller.js';
import { WebhooksProcessor } from './webhooks.processor.js';
import { WebhooksService } from './webhooks.service.js';

/** Every process can write events, and try a receiver; only workers send what happened. */
@Module({})
export class WebhooksModule {
  static forRoot({ worker }: { worker: boolean }): DynamicModule {
    return {
      module: WebhooksModule,
      imports: [EgressModule],
      controllers: [WebhooksController, EndpointsController],
      providers: [
        EventsRepository,
        DeliveryStepsRepository,
        DeliveriesRepository,
        EndpointsRepository,
        EndpointHealthRepository,
        SecretsRepository,
        WebhooksService,
        SecretsService,
        DeliveriesService,
        EndpointsService,
        EndpointHealth,
        DeliveryCaller,
        DeliveryLeases,
        ...(worker ? [WebhooksProcessor, DeliverySweeper, EventRemover, EventRetentionRepository] : []),
      ],
      exports: [WebhooksService],
    };
  }
}
