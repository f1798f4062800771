import { BullModule } from '@nestjs/bullmq';
import { type DynamicModule, Global, Module } from '@nestjs/common';
import { chooseBackend, type QueueSettings } from './queue-backend.js';
import { QUEUE_BACKEND, QueueService } from './queue.service.js';
import { SoftStore } from './soft-store.js';

/**
 * Gives everyone the bell, and processors their connection. Queues are not registered with Nest on purpose: the bell
 * must be able to give up on a store that is away, and close without it.
 */
@Global()
@Module({})
export class QueueModule {
  static forRoot(settings: QueueSettings): DynamicModule {
    const backend = chooseBackend(settings);
    return {
      module: QueueModule,
      imports: [
        BullModule.forRoot({ connection: backend.connection, prefix: backend.prefix }),
        BullModule.registerQueue(),
      ],
      providers: [
        { provide: QUEUE_BACKEND, useValue: backend },
        { provide: SoftStore, useFactory: () => new SoftStore(settings.redisUrl, backend.prefix) },
        QueueService,
      ],
      exports: [QueueService, SoftStore],
    };
  }
}
