/** A real HTTP server on loopback that speaks OpenAI's wire format and does what a test tells it, model by model. */
import { readFileSync } from 'node:fs';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { join } from 'node:path';
import { answer, type Behaviour, type UpstreamCall } from './upstream-behaviours.js';

export class ScriptedUpstream {
  private readonly scripts = new Map<string, Behaviour[]>();
  private readonly seen: UpstreamCall[] = [];
  private forAll: Behaviour | null = null;
  private readonly open = new Map<ServerResponse, string>();

  private constructor(
    private readonly server: Server,
    private readonly scheme: 'http' | 'https',
  ) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.handle(request, response).catch(() => response.destroy());
    });
  }

  /** Starts a server on a port of the system's choice; with `tls`, one whose certificate nobody trusts. */
  static async start(options: { tls?: boolean } = {}): Promise<ScriptedUpstream> {
    const server = options.tls ? createHttpsServer(readCertificate()) : createHttpServer();
    const upstream = new ScriptedUpstream(server, options.tls ? 'https' : 'http');
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return upstream;
  }

  get port(): number {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('The upstream is not listening.');
    return address.port;
  }

  /** The base URL to put in a provider's config. */
  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.port}/v1`;
  }

  /** What to do on the next calls of a model, in order; the last one stands for all that follow. Without a script it answers well. */
  script(model: string, ...behaviours: Behaviour[]): void {
    this.scripts.set(model, behaviours);
  }

  /** What to do on every call, whatever its model; null to go by the models again. For formats that name the model elsewhere. */
  always(behaviour: Behaviour | null): void {
    this.forAll = behaviour;
  }

  /** The calls of a model so far, oldest first; of all models without one. */
  calls(model?: string): readonly UpstreamCall[] {
    return model === undefined ? this.seen : this.seen.filter((call) => call.model === model);
  }

  /** How many calls of a model have neither been answered nor given up by the caller. */
  openCalls(model: string): number {
    return [...this.open.values()].filter((each) => each === model).length;
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
    const body = parseObject(Buffer.concat(chunks).toString());
    const model = typeof body?.model === 'string' ? body.model : '';
    const call = { path: request.url ?? '', model, headers: request.headers, body, atMs: Date.now() };
    this.seen.push(call);
    this.open.set(response, model);
    response.once('close', () => this.open.delete(response));
    await this.next(model)(call, response);
  }

  private next(model: string): Behaviour {
    if (this.forAll !== null) return this.forAll;
    const script = this.scripts.get(model);
    const behaviour = script !== undefined && script.length > 1 ? script.shift() : script?.[0];
    return behaviour ?? answer(`Hello from ${model}.`);
  }
}

function readCertificate(): { key: Buffer; cert: Buffer } {
  const folder = join(__dirname, 'tls');
  return { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) };
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
