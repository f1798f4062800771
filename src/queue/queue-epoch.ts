import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { type SoftScript, SoftStore } from './soft-store.js';

/**
 * Who this Redis is: a key that is made once and goes with all the others when it is wiped, and the server's own id, which
 * is another after each start. A server that was killed may have lost its last second although the key came back.
 */
const READ_EPOCH: SoftScript = {
  name: 'epoch',
  lua: `
    local epoch = redis.call('GET', KEYS[1])
    if not epoch then
      epoch = ARGV[1]
      redis.call('SET', KEYS[1], epoch)
    end
    local info = redis.pcall('INFO', 'server')
    local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
    return { epoch, run }`,
};

/** Tells that the queue's store may have lost its messages. */
@Injectable()
export class QueueEpoch {
  constructor(private readonly store: SoftStore) {}

  /**
   * A question to be asked again and again: whether the store is another than when it was asked last. `note` is told who it is
   * when that is news to this process, and knows whether it is to everybody; what it throws is asked again.
   */
  watch(note: (epoch: string) => Promise<boolean>): () => Promise<boolean> {
    let known: string | null = null;
    return async () => {
      const epoch = await this.read();
      if (epoch === null || epoch === known) return false;
      const isNew = await note(epoch);
      known = epoch;
      return isNew;
    };
  }

  /**
   * A text that is another whenever messages that were sent before may be gone: after a wipe, a restart, a failover. Null
   * while nobody can tell, and where messages are kept in PostgreSQL, beside the jobs.
   */
  private async read(): Promise<string | null> {
    const answer = await this.store.run(READ_EPOCH, ['epoch'], [randomUUID()]);
    return Array.isArray(answer) ? answer.map(String).join('/') : null;
  }
}
