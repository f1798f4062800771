import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { AppConfig } from '../config/config.js';
import { ScriptedUpstream } from '../../test/support/scripted-upstream.js';
import {
  after,
  answer,
  cutChunked,
  drip,
  garbage,
  gzipBomb,
  hang,
  huge,
  manyHeaders,
  reply,
  resetAfterHeaders,
  resetBeforeHeaders,
  truncated,
} from '../../test/support/upstream-behaviours.js';
import { runAgainstWall } from '../../test/support/wall.js';
import { resolveHost, resolveInDns, type HostResolver } from './connector.js';
import { EgressService } from './egress.service.js';
import type { EgressFailure, EgressReply, EgressRequest, EgressResult } from './exchange.js';

const MB = 2 ** 20;
const WALL_MS = 50;

const services: EgressService[] = [];
let upstream: ScriptedUpstream;
let secure: ScriptedUpstream;
let idle: Server;
const idleSockets = new Set<Socket>();

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  secure = await ScriptedUpstream.start({ tls: true });
  // Takes connections and says nothing, not even in TLS.
  idle = createServer((socket) => idleSockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => {
    idle.listen(0, '127.0.0.1', resolve);
  });
});

afterAll(async () => {
  await Promise.all(services.map((service) => service.onApplicationShutdown()));
  for (const socket of idleSockets) socket.destroy();
  idle.close();
  await Promise.all([upstream.close(), secure.close()]);
});

function buildEgress(allowCidrs: readonly string[] = [], resolve: HostResolver = resolveHost): EgressService {
  const config: Pick<AppConfig, 'egressAllowCidrs'> = { egressAllowCidrs: allowCidrs };
  const service = new EgressService(config as AppConfig, { provider: resolve, webhook: resolve });
  services.push(service);
  return service;
}

function post(url: string, more: Partial<EgressRequest> = {}): EgressRequest {
  return {
    policy: 'provider',
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json' },
    body: '{"model":"m"}',
    timeoutMs: 5000,
    maxResponseBytes: MB,
    whenTooLarge: 'fail',
    ...more,
  };
}

function expectReply(result: EgressResult): EgressReply {
  if (!result.ok) throw new Error(`failed: ${result.kind}: ${result.message}`);
  return result;
}

function expectFailure(result: EgressResult): EgressFailure {
  if (result.ok) throw new Error(`answered ${result.status}`);
  return result;
}

describe('a reply', () => {
  test('is given whole, with its status and headers', async () => {
    upstream.script('m', reply(418, 'short and stout', { 'x-pot': 'tea' }));
    const result = expectReply(await buildEgress().send(post(`${upstream.url}/any?q=1`)));
    expect(result).toMatchObject({ status: 418, truncated: false });
    expect(result.headers['x-pot']).toBe('tea');
    expect(result.body.toString()).toBe('short and stout');
    expect(upstream.calls('m').at(-1)?.path).toBe('/v1/any?q=1');
  });

  test('that is a redirect is not followed', async () => {
    upstream.script('m', reply(302, '', { location: 'http://169.254.169.254/latest/meta-data' }));
    const before = upstream.calls().length;
    expect(expectReply(await buildEgress().send(post(upstream.url))).status).toBe(302);
    expect(upstream.calls()).toHaveLength(before + 1);
  });

  test('that is compressed stays as it came, and asking for that is said', async () => {
    upstream.script('m', gzipBomb(50));
    const result = expectReply(await buildEgress().send(post(upstream.url)));
    expect(result.body.length).toBeLessThan(MB);
    expect(result.headers['content-encoding']).toBe('gzip');
    expect(upstream.calls('m').at(-1)?.headers['accept-encoding']).toBe('identity');
  });

  test('may have a thousand headers', async () => {
    upstream.script('m', manyHeaders(1000));
    expect(expectReply(await buildEgress().send(post(upstream.url))).headers['x-filler-999']).toBe(
      'some value',
    );
  });

  test('that is too large is cut if that is enough', async () => {
    upstream.script('m', huge(5 * MB));
    const result = expectReply(
      await buildEgress().send(post(upstream.url, { whenTooLarge: 'truncate', maxResponseBytes: 1000 })),
    );
    expect(result).toMatchObject({ status: 200, truncated: true });
    expect(result.body).toHaveLength(1000);
  });
});

