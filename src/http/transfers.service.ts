import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { ApiError } from './api-error.js';

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

  /** The stream itself, which from now on is cut off when this process must end. */
  bounded(stream: Readable): Readable {
    const cut = (): void => void stream.destroy();
    this.cut.addEventListener('abort', cut);
    stream.once('close', () => this.cut.removeEventListener('abort', cut));
    return stream;
  }

  onModuleDestroy(): void {
    const reason = new ApiError('shutting_down', 'This process is stopping. Try again in a moment.');
    setTimeout(() => this.controller.abort(reason), this.config.shutdownGraceMs).unref();
  }
}
