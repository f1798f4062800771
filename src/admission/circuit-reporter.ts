import { Inject, Injectable, Logger } from '@nestjs/common';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { MetricsService } from '../telemetry/metrics.service.js';
import { isProtected } from './call-target.js';
import { CircuitBoard } from './circuit-board.js';
import type { CircuitChange, CircuitView } from './circuit-view.js';
import { circuitName, reasonOf } from './refusal.js';

/** A provider that asks for less than this is no news. */
const LEAST_NEWS_MS = 5_000;

/** Tells operators of circuits that open and close: in the log, and as a metric. */
@Injectable()
export class CircuitReporter {
  private readonly logger = new Logger('Circuits');

  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly board: CircuitBoard,
    private readonly metrics: MetricsService,
  ) {
    board.onChange((change) => this.log(change));
    // Not at each change: a circuit stops being open by the passing of time, even if nobody asks for it any more.
    metrics.beforeScrape(() => this.count());
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

  private count(): void {
    for (const provider of this.config.providers.values()) {
      if (!isProtected(provider)) continue;
      const open = this.board.list(provider.name).filter(({ state }) => state === 'open');
      const models = open.filter(({ id }) => id.model !== null).length;
      this.metrics.openCircuits.set({ provider: provider.name, of: 'model' }, models);
      this.metrics.openCircuits.set({ provider: provider.name, of: 'key' }, open.length - models);
    }
  }
}

function isNews({ sinceMs, untilMs }: CircuitView): boolean {
  return sinceMs === null || untilMs === null || untilMs - sinceMs >= LEAST_NEWS_MS;
}
