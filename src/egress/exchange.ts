/** One request and its reply, bounded in time and size from the first moment to the last byte. */
import type { Dispatcher } from 'undici';
import { classifyError, describeError, type EgressFailureKind, type Stage } from './egress-error.js';

/** Where a request may go: an operator's own choice of provider, or an address that a caller gave us. */
export type EgressPolicy = 'provider' | 'webhook';

export interface EgressRequest {
  readonly policy: EgressPolicy;
  readonly method: 'POST' | 'GET';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** A hard wall for the whole exchange, from the look-up of the name to the last byte of the reply. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly maxResponseBytes: number;
  /** A longer reply is a failure (`fail`), or its first bytes are enough (`truncate`). */
  readonly whenTooLarge: 'fail' | 'truncate';
}

export interface EgressReply {
  readonly ok: true;
  readonly status: number;
  /** Names in lower case; repeated headers joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** As it came: never inflated. */
  readonly body: Buffer;
  readonly truncated: boolean;
  readonly durationMs: number;
}

export interface EgressFailure {
  readonly ok: false;
  readonly kind: EgressFailureKind;
  /** True if bytes of the request may have left this machine. */
  readonly sent: boolean;
  readonly message: string;
  readonly durationMs: number;
}

export type EgressResult = EgressReply | EgressFailure;

/**
 * Sends the request and collects the reply; never rejects. It drives undici's `dispatch`, which is what `undici.request`
 * itself is made of (no redirects, no inflating), because only there can be seen whether the request was begun to be written.
 */
export function exchange(dispatcher: Dispatcher, url: URL, request: EgressRequest): Promise<EgressResult> {
  return new Promise((resolve) => new Exchange(request, resolve).start(dispatcher, url));
}

/** The longest delay that a timer takes; a later deadline is none (24 days). */
const MAX_TIMER_MS = 2 ** 31 - 1;

const GIVEN_UP = new Error('The exchange was given up.');

class Exchange implements Dispatcher.DispatchHandler {
  private readonly startedAt = performance.now();
  private stage: Stage = 'connecting';
  private isSettled = false;
  private controller: Dispatcher.DispatchController | null = null;
  private timer: NodeJS.Timeout | undefined;
  private status = 0;
  private readonly headers: Record<string, string> = {};
  private chunks: Buffer[] = [];
  private size = 0;

  constructor(
    private readonly request: EgressRequest,
    private readonly resolve: (result: EgressResult) => void,
  ) {}

  start(dispatcher: Dispatcher, url: URL): void {
    const { method, headers, body, timeoutMs, signal } = this.request;
    if (signal?.aborted) return this.onAbort();
    if (timeoutMs <= 0) return this.onTimeout();
    this.timer = setTimeout(this.onTimeout, Math.min(timeoutMs, MAX_TIMER_MS));
    signal?.addEventListener('abort', this.onAbort, { once: true });
    dispatcher.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        // A compressed reply would have to be inflated, and a small one can inflate to gigabytes.
        headers: { ...headers, 'accept-encoding': 'identity' },
        body: body ?? null,
      },
      this,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while still connecting: this stops it before a byte is written.
    if (this.isSettled) return controller.abort(GIVEN_UP);
    this.controller = controller;
    this.stage = 'sent';
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (status < 200) return; // Interim: the reply proper follows.
    this.stage = 'answering';
    this.status = status;
    for (const [name, value] of Object.entries(headers)) this.headers[name] = String(value);
    const announced = Number(this.headers['content-length']);
    if (this.request.whenTooLarge === 'fail' && announced > this.request.maxResponseBytes)
      this.failTooLarge();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.isSettled) return;
    const room = this.request.maxResponseBytes - this.size;
    if (chunk.length <= room) {
      this.chunks.push(chunk);
      this.size += chunk.length;
    } else if (this.request.whenTooLarge === 'fail') {
      this.failTooLarge();
    } else {
      this.chunks.push(chunk.subarray(0, room));
      this.succeed(true);
      this.hangUp();
    }
  }

  onResponseEnd(): void {
    this.succeed(false);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(classifyError(error, this.stage), describeError(error));
  }

  private readonly onTimeout = (): void => {
    this.fail('timeout', `No complete answer within ${this.request.timeoutMs} ms.`);
  };

  private readonly onAbort = (): void => {
    this.fail('aborted', 'The call was stopped from this side.');
  };

  private failTooLarge(): void {
    this.fail('too_large', `The answer is larger than ${this.request.maxResponseBytes} bytes.`);
  }

  private succeed(truncated: boolean): void {
    const body = Buffer.concat(this.chunks);
    this.settle({
      ok: true,
      status: this.status,
      headers: this.headers,
      body,
      truncated,
      durationMs: this.elapsedMs(),
    });
  }

  private fail(kind: EgressFailureKind, message: string): void {
    this.settle({
      ok: false,
      kind,
      sent: this.stage !== 'connecting',
      message,
      durationMs: this.elapsedMs(),
    });
    this.hangUp();
  }

  /**
   * Destroys the connection, once whoever waits for the result has it: Node formats the stack of the error that a socket is
   * destroyed with, which with source maps takes a tenth of a second when it is the first.
   */
  private hangUp(): void {
    setImmediate(() => this.controller?.abort(GIVEN_UP));
  }

  private settle(result: EgressResult): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.chunks = [];
    clearTimeout(this.timer);
    this.request.signal?.removeEventListener('abort', this.onAbort);
    this.resolve(result);
  }

  private elapsedMs(): number {
    return Math.round(performance.now() - this.startedAt);
  }
}
