import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { NIL } from 'uuid';
import { SweepLoop } from '../queue/sweep-loop.js';
import { Blobs } from '../storage/blobs.js';
import { FilesRepository, type LeavingFile } from './files.repository.js';

const PERIOD_MS = 60_000;
const EXPIRED_AT_ONCE = 500;

/**
 * Removes, each minute, what nobody needs: files whose time is over, the bytes of deleted ones, and what was left by uploads
 * whose process is gone. Any number of processes may do it at once; each file is taken by one.
 */
@Injectable()
export class FileSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('FileSweeper');
  private readonly loop = new SweepLoop(() => this.sweep(), this.logger, PERIOD_MS);
  private isStopped = false;

  constructor(
    private readonly files: FilesRepository,
    private readonly blobs: Blobs,
  ) {}

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.isStopped = true;
    await this.loop.stop();
  }

  /** One sweep. Throws when the database is away. */
  async sweep(): Promise<void> {
    while (!this.isStopped && (await this.files.expire(EXPIRED_AT_ONCE)) === EXPIRED_AT_ONCE);
    let last: string | undefined = NIL;
    while (!this.isStopped && last !== undefined) {
      last = await this.files.removeNext(last, (file) => this.removeBytes(file));
    }
  }

  /** Answers whether the bytes are gone. A store that is away is no reason to leave those in another one. */
  private async removeBytes(file: LeavingFile): Promise<boolean> {
    try {
      await this.blobs.of(file.kept_in).remove(file.id);
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.logger.warn(`The bytes of a deleted file stay until the next try: ${reason}`);
      return false;
    }
  }
}
