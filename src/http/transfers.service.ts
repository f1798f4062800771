import { setMaxListeners } from 'node:events';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { ApiError } from './api-error.js';
import { onlyWaits } from './request-place.js';

/** Knows when the uploads and downloads that are under way must end because this process does. */
@Injectable()
export class TransfersService implements OnModuleDestroy {
  private readonly controller = new AbortController();
  /** Aborted with an {@link ApiError} once a stopping process has waited its grace for them. */
  readonly cut = this.controller.signal;

  constructor(@Inject(APP_CONFIG) private readonly config: Pick<AppConfig, 'shutdownGraceMs'>) {
    // One for each transfer.
    setMaxListeners(0, this.cut);
  }

  /** Has a long reply cut off when this process must end; also one that is all sent, and that a slow client still takes in. */
  bound(reply: FastifyReply): void {
    const { raw } = reply;
    onlyWaits(reply);
    const cut = (): void => void raw.destroy();
    this.cut.addEventListener('abort', cut);
    raw.once('close', () => this.cut.removeEventListener('abort', cut));
  }

  onModuleDestroy(): void {
    const reason = new ApiError('shutting_down', 'This process is stopping. Try again in a moment.', {
      headers: { connection: 'close' },
    });
    setTimeout(() => this.controller.abort(reason), this.config.shutdownGraceMs).unref();
  }
}
