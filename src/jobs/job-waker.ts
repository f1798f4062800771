import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { AdmissionService } from '../admission/admission.service.js';
import { Dispatcher } from './dispatcher.js';
import { JobDispatchRepository } from './job-dispatch.repository.js';

/**
 * Calls jobs that wait for room at a model before their time, as soon as there is room: no slot of a limited model stays
 * empty while somebody waits for it. Missing a call does no harm: a job that is not woken is due later by itself.
 */
@Injectable()
export class JobWaker implements OnApplicationBootstrap {
  private readonly logger = new Logger('JobWaker');

  constructor(
    private readonly admission: AdmissionService,
    private readonly dispatch: JobDispatchRepository,
    private readonly dispatcher: Dispatcher,
  ) {}

  onApplicationBootstrap(): void {
    this.admission.onRoom((parkedOn, room) => this.wake(parkedOn, room));
  }

  private async wake(parkedOn: string, room: number): Promise<number> {
    try {
      const bells = await this.dispatch.wake(parkedOn, room);
      await this.dispatcher.ring(bells);
      return bells.length;
    } catch (error) {
      this.logger.warn(`Could not wake who waits for ${parkedOn}: ${String(error)}`);
      return room;
    }
  }
}
