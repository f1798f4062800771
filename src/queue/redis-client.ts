import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { parseRedisAddress } from '../config/redis-address.js';
import { reconnectDelayMs } from './reconnect-delay.js';

/** How long a node of a cluster may take to say who holds which slots; ioredis' one second is short on a busy machine. */
const SLOTS_REFRESH_TIMEOUT_MS = 2_000;

/**
 * A client of the Redis at `REDIS_URL`: one server, the master that the sentinels name, or a cluster. Throws if the address
 * can't be read, which the config has ruled out.
 */
export function openRedis(url: string, options: RedisOptions): Redis | Cluster {
  const parsed = parseRedisAddress(url);
  if (parsed.problem !== undefined) throw new Error(`REDIS_URL ${parsed.problem}`);
  const address = parsed.value;
  const { username, password, db, nodes, sentinelPassword } = address;
  const common: RedisOptions = {
    ...options,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(address.isTls ? { tls: {} } : {}),
  };
  switch (address.kind) {
    case 'single':
      return new Redis({ ...common, ...nodes[0], db });
    case 'sentinel':
      return new Redis({
        ...common,
        db,
        sentinels: [...nodes],
        name: address.master,
        ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
        ...(address.isTls ? { enableTLSForSentinelMode: true } : {}),
        sentinelRetryStrategy: reconnectDelayMs,
        // A master that was made a replica would refuse every write; the sentinels know the new one by then.
        reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
      });
    case 'cluster':
      return new Cluster([...nodes], {
        redisOptions: common,
        enableOfflineQueue: options.enableOfflineQueue ?? true,
        lazyConnect: options.lazyConnect ?? false,
        clusterRetryStrategy: reconnectDelayMs,
        slotsRefreshTimeout: SLOTS_REFRESH_TIMEOUT_MS,
      });
  }
}
