/** Each verb of the proxy on real sockets: the tests of faults believe it. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { leastOf } from '../support/rounds.js';
import { TcpProxy } from '../support/tcp-proxy.js';

let server: Server;
let proxy: TcpProxy;
let clients: Socket[];

/** Sends back what it gets, and its end. */
beforeEach(async () => {
  clients = [];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await TcpProxy.start({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  await proxy.close();
  server.close();
});

interface Talk {
  readonly socket: Socket;
  /** When each piece came, and how long it was. */
  readonly pieces: { readonly atMs: number; readonly bytes: number }[];
  /** Resolves when so many bytes came. */
  got(bytes: number): Promise<void>;
  readonly closed: Promise<string | null>;
}

async function talk(): Promise<Talk> {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  clients.push(socket);
  let code: string | null = null;
  socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code ?? 'unknown'));
  const closed = new Promise<string | null>((resolve) => socket.once('close', () => resolve(code)));
  await once(socket, 'connect');
  const pieces: { atMs: number; bytes: number }[] = [];
  socket.on('data', (piece: Buffer) => pieces.push({ atMs: performance.now(), bytes: piece.length }));
  const got = async (bytes: number): Promise<void> => {
    while (pieces.reduce((sum, each) => sum + each.bytes, 0) < bytes) await once(socket, 'data');
  };
  return { socket, pieces, got, closed };
}

/** How long it takes until what is sent is back. */
async function echoMs(one: Talk, bytes = 1): Promise<number> {
  const startMs = performance.now();
  const before = one.pieces.reduce((sum, each) => sum + each.bytes, 0);
  one.socket.write(Buffer.alloc(bytes, 'x'));
  await one.got(before + bytes);
  return performance.now() - startMs;
}

/** True if nothing comes for a while. */
async function isSilent(one: Talk): Promise<boolean> {
  return Promise.race([once(one.socket, 'data').then(() => false), delay(200).then(() => true)]);
}

it('untroubled, carries every byte and both ends', async () => {
  const one = await talk();
  expect(await echoMs(one, 3_000_000)).toBeLessThan(5_000);
  one.socket.end('last');
  await one.got(3_000_004);
  expect(await one.closed).toBeNull();
  while (proxy.connections > 0) await delay(5);
});

it('latency delays each byte of a direction, and bytes that follow each other only once', async () => {
  const one = await talk();
  await echoMs(one);
  proxy.latency(150, 'down');
  expect(await echoMs(one)).toBeGreaterThanOrEqual(145);
  const tookMs = await leastOf(450, async () => {
    const startMs = performance.now();
    const before = one.pieces.reduce((sum, { bytes }) => sum + bytes, 0);
    for (let piece = 0; piece < 5; piece++) {
      one.socket.write('x');
      await delay(10);
    }
    await one.got(before + 5);
    return performance.now() - startMs;
  });
  expect(tookMs).toBeLessThan(450);
  await proxy.restore();
  expect(await leastOf(100, () => echoMs(one))).toBeLessThan(100);
});

it('down cuts who is there and refuses who comes, until it is restored at the same port', async () => {
  const [one, { port }] = [await talk(), proxy];
  await proxy.down();
  expect(await one.closed).toBe('ECONNRESET');
  await expect(talk()).rejects.toThrow('ECONNREFUSED');
  await proxy.restore();
  expect(proxy.port).toBe(port);
  expect(await echoMs(await talk())).toBeLessThan(1_000);
});

it.each(['up', 'down'] as const)('timeout keeps what goes %s, and gives it on later', async (direction) => {
  const one = await talk();
  await echoMs(one);
  proxy.timeout(direction);
  one.socket.write('late');
  expect(await isSilent(one)).toBe(true);
  // Who comes meanwhile is taken, and hears nothing either.
  const other = await talk();
  other.socket.write('x');
  expect(await isSilent(other)).toBe(true);
  await proxy.restore();
  await Promise.all([one.got(5), other.got(1)]);
});

it('forget makes a black hole of who is there, for ever, and not of who comes', async () => {
  const one = await talk();
  await echoMs(one);
  proxy.forget();
  one.socket.write('lost');
  expect(await echoMs(await talk())).toBeLessThan(1_000);
  await proxy.restore();
  expect(await isSilent(one)).toBe(true);
});

it('reset is a reset for both sides', async () => {
  const ended = new Promise<string>((resolve) =>
    server.once('connection', (socket: Socket) =>
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? '')),
    ),
  );
  const one = await talk();
  await echoMs(one);
  proxy.reset();
  expect(await one.closed).toBe('ECONNRESET');
  expect(await ended).toBe('ECONNRESET');
});

it('slow close tells of an end later', async () => {
  const one = await talk();
  await echoMs(one);
  proxy.slowClose(200, 'down');
  const startMs = performance.now();
  one.socket.end();
  await one.closed;
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(195);
});

it('slice makes small pieces with pauses', async () => {
  const one = await talk();
  await echoMs(one);
  proxy.slice(10, 20, 'down');
  expect(await echoMs(one, 100)).toBeGreaterThanOrEqual(9 * 19);
  expect(one.pieces.length).toBeGreaterThan(5);
});

it('bandwidth lets so many bytes through in a second', async () => {
  const one = await talk();
  await echoMs(one);
  proxy.bandwidth(100_000, 'up');
  const tookMs = await leastOf(2_000, () => echoMs(one, 50_000));
  expect(tookMs).toBeGreaterThanOrEqual(400);
  expect(tookMs).toBeLessThan(2_000);
});

it('limit cuts a connection in the middle of what it sends', async () => {
  proxy.limit(25, 'down');
  const one = await talk();
  one.socket.write(Buffer.alloc(100, 'x'));
  await once(one.socket, 'end');
  expect(one.pieces.reduce((sum, each) => sum + each.bytes, 0)).toBe(25);
});
