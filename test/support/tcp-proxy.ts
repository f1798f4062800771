/** A TCP proxy on loopback that behaves as a bad network does; what it does to the bytes can be changed while they flow. */
import { once } from 'node:events';
import { createServer, connect, type NetConnectOpts, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** `up`: from the client to the server; `down`: back. */
export type Direction = 'up' | 'down';

/** What is done to the bytes of one direction. */
interface Trouble {
  latencyMs: number;
  bytesPerSecond: number;
  slice: { readonly bytes: number; readonly pauseMs: number } | null;
  closeDelayMs: number;
  /** Cuts each connection once so many of its bytes went through, counted from its begin. */
  limitBytes: number;
  /** Set while nothing gets through; resolves when it does again. */
  held: Promise<void> | null;
}

const NONE: Trouble = {
  latencyMs: 0,
  bytesPerSecond: Infinity,
  slice: null,
  closeDelayMs: 0,
  limitBytes: Infinity,
  held: null,
};
const BOTH: readonly Direction[] = ['up', 'down'];
/** As much as a proxy keeps of a direction before it stops reading. */
const MOST_KEPT_BYTES = 1_000_000;

export class TcpProxy {
  private trouble: Record<Direction, Trouble> = { up: { ...NONE }, down: { ...NONE } };
  private letGo: (() => void)[] = [];
  private readonly open = new Set<Socket>();
  private listened = 0;
  /** Connections of an earlier era are forgotten. */
  private era = 0;

  private constructor(
    private readonly server: Server,
    private readonly target: NetConnectOpts,
  ) {
    server.on('connection', (client) => this.join(client));
  }

  /** Starts one in front of a port or a Unix socket, on a port of the system's choice. */
  static async start(target: NetConnectOpts): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const proxy = new TcpProxy(server, target);
    await proxy.listen();
    return proxy;
  }

  get port(): number {
    return this.listened;
  }

  /** How many connections go through it. */
  get connections(): number {
    return this.open.size / 2;
  }

  /** Each byte comes so much later. */
  latency(latencyMs: number, ...directions: Direction[]): void {
    this.set({ latencyMs }, directions);
  }

  bandwidth(bytesPerSecond: number, ...directions: Direction[]): void {
    this.set({ bytesPerSecond }, directions);
  }

  /** Bytes come in pieces of so many, with a pause after each. */
  slice(bytes: number, pauseMs: number, ...directions: Direction[]): void {
    this.set({ slice: { bytes, pauseMs } }, directions);
  }

  /** An end of a connection is told so much later. */
  slowClose(closeDelayMs: number, ...directions: Direction[]): void {
    this.set({ closeDelayMs }, directions);
  }

  /** Each connection is cut when so many of its bytes went through. */
  limit(limitBytes: number, ...directions: Direction[]): void {
    this.set({ limitBytes }, directions);
  }

  /**
   * A black hole: connections are taken and kept, and nothing gets through. What is sent meanwhile comes after
   * {@link restore}, as TCP sends again what was lost.
   */
  timeout(...directions: Direction[]): void {
    const held = new Promise<void>((next) => this.letGo.push(next));
    this.set({ held }, directions);
  }

  /**
   * The connections that are there are a black hole from now on, and {@link restore} does not mend them: so it is when a firewall
   * between both has forgotten them. New ones are well.
   */
  forget(): void {
    this.era += 1;
  }

  /** Nobody listens any more, and every connection is cut. */
  async down(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.reset();
    await closed;
  }

  /** Resets every connection (TCP RST), in both directions. */
  reset(): void {
    for (const socket of this.open) cut(socket);
  }

  /** All is well again, for connections that are there and those to come. */
  async restore(): Promise<void> {
    this.calm();
    if (!this.server.listening) await this.listen();
  }

  async close(): Promise<void> {
    await this.down();
    this.calm();
  }

  private calm(): void {
    this.trouble = { up: { ...NONE }, down: { ...NONE } };
    for (const each of this.letGo.splice(0)) each();
  }

  private async listen(): Promise<void> {
    this.server.listen(this.listened, '127.0.0.1');
    await once(this.server, 'listening');
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy has no port.');
    this.listened = address.port;
  }

  private set(part: Partial<Trouble>, directions: readonly Direction[]): void {
    for (const direction of directions.length === 0 ? BOTH : directions)
      Object.assign(this.trouble[direction], part);
  }

  private join(client: Socket): void {
    const server = connect({ ...this.target, allowHalfOpen: true });
    server.setNoDelay(true);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.open.add(socket);
      socket.on('error', () => cut(other));
      socket.once('close', () => {
        this.open.delete(socket);
        // After its end was told, the other side has what belongs to it; else it was cut.
        if (!socket.readableEnded) other.destroy();
      });
    }
    const { era } = this;
    this.pump(client, server, 'up', era);
    this.pump(server, client, 'down', era);
  }

  /** Carries one direction of one connection: what comes waits in line, each piece with the moment at which it came. */
  private pump(from: Socket, to: Socket, direction: Direction, era: number): void {
    let line = Promise.resolve();
    let kept = 0;
    let passed = 0;
    from.on('data', (bytes: Buffer) => {
      const cameMs = performance.now();
      kept += bytes.length;
      if (kept > MOST_KEPT_BYTES) from.pause();
      line = line.then(async () => {
        await this.whenDue(cameMs, direction);
        if (era !== this.era) return;
        const room = this.trouble[direction].limitBytes - passed;
        await this.write(to, bytes.subarray(0, Math.max(0, Math.min(bytes.length, room))), direction);
        passed += bytes.length;
        if (bytes.length >= room) to.destroySoon();
        kept -= bytes.length;
        from.resume();
      });
    });
    from.once('end', () => {
      const cameMs = performance.now();
      void line.then(async () => {
        await this.whenDue(cameMs, direction);
        if (era !== this.era) return;
        await delay(this.trouble[direction].closeDelayMs);
        to.end();
      });
    });
  }

  private async whenDue(cameMs: number, direction: Direction): Promise<void> {
    while (this.trouble[direction].held) await this.trouble[direction].held;
    const waitMs = cameMs + this.trouble[direction].latencyMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
  }

  private async write(to: Socket, bytes: Buffer, direction: Direction): Promise<void> {
    const { slice, bytesPerSecond } = this.trouble[direction];
    // A slow line gives what it has ten times a second.
    const most = Math.min(slice?.bytes ?? Infinity, Math.max(1, Math.floor(bytesPerSecond / 10)));
    for (let at = 0; at < bytes.length && to.writable; at += most) {
      const piece = bytes.subarray(at, at + most);
      if (!to.write(piece)) await drained(to);
      const pauseMs = Math.max(slice?.pauseMs ?? 0, (piece.length / bytesPerSecond) * 1_000);
      if (pauseMs > 0) await delay(pauseMs);
    }
  }
}

/** A reset, where there is such a thing: Unix sockets know only an end, and who has said goodbye is let go. */
function cut(socket: Socket): void {
  if (socket.remoteAddress === undefined || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}
