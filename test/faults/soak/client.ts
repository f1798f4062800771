/** A client as a careful user writes one: whatever is not an answer it asks again, of the next API, under the same key. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Why a request had to be made again. */
export type Setback = 'no connection' | 'no answer' | `${number}`;

const TIMEOUT_MS = 10_000;
/** 409 is for a request with the same key that is still running. */
const ASK_AGAIN = new Set([409, 429, 503]);
const LEAST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 1_000;

export class StubbornClient {
  /** How often each came. */
  readonly setbacks = new Map<Setback, number>();
  private turn = 0;

  constructor(
    private readonly urls: () => readonly string[],
    private readonly key: string,
  ) {}

  /** Asks until there is an answer that is final. Throws when `giveUp` is aborted before. */
  async ask(
    method: 'GET' | 'POST',
    path: string,
    body: string | FormData | null,
    headers: Readonly<Record<string, string>>,
    giveUp: AbortSignal,
  ): Promise<Answer> {
    for (let pauseMs = LEAST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MOST_PAUSE_MS)) {
      giveUp.throwIfAborted();
      const answer = await this.once(method, path, body, headers);
      if (typeof answer !== 'string') return answer;
      this.setbacks.set(answer, (this.setbacks.get(answer) ?? 0) + 1);
      await delay(pauseMs);
    }
  }

  private async once(
    method: string,
    path: string,
    body: string | FormData | null,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer | Setback> {
    const urls = this.urls();
    const url = urls[this.turn++ % urls.length];
    if (url === undefined) return 'no connection';
    try {
      const reply = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${this.key}`, ...headers },
        body,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await reply.text();
      return ASK_AGAIN.has(reply.status) ? `${reply.status}` : { status: reply.status, text };
    } catch (error) {
      return isRefused(error) ? 'no connection' : 'no answer';
    }
  }
}

function isRefused(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: string } };
  return cause?.code === 'ECONNREFUSED';
}
