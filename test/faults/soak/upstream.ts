/**
 * The world outside: three models, of which some calls fail, and a receiver of webhooks. Of each call it keeps no more than
 * whose it was and how it ended, so that it bears hundreds of thousands.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What became of the calls of one attempt. */
export interface SeenAttempt {
  calls: number;
  /** The caller was gone before it had its answer. */
  isLost: boolean;
}

/** How many calls of each model fail, each share from 0 to 1. */
const AILMENTS: Readonly<Record<string, { readonly fails: number; readonly drops: number }>> = {
  a: { fails: 0.15, drops: 0.05 },
  b: { fails: 0.08, drops: 0.04 },
  c: { fails: 0.04, drops: 0.02 },
};
export const MODELS = Object.keys(AILMENTS);
/** A call takes up to this; most take far less. */
const SLOWEST_MS = 2_000;

const FAILURE = JSON.stringify({
  error: { message: 'Not now.', type: 'server_error', param: null, code: null },
});
const HEADERS = { 'content-type': 'application/json' };

export class SoakUpstream {
  /** By the attempt's id as it stands in the header. */
  readonly attempts = new Map<string, SeenAttempt>();
  /** How often each webhook came, by its id. */
  readonly hooks = new Map<string, number>();
  private readonly server = createServer((request, response) => {
    this.handle(request, response).catch(() => response.destroy());
  });

  private constructor(private readonly draw: () => number) {}

  static async start(draw: () => number): Promise<SoakUpstream> {
    const upstream = new SoakUpstream(draw);
    // A connection that is closed just when it is used again would be a failure of ours.
    upstream.server.keepAliveTimeout = 600_000;
    upstream.server.listen(0, '127.0.0.1');
    await once(upstream.server, 'listening');
    return upstream;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get calls(): number {
    return [...this.attempts.values()].reduce((sum, { calls }) => sum + calls, 0);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    if (request.url === '/hook') this.hear(request, response);
    else this.answer(request, Buffer.concat(pieces), response);
  }

  private hear(request: IncomingMessage, response: ServerResponse): void {
    const id = String(request.headers['webhook-id']);
    this.hooks.set(id, (this.hooks.get(id) ?? 0) + 1);
    response.writeHead(200).end();
  }

  private answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const id = String(request.headers['x-baton-attempt-id']);
    const seen = this.attempts.get(id) ?? { calls: 0, isLost: false };
    seen.calls += 1;
    this.attempts.set(id, seen);
    const { model } = JSON.parse(body.toString()) as { model: string };
    const { fails, drops } = AILMENTS[model] ?? { fails: 0, drops: 0 };
    const fate = this.draw();
    const timer = setTimeout(
      () => {
        response.off('close', lose);
        if (fate < drops) response.socket?.destroy();
        else if (fate < drops + fails) response.writeHead(503, HEADERS).end(FAILURE);
        else response.writeHead(200, { ...HEADERS, 'x-request-id': id }).end(answerOf(model));
      },
      this.draw() ** 3 * SLOWEST_MS,
    );
    const lose = (): void => {
      clearTimeout(timer);
      seen.isLost = true;
    };
    response.once('close', lose);
  }
}

function answerOf(model: string): string {
  return JSON.stringify({
    id: 'chatcmpl-soak',
    object: 'chat.completion',
    created: 1_790_000_000,
    model,
    choices: [{ index: 0, message: { role: 'assistant', content: 'Here it is.' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 },
  });
}
