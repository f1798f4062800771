/** Ways to talk a webhook into the inside, each tried down to the connection: none gets there. */
import { createServer, type Server } from 'node:net';
import type { AppConfig } from '../config/config.js';
import type { HostResolver } from './connector.js';
import { EgressService } from './egress.service.js';

/** Every address that is inside, or stands for one that is, in the form that a resolver gives. */
const INSIDE_ADDRESSES = [
  '127.0.0.1',
  '127.0.0.53',
  '127.255.255.254',
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '10.255.255.254',
  '100.64.0.1',
  '100.100.100.200',
  '100.127.255.254',
  '168.63.129.16',
  '169.254.0.1',
  '169.254.169.254',
  '169.254.170.2',
  '172.16.0.1',
  '172.31.255.254',
  '192.0.0.1',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.0.1',
  '192.168.255.254',
  '198.18.0.1',
  '198.19.255.254',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.250',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::7f00:1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:10.0.0.1',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '::ffff:0:127.0.0.1',
  '64:ff9b::127.0.0.1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::7f00:1',
  '100::1',
  '2001::1',
  '2001:0:7f00:1::1',
  '2001:2::1',
  '2001:db8::1',
  '2002:7f00:1::1',
  '2002:a9fe:a9fe::1',
  '3fff::1',
  '4000::1',
  '5f00::1',
  'fc00::1',
  'fd00::1',
  'fd00:ec2::254',
  'fd20:ce::254',
  'fe80::1',
  'fec0::1',
  'ff02::1',
];

/** Hosts as a URL can have them: the parser turns many of them into an address, the others go to the resolver. */
const INSIDE_HOSTS = [
  '127.1',
  '127.0.1',
  '2130706433',
  '0x7f000001',
  '0x7f.0.0.1',
  '0x7f.1',
  '0177.0.0.1',
  '017700000001',
  '0',
  '0x0',
  '127.0.0.1.',
  '①②⑦.0.0.1',
  '127。0。0。1',
  '１２７.0.0.1',
  '3232235777',
  '0xa9fea9fe',
  '2852039166',
  '169.254.43518',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000:0000:0000:0000:0000:0000:0000:0001]',
  '[::ffff:127.0.0.1]',
  '[::FFFF:7F00:1]',
  '[::127.0.0.1]',
  '[fe80::1]',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'sub.localhost',
  'metadata.google.internal',
  'kubernetes.default.svc.cluster.local',
];

let server: Server;
let port: number;
let connections = 0;
const services: EgressService[] = [];

beforeAll(async () => {
  server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  // On every address of this machine.
  await new Promise<void>((resolve) => {
    server.listen(0, resolve);
  });
  port = (server.address() as { port: number }).port;
});

afterAll(async () => {
  await Promise.all(services.map((service) => service.onApplicationShutdown()));
  server.close();
});

function egress(resolve: HostResolver, allow: readonly string[] = []): EgressService {
  const config: Pick<AppConfig, 'egressAllowCidrs'> = { egressAllowCidrs: allow };
  const service = new EgressService(config as AppConfig, { provider: resolve, webhook: resolve });
  services.push(service);
  return service;
}

const hook = (url: string) =>
  ({
    policy: 'webhook',
    method: 'POST',
    url,
    headers: {},
    body: '{}',
    timeoutMs: 2_000,
    maxResponseBytes: 1_000,
    whenTooLarge: 'truncate',
  }) as const;

async function expectRefused(service: EgressService, url: string): Promise<void> {
  const before = connections;
  const sent = await service.send(hook(url));
  expect(sent).toMatchObject({
    ok: false,
    kind: expect.stringMatching(/^(refused_address|bad_url)$/),
    sent: false,
  });
  expect(await service.checkUrl(url)).toEqual(expect.any(String));
  expect(connections).toBe(before);
}

const toLoopback: HostResolver = () => Promise.resolve(['127.0.0.1']);

it('is a corpus of more than eighty', () => {
  expect(new Set([...INSIDE_ADDRESSES, ...INSIDE_HOSTS]).size).toBeGreaterThanOrEqual(80);
});

describe('a webhook', () => {
  it.each(INSIDE_ADDRESSES)('does not go to a name that resolves to %s', async (address) => {
    const resolve: HostResolver = () => Promise.resolve([address]);
    await expectRefused(egress(resolve), `https://hooks.example.com:${port}/`);
    await expectRefused(egress(resolve), `http://hooks.example.com:${port}/`);
  });

  it.each(INSIDE_ADDRESSES)('does not go to a name of which one address is %s', async (address) => {
    const resolve: HostResolver = () => Promise.resolve(['93.184.216.34', address]);
    await expectRefused(egress(resolve), `https://hooks.example.com:${port}/`);
  });

  it.each(INSIDE_ADDRESSES)('does not go to %s itself', async (address) => {
    const host = address.includes(':') ? `[${address}]` : address;
    await expectRefused(egress(toLoopback), `https://${host}:${port}/`);
  });

  it.each(INSIDE_HOSTS)('does not go to the host %s', async (host) => {
    await expectRefused(egress(toLoopback), `https://${host}:${port}/`);
    await expectRefused(egress(toLoopback), `http://${host}:${port}/`);
  });

  it.each([
    'https://user@127.0.0.1/',
    'https://user:secret@hooks.example.com/',
    'https://hooks.example.com@127.0.0.1/',
    'https://127.0.0.1\\@hooks.example.com/',
    'https://127.0.0.1#@hooks.example.com/',
    'https://127.0.0.1?@hooks.example.com/',
    'https:127.0.0.1/',
    'https:///127.0.0.1/',
    '//127.0.0.1/',
    'gopher://127.0.0.1:6379/_FLUSHALL',
    'file:///etc/passwd',
    'ftp://127.0.0.1/',
    'data:text/plain,hello',
    'javascript:alert(1)',
    'unix:/var/run/docker.sock',
    'ws://127.0.0.1/',
    'https://127.0.0.1%00.example.com/',
    'https://127.0.0.1\u0000.example.com/',
    'https://[::1%25eth0]/',
    ' https://127.0.0.1/',
    'HTTPS://127.0.0.1/',
    'https://hooks.example.com:22/',
    'https://hooks.example.com:25/',
    'https://hooks.example.com:6667/',
    'https://hooks.example.com:6000/',
    '',
    'https://',
  ])('is not fooled by %j', async (url) => {
    await expectRefused(egress(toLoopback), url);
  });

  it('goes to the ranges that are open, and to no other', async () => {
    const service = egress(toLoopback, ['127.0.0.1/32']);
    expect(await service.checkUrl(`http://127.0.0.1:${port}/`)).toBeNull();
    const before = connections;
    await service.send(hook(`http://127.0.0.1:${port}/`));
    expect(connections).toBe(before + 1);
    for (const host of ['127.0.0.2', '10.0.0.1', '[::1]', '169.254.169.254']) {
      await expectRefused(service, `http://${host}:${port}/`);
      await expectRefused(service, `https://${host}:${port}/`);
    }
  });
});