describe('a failure', () => {
  const failures: [string, Parameters<ScriptedUpstream['script']>[1], EgressFailure['kind']][] = [
    ['a reset before the headers', resetBeforeHeaders(), 'reset'],
    ['a reset after the headers', resetAfterHeaders(), 'incomplete'],
    ['a body shorter than announced', truncated(), 'incomplete'],
    [
      'a body shorter than announced, on a closing connection',
      truncated({ connection: 'close' }),
      'incomplete',
    ],
    ['a chunked body without its end', cutChunked(), 'incomplete'],
    ['bytes that are not HTTP', garbage(), 'protocol'],
    ['more headers than 64 KiB', manyHeaders(5000), 'protocol'],
    ['a body over the cap', huge(2 * MB), 'too_large'],
    ['a body announced to be over the cap', huge(2 * MB, true), 'too_large'],
  ];
  test.each(failures)(
    'by %s is told apart, and the request counts as sent',
    async (_name, behaviour, kind) => {
      upstream.script('m', behaviour);
      const result = expectFailure(await buildEgress().send(post(upstream.url)));
      expect(result).toMatchObject({ kind, sent: true });
      expect(result.message).not.toBe('');
    },
  );

  test('to connect is told apart, and the request was not sent', async () => {
    const gone = await ScriptedUpstream.start();
    const url = gone.url;
    await gone.close();
    expect(await buildEgress().send(post(url))).toMatchObject({ kind: 'connect', sent: false });
  });

  test('to resolve the name is told apart, and the request was not sent', async () => {
    const nowhere: HostResolver = (host) =>
      Promise.reject(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }));
    const result = await buildEgress([], nowhere).send(post('http://nowhere.test/v1'));
    expect(result).toMatchObject({ kind: 'dns', sent: false });
  });

  test('to trust the certificate is told apart, and the request was not sent', async () => {
    const before = secure.calls().length;
    const result = await buildEgress().send(post(secure.url));
    expect(result).toMatchObject({ kind: 'tls', sent: false });
    expect(secure.calls()).toHaveLength(before);
  });

  test('to speak TLS at all is told apart, and the request was not sent', async () => {
    const url = upstream.url.replace('http:', 'https:');
    expect(await buildEgress().send(post(url))).toMatchObject({ kind: 'tls', sent: false });
  });

  test('after close is a value too', async () => {
    const service = buildEgress();
    await service.onApplicationShutdown();
    expect(await service.send(post(upstream.url))).toMatchObject({ kind: 'aborted', sent: false });
  });

  test.each([
    'nonsense',
    'ftp://host/x',
    'http://user:secret@127.0.0.1/',
    `http://127.0.0.1/${'x'.repeat(2048)}`,
  ])('by the URL %.40s is told before anything is dialled', async (url) => {
    expect(await buildEgress().send(post(url))).toMatchObject({ kind: 'bad_url', sent: false });
  });

  test('by a header that cannot be sent is a value too', async () => {
    const result = await buildEgress().send(
      post(upstream.url, { headers: { authorization: 'Bearer a\nb' } }),
    );
    expect(result).toMatchObject({ kind: 'bad_url', sent: false });
  });
});

