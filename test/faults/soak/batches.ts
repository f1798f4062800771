/** Batches from files, one after the other: the next is made when the last one has ended. */
import { setTimeout as delay } from 'node:timers/promises';
import type { StubbornClient } from './client.js';

/** A batch that was accepted. */
export interface AcceptedBatch {
  readonly id: string;
  readonly customIds: readonly string[];
  readonly acceptedMs: number;
  /** Null until it has ended. */
  endedMs: number | null;
}

/** What is looked at in a reply. */
export interface SeenBatch {
  readonly id: string;
  readonly status: string;
  readonly output_file_id: string | null;
  readonly error_file_id: string | null;
}

const ENDED = ['completed', 'failed', 'expired', 'cancelled'];
const LOOK_EVERY_MS = 500;

export class Batches {
  readonly accepted: AcceptedBatch[] = [];
  /** Replies that were neither good nor a reason to ask again. */
  readonly wrong: string[] = [];

  constructor(
    private readonly client: StubbornClient,
    private readonly lines: number,
  ) {}

  /** How many lines were accepted. */
  get lineCount(): number {
    return this.accepted.reduce((sum, { customIds }) => sum + customIds.length, 0);
  }

  /** Makes one batch after the other while `mayGoOn`, and waits for the end of each. Throws when `giveUp` is aborted before. */
  async run(mayGoOn: () => boolean, giveUp: AbortSignal): Promise<void> {
    while (mayGoOn() && this.wrong.length === 0) {
      const batch = await this.make(this.accepted.length, giveUp);
      if (!batch) continue;
      this.accepted.push(batch);
      while (!ENDED.includes((await this.see(batch.id, giveUp)).status)) await delay(LOOK_EVERY_MS);
      batch.endedMs = Date.now();
    }
  }

  /** The batch as it is now. */
  async see(id: string, giveUp: AbortSignal): Promise<SeenBatch> {
    const { status, text } = await this.client.ask('GET', `/v1/batches/${id}`, null, {}, giveUp);
    if (status !== 200) throw new Error(`GET /v1/batches/${id}: ${status} ${text}`);
    return JSON.parse(text) as SeenBatch;
  }

  private async make(number: number, giveUp: AbortSignal): Promise<AcceptedBatch | null> {
    const customIds = Array.from({ length: this.lines }, (_, line) => `batch-${number}-${line}`);
    const form = new FormData();
    form.set('purpose', 'batch');
    form.set(
      'file',
      new Blob([customIds.map(lineOf).join('')], { type: 'application/jsonl' }),
      `${number}.jsonl`,
    );
    // An upload has no key: one that is made again because its reply was lost leaves a file that nobody uses.
    const fileId = await this.idOf(this.client.ask('POST', '/v1/files', form, {}, giveUp));
    if (fileId === null) return null;
    const body = JSON.stringify({
      input_file_id: fileId,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    const headers = { 'content-type': 'application/json', 'idempotency-key': `batch-${number}` };
    const id = await this.idOf(this.client.ask('POST', '/v1/batches', body, headers, giveUp));
    return id === null ? null : { id, customIds, acceptedMs: Date.now(), endedMs: null };
  }

  private async idOf(asked: ReturnType<StubbornClient['ask']>): Promise<string | null> {
    const { status, text } = await asked;
    if (status === 200) return (JSON.parse(text) as { id: string }).id;
    this.wrong.push(`${status} ${text}`);
    return null;
  }
}

function lineOf(customId: string): string {
  const body = { model: 'policy/soak', messages: [{ role: 'user', content: `Line ${customId}.` }] };
  return `${JSON.stringify({ custom_id: customId, method: 'POST', url: '/v1/chat/completions', body })}\n`;
}
