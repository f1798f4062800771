/** A real HTTP server on loopback that receives webhooks, keeps every request as it came, and answers as a test tells it, path by path. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** One answer: a reply, no reply at all, or a cut connection. */
export type ReceiverAnswer =
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | Buffer;
      /** How long it takes to answer. */
      readonly delayMs?: number;
    }
  | 'hang'
  | 'reset';

/** A request as it came. */
export interface ReceivedWebhook {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly atMs: number;
}

export class WebhookReceiver {
  private readonly scripts = new Map<string, ReceiverAnswer[]>();
  private readonly seen: ReceivedWebhook[] = [];

  private constructor(private readonly server: Server) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.handle(request, response).catch(() => response.destroy());
    });
  }

  /** Starts a server on a port of the system's choice. */
  static async start(): Promise<WebhookReceiver> {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return new WebhookReceiver(server);
  }

  /** The URL of a path that begins with `/`. */
  url(path: string): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('The receiver is not listening.');
    return `http://127.0.0.1:${address.port}${path}`;
  }

  /** What to answer to the next requests of a path, in order; the last stands for all that follow. Without a script: 200. */
  script(path: string, ...answers: ReceiverAnswer[]): void {
    this.scripts.set(path, answers);
  }

  /** The requests of a path so far, oldest first; of all paths without one. */
  received(path?: string): readonly ReceivedWebhook[] {
    return path === undefined ? this.seen : this.seen.filter((request) => request.path === path);
  }

  /** Resolves with a path's requests when there are at least so many. Throws after `timeoutMs`, saying how many came. */
  async waitFor(path: string, count: number, timeoutMs = 10_000): Promise<readonly ReceivedWebhook[]> {
    const endMs = Date.now() + timeoutMs;
    while (this.received(path).length < count) {
      if (Date.now() > endMs)
        throw new Error(`${path} got ${this.received(path).length} of ${count} webhooks in ${timeoutMs} ms.`);
      await delay(10);
    }
    return this.received(path);
  }

  /** Stops listening and cuts every connection, hanging ones too. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url ?? '';
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    this.seen.push({ path, headers, body: Buffer.concat(chunks), atMs: Date.now() });
    const answer = this.next(path);
    if (answer === 'hang') return;
    if (answer === 'reset') {
      request.socket.destroy();
      return;
    }
    if (answer.delayMs) await delay(answer.delayMs);
    response.writeHead(answer.status, answer.headers).end(answer.body ?? '');
  }

  private next(path: string): ReceiverAnswer {
    const script = this.scripts.get(path);
    const answer = script !== undefined && script.length > 1 ? script.shift() : script?.[0];
    return answer ?? { status: 200 };
  }
}
