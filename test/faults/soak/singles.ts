/** Single jobs, so many a second whatever became of the ones before: each with a key of its own, a part with a webhook. */
import { setTimeout as delay } from 'node:timers/promises';
import type { StubbornClient } from './client.js';
import { MODELS } from './upstream.js';

/** A job that was accepted. */
export interface AcceptedJob {
  readonly id: string;
  readonly hasWebhook: boolean;
}

/** More at once would only wait at the APIs. */
const MOST_OPEN = 400;
const WEBHOOK_SHARE = 0.3;
const LOOK_EVERY_MS = 20;

export class Singles {
  /** By their numbers. */
  readonly accepted = new Map<number, AcceptedJob>();
  /** Replies that were neither 202 nor a reason to ask again, and submissions that were given up. */
  readonly wrong: string[] = [];
  /** How long each submission took from the first request to its 202, with all that had to be asked again. */
  readonly tookMs: number[] = [];
  private submitted = 0;
  private open = 0;

  constructor(
    private readonly client: StubbornClient,
    private readonly perSecond: number,
    private readonly hookUrl: string,
    private readonly draw: () => number,
  ) {}

  /** Submits until it is told to stop, and then waits for those under way; they are given up when `giveUp` is aborted. */
  async run(stop: AbortSignal, giveUp: AbortSignal): Promise<void> {
    for (let lastMs = performance.now(), owed = 0; !stop.aborted;) {
      await delay(LOOK_EVERY_MS);
      const nowMs = performance.now();
      owed += ((nowMs - lastMs) / 1_000) * this.perSecond;
      lastMs = nowMs;
      for (; owed >= 1; owed -= 1) if (this.open < MOST_OPEN) void this.submit(this.submitted++, giveUp);
    }
    while (this.open > 0) await delay(LOOK_EVERY_MS);
  }

  private async submit(number: number, giveUp: AbortSignal): Promise<void> {
    this.open += 1;
    const startedMs = performance.now();
    const hasWebhook = this.draw() < WEBHOOK_SHARE;
    const models = MODELS.map((model) => ({ model, place: this.draw() }))
      .sort((one, other) => one.place - other.place)
      .map(({ model }) => `up/${model}`);
    const body = {
      request: { models, messages: [{ role: 'user', content: `Job ${number}.` }] },
      metadata: { number: String(number) },
      ...(hasWebhook ? { webhook_url: this.hookUrl } : {}),
    };
    const headers = { 'content-type': 'application/json', 'idempotency-key': `single-${number}` };
    try {
      const { status, text } = await this.client.ask(
        'POST',
        '/v1/jobs',
        JSON.stringify(body),
        headers,
        giveUp,
      );
      if (status === 202)
        this.accept(number, { id: (JSON.parse(text) as { id: string }).id, hasWebhook }, startedMs);
      else this.wrong.push(`job ${number}: ${status} ${text}`);
    } catch (error) {
      this.wrong.push(`job ${number} was never accepted: ${String(error)}`);
    } finally {
      this.open -= 1;
    }
  }

  private accept(number: number, job: AcceptedJob, startedMs: number): void {
    this.accepted.set(number, job);
    this.tookMs.push(performance.now() - startedMs);
  }
}
