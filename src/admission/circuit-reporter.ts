import { Injectable, Logger } from '@nestjs/common';
import { MetricsService } from '../telemetry/metrics.service.js';
import { CircuitBoard, type CircuitChange, type CircuitView } from './circuit-board.js';
import { circuitName, reasonOf } from './refusal.js';

/** A provider that asks for less than this is no news. */
const LEAST_NEWS_MS = 5_000;

/** Tells operators of circuits that open and close: in the log, and as a metric. */
@Injectable()
export class CircuitReporter {
  private readonly logger = new Logger('Circuits');

  constructor(
    private readonly board: CircuitBoard,
    private readonly metrics: MetricsService,
  ) {
    board.onChange((change) => {
      this.log(change);
      this.count(change.after);
    });
  }

  private log({ before, after }: CircuitChange): void {
    const who = circuitName(after);
    if (after.state === 'open' && (before.state !== 'open' || after.isForced)) {
      const until = after.untilMs === null ? 'for good' : `until ${new Date(after.untilMs).toISOString()}`;
      this.logger[isNews(after) ? 'warn' : 'debug'](`${who} is left alone ${until}: ${reasonOf(after)}`);
    } else if (after.state === 'closed' && (before.state !== 'closed' || after.isForced)) {
      const why = after.isForced ? ', because an operator says so' : '';
      this.logger[isNews(before) ? 'log' : 'debug'](`${who} is used again${why}`);
    }
  }

  private count({ id: { provider } }: CircuitView): void {
    const open = this.board.list(provider).filter(({ state }) => state !== 'closed');
    const models = open.filter(({ id }) => id.model !== null).length;
    this.metrics.openCircuits.set({ provider, of: 'model' }, models);
    this.metrics.openCircuits.set({ provider, of: 'key' }, open.length - models);
  }
}

function isNews({ sinceMs, untilMs }: CircuitView): boolean {
  return sinceMs === null || untilMs === null || untilMs - sinceMs >= LEAST_NEWS_MS;
}
