import { Injectable } from '@nestjs/common';
import type { Remover } from './remover.js';

/** Where rooms say how what is too old of theirs is removed. */
@Injectable()
export class RetentionService {
  private readonly known: Remover[] = [];

  /** To be called before the app has started. */
  register(remover: Remover): void {
    this.known.push(remover);
  }

  get removers(): readonly Remover[] {
    return this.known;
  }
}