describe('the time-out', () => {
  const never: HostResolver = () => new Promise(() => undefined);

  async function timed(service: EgressService, request: EgressRequest) {
    const { result, overMs } = await runAgainstWall(request.timeoutMs, () => service.send(request));
    return { result: expectFailure(result), overMs };
  }

  test.each([
    ['a server that never answers', hang()],
    ['a body that drips byte by byte', drip()],
    ['an answer that comes later', after(2000, answer())],
  ])('is a wall for %s', async (_name, behaviour) => {
    upstream.script('m', behaviour);
    const { result, overMs } = await timed(buildEgress(), post(upstream.url, { timeoutMs: 300 }));
    expect(result).toMatchObject({ kind: 'timeout', sent: true });
    expect(overMs).toBeLessThan(WALL_MS);
  });

  test('is a wall for a name that is never resolved', async () => {
    const { result, overMs } = await timed(
      buildEgress([], never),
      post('http://slow.test/', { timeoutMs: 300 }),
    );
    expect(result).toMatchObject({ kind: 'timeout', sent: false });
    expect(overMs).toBeLessThan(WALL_MS);
  });

  test('is a wall for a TLS handshake that never ends', async () => {
    const address = idle.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { result, overMs } = await timed(
      buildEgress(),
      post(`https://127.0.0.1:${port}/`, { timeoutMs: 300 }),
    );
    expect(result).toMatchObject({ kind: 'timeout', sent: false });
    expect(overMs).toBeLessThan(WALL_MS);
  });

  test('that has passed already sends nothing', async () => {
    const before = upstream.calls().length;
    expect(await buildEgress().send(post(upstream.url, { timeoutMs: 0 }))).toMatchObject({
      kind: 'timeout',
      sent: false,
    });
    expect(upstream.calls()).toHaveLength(before);
  });

  test('while connecting means that the request is never sent, also when the name is resolved at last', async () => {
    let found: (addresses: string[]) => void = () => undefined;
    let isAsked = false;
    const late: HostResolver = () => {
      isAsked = true;
      return new Promise((resolve) => {
        found = resolve;
      });
    };
    const service = buildEgress([], late);
    upstream.script('late', answer());
    const url = `http://late.test:${upstream.port}/`;
    const result = await service.send(post(url, { timeoutMs: 100, body: '{"model":"late"}' }));
    expect(result).toMatchObject({ kind: 'timeout', sent: false });
    expect(isAsked).toBe(true);
    found(['127.0.0.1']);
    // A second request over the same agent ends only after the first had its chance.
    upstream.script('later', answer());
    const second = service.send(post(url, { body: '{"model":"later"}' }));
    await delay(20);
    found(['127.0.0.1']);
    expectReply(await second);
    expect(upstream.calls('late')).toHaveLength(0);
  });
});

describe('a signal', () => {
  test('stops a call at once', async () => {
    upstream.script('m', hang());
    const stop = new AbortController();
    const before = upstream.calls().length;
    const pending = buildEgress().send(post(upstream.url, { signal: stop.signal }));
    while (upstream.calls().length === before) await delay(5);
    stop.abort();
    expect(await pending).toMatchObject({ kind: 'aborted', sent: true });
  });

  test('that was given already sends nothing', async () => {
    const before = upstream.calls().length;
    const result = await buildEgress().send(post(upstream.url, { signal: AbortSignal.abort() }));
    expect(result).toMatchObject({ kind: 'aborted', sent: false });
    expect(upstream.calls()).toHaveLength(before);
  });
});

describe('memory', () => {
  test('stays flat while a reply of 300 MB is refused', async () => {
    upstream.script('m', huge(300 * MB));
    const service = buildEgress();
    const before = process.memoryUsage().rss;
    expect(await service.send(post(upstream.url, { maxResponseBytes: 8 * MB }))).toMatchObject({
      kind: 'too_large',
    });
    expect((process.memoryUsage().rss - before) / MB).toBeLessThan(50);
  });
});

