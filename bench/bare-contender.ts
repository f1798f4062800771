/** BullMQ with one HTTP call and nothing written down: a process that adds, and one that works. */
import type { Arena } from './arena.js';
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

  static async start(arena: Arena, cleanUp: CleanUp): Promise<BareContender> {
    const open = async (): Promise<Part<BareBullmq>> => {
      const part = Part.start<BareBullmq>('bare-bullmq', cleanUp);
      const { stores, upstreamUrl, concurrency } = arena;
      await part.ask('open', { redisUrl: stores.redisUrl, upstreamUrl, concurrency });
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
}
