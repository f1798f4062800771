/** A real Redis Cluster of three masters, and a master with a replica that three sentinels watch over, all on loopback. */
import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, type RunningRedis, startRedis, startSentinel } from './redis-server.js';
import { until } from './until.js';

const SLOTS = 16_384;
const MASTERS = 3;
const UP_TIMEOUT_MS = 30_000;
const QUORUM = 2;

export interface RedisHouse {
  /** As `REDIS_URL` wants it. */
  readonly url: string;
  readonly servers: readonly RunningRedis[];
  stop(): Promise<void>;
}

/** A cluster whose masters share all slots. */
export async function startRedisCluster(): Promise<RedisHouse> {
  const servers = await Promise.all(
    Array.from({ length: MASTERS }, async () => {
      const busPort = await freePort();
      const settings = {
        'cluster-enabled': 'yes',
        'cluster-node-timeout': '2000',
        'cluster-port': String(busPort),
      };
      return { ...(await startRedis({ settings })), busPort };
    }),
  );
  const clients = servers.map(({ port }) => new Redis(port, '127.0.0.1'));
  for (const [index, client] of clients.entries()) {
    const first = Math.floor((SLOTS * index) / MASTERS);
    const last = Math.floor((SLOTS * (index + 1)) / MASTERS) - 1;
    await client.call('CLUSTER', 'ADDSLOTSRANGE', first, last);
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    const [first_] = servers;
    if (index > 0 && first_) await client.call('CLUSTER', 'MEET', '127.0.0.1', first_.port, first_.busPort);
  }
  await until(
    'the nodes of the cluster know each other',
    async () => {
      const infos = await Promise.all(clients.map((client) => client.call('CLUSTER', 'INFO')));
      return infos.every((info) => /cluster_state:ok[^]*cluster_known_nodes:3/.test(String(info)));
    },
    UP_TIMEOUT_MS,
  );
  for (const client of clients) client.disconnect();
  return {
    url: `redis+cluster://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    servers,
    stop: async () => void (await Promise.all(servers.map((server) => server.kill()))),
  };
}

/** `servers` holds the master first, then its replica. */
export async function startRedisSentinel(): Promise<RedisHouse> {
  const master = await startRedis();
  const replica = await startRedis({ settings: { replicaof: `127.0.0.1 ${master.port}` } });
  const folder = await mkdtemp(join(tmpdir(), 'baton-test-sentinel-'));
  const sentinels = await Promise.all(
    [1, 2, 3].map(async (number) => {
      const path = join(folder, `sentinel-${number}.conf`);
      const lines = [
        `sentinel monitor baton 127.0.0.1 ${master.port} ${QUORUM}`,
        'sentinel down-after-milliseconds baton 1000',
        'sentinel failover-timeout baton 5000',
      ];
      await writeFile(path, `${lines.join('\n')}\n`);
      return startSentinel(path);
    }),
  );
  const [first] = sentinels;
  if (!first) throw new Error('There is no sentinel');
  const client = new Redis(first.port, '127.0.0.1');
  await until(
    'the sentinels know each other',
    async () => {
      const known = (await client.call('SENTINEL', 'MASTER', 'baton')) as string[];
      const about = (name: string) => Number(known[known.indexOf(name) + 1]);
      return about('num-slaves') === 1 && about('num-other-sentinels') === 2;
    },
    UP_TIMEOUT_MS,
  );
  client.disconnect();
  return {
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/baton`,
    servers: [master, replica],
    stop: async () => {
      await Promise.all([...sentinels, master, replica].map((server) => server.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
