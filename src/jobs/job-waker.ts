import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { AdmissionService } from '../admission/admission.service.js';
import { QueueService } from '../queue/queue.service.js';
import { JobSweepsRepository } from './job-sweeps.repository.js';

/**
 * Calls jobs that wait for room at a model before their time, as soon as there is room: no slot of a limited model stays
 * empty while somebody waits for it. Missing a call does no harm: a job that is not woken is due later by itself.
 */
@Injectable()
export class JobWaker implements OnApplicationBootstrap {
  private readonly logger = new Logger('JobWaker');

  constructor(
    private readonly admission: AdmissionService,
    private readonly sweeps: JobSweepsRepository,
    private readonly queue: QueueService,
  ) {}

  onApplicationBootstrap(): void {
    this.admission.onRoom((parkedOn, room) => this.wake(parkedOn, room));
  }

  private async wake(parkedOn: string, room: number): Promise<number> {
    try {
      const bells = await this.sweeps.wake(parkedOn, room);
      if (!(await this.queue.ring('run-job', bells))) await this.sweeps.unring(bells.map(({ id }) => id));
      return bells.length;
    } catch (error) {
      this.logger.warn(`Could not wake who waits for ${parkedOn}: ${String(error)}`);
      return room;
    }
  }
}
