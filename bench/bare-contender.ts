/** BullMQ with one HTTP call and nothing written down: a process that adds, and one that works. */
import type { Arena, QueueKind } from './arena.js';
import type { BareBullmq } from './bare-bullmq.js';
import type { CleanUp } from './clean-up.js';
import { type Contender, expectAll, type Work } from './contender.js';
import { type Round, startMeter } from './meter.js';
import { Part } from './part.js';

export class BareContender implements Contender {
  private constructor(
    private readonly arena: Arena,
    private readonly producer: Part<BareBullmq>,
    private readonly worker: Part<BareBullmq>,
  ) {}

  static async start(arena: Arena, kind: QueueKind, cleanUp: CleanUp): Promise<BareContender> {
    const storeUrl =
      kind === 'redis' ? arena.stores.redisUrl : await arena.stores.createDatabase(`bare_${kind}`);
    const open = async (): Promise<Part<BareBullmq>> => {
      const part = Part.start<BareBullmq>('bare-bullmq');
      cleanUp.later(() => part.stop());
      await part.ask('open', { storeUrl, upstreamUrl: arena.upstreamUrl, concurrency: arena.concurrency });
      return part;
    };
    return new BareContender(arena, await open(), await open());
  }

  /** All jobs wait before the first is run: from the first one's start to the last one's end. */
  async round({ jobs, isFlaky }: Work): Promise<Round> {
    const { producer, worker } = this;
    const callsBefore = await this.arena.upstream.ask('calls');
    await producer.ask('add', jobs);
    const meter = startMeter(this.arena.stores, [worker.pid]);
    await worker.ask('work', jobs, isFlaky);
    const seconds = await worker.ask('drained');
    const round = { ...meter(jobs), jobsPerSecond: jobs / seconds };
    expectAll(jobs, { calls: (await this.arena.upstream.ask('calls')) - callsBefore });
    return round;
  }

  /** Runs jobs one after the other; gives the time from adding to end of each, in milliseconds. */
  idle(jobs: number): Promise<number[]> {
    return this.worker.ask('run', jobs);
  }
}
