import { type DynamicModule, Global, Module } from '@nestjs/common';
import { chooseBackend, type QueueSettings } from './queue-backend.js';
import { QueueEpoch } from './queue-epoch.js';
import { ON_DEAF, QUEUE_BACKEND, QueueService } from './queue.service.js';
import { SoftStore } from './soft-store.js';

/**
 * Gives everyone the bell, and processors their listeners. Nest's own module for BullMQ is not used on purpose: the bell must be
 * able to give up on a store that is away, and a listener to be built anew.
 */
@Global()
@Module({})
export class QueueModule {
  static forRoot(settings: QueueSettings): DynamicModule {
    const backend = chooseBackend(settings);
    return {
      module: QueueModule,
      providers: [
        { provide: QUEUE_BACKEND, useValue: backend },
        { provide: ON_DEAF, useValue: settings.onDeaf },
        { provide: SoftStore, useFactory: () => new SoftStore(settings.redisUrl, backend.prefix) },
        QueueEpoch,
        QueueService,
      ],
      exports: [QueueEpoch, QueueService, SoftStore],
    };
  }
}