describe('a webhook', () => {
  const hook = (url: string) => post(url, { policy: 'webhook', timeoutMs: 1000 });
  /** Every way to write an address of this machine or of the inside that a URL parser accepts. */
  const insideHosts = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0',
    '127.0.0.1.',
    '①②⑦.0.0.1',
    'localhost',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '10.0.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '168.63.129.16',
    '[fd00:ec2::254]',
    '[fe80::1]',
  ];

  test.each(insideHosts)('never reaches %s', async (host) => {
    const before = upstream.calls().length + secure.calls().length;
    for (const url of [`http://${host}:${upstream.port}/`, `https://${host}:${secure.port}/`]) {
      expect(await buildEgress().send(hook(url))).toMatchObject({
        ok: false,
        kind: 'refused_address',
        sent: false,
      });
      expect(await buildEgress().checkUrl(url)).toMatch(/EGRESS_ALLOW_CIDRS/);
    }
    expect(upstream.calls().length + secure.calls().length).toBe(before);
  });

  test('is refused if any one address of its name is private', async () => {
    const mixed: HostResolver = () => Promise.resolve(['93.184.216.34', '10.0.0.7']);
    const service = buildEgress([], mixed);
    expect(await service.send(hook('https://mixed.test/'))).toMatchObject({
      kind: 'refused_address',
      sent: false,
    });
    expect(await service.checkUrl('https://mixed.test/')).toMatch(/not a public address/);
  });

  test('whose name is pointed inside after it was checked is refused when it is dialled', async () => {
    const answers = [['93.184.216.34'], ['127.0.0.1']];
    const rebinding: HostResolver = () => Promise.resolve(answers.shift() ?? []);
    const service = buildEgress([], rebinding);
    const url = `https://rebind.test:${secure.port}/`;
    expect(await service.checkUrl(url)).toBeNull();
    expect(await service.send(hook(url))).toMatchObject({ kind: 'refused_address', sent: false });
  });

  test('may go, over plain http too, where the operator allows it, and nowhere else', async () => {
    const service = buildEgress(['127.0.0.0/8'], () => Promise.resolve(['127.0.0.1']));
    for (const host of ['127.0.0.1', 'inside.test']) {
      const url = `http://${host}:${upstream.port}/`;
      expect(await service.checkUrl(url)).toBeNull();
      upstream.script('m', answer());
      expectReply(await service.send(hook(url)));
    }
    expect(await service.checkUrl('http://10.0.0.1/')).toMatch(/https/);
    expect(await service.checkUrl('http://93.184.216.34/')).toMatch(/https/);
    expect(await service.checkUrl('https://10.0.0.1/')).toMatch(/not a public address/);
  });

  const publicOne: HostResolver = () => Promise.resolve(['93.184.216.34', '2606:4700::1']);
  const noSuchName: HostResolver = () =>
    Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }));
  const resolverAway: HostResolver = () =>
    Promise.reject(Object.assign(new Error('away'), { code: 'EAI_AGAIN' }));

  test.each([publicOne, resolverAway])(
    'is let through at registration if nothing speaks against it',
    async (resolve) => {
      expect(await buildEgress([], resolve).checkUrl('https://hooks.test/path?x=1')).toBeNull();
    },
  );

  test.each([
    ['https://hooks.test/', noSuchName, /does not exist/],
    ['http://hooks.test/', resolverAway, /https/],
    ['https://hooks.test/#part', publicOne, /fragment/],
    ['https://user@hooks.test/', publicOne, /user name/],
    ['hooks.test', publicOne, /https:\/\/host/],
    ['file:///etc/passwd', publicOne, /must begin with https/],
    [`https://hooks.test/${'x'.repeat(2048)}`, publicOne, /2048/],
  ])('is refused at registration for what is wrong with %.40s', async (url, resolve, reason) => {
    expect(await buildEgress([], resolve).checkUrl(url)).toMatch(reason);
  });
});

describe('names that strangers give', () => {
  test.each(['localhost', 'LOCALHOST.', 'a.localhost'])(
    'lead home where no server is asked: %s',
    async (name) => {
      expect(await resolveInDns(name)).toEqual(['127.0.0.1', '::1']);
    },
  );

  test('that cannot be resolved are told apart by a code of the resolver', async () => {
    await expect(resolveInDns('no-such-name.invalid')).rejects.toMatchObject({
      code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/),
      message: expect.stringContaining('no-such-name.invalid'),
    });
  }, 30_000);
});
