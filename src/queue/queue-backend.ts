import { type ConnectionOptions, createPostgresBackend, setDefaultBackendFactory } from 'bullmq';

/** Where messages live: the only thing about the stores that this room is told. */
export interface QueueSettings {
  /** Redis (production); null puts the messages into PostgreSQL. */
  readonly redisUrl: string | null;
  readonly databaseUrl: string;
  /** The class of the connections to it: BullMQ's own pool would let one that breaks end the process. */
  readonly databaseClient: new () => unknown;
  /** Keeps apart two Batons that share one Redis. */
  readonly installationId: string;
}

/** BullMQ's connection options, and the prefix of its keys. */
export interface QueueBackend {
  readonly kind: 'redis' | 'postgres';
  readonly prefix: string;
  /** Waits for the store for ever; who can't wait puts a time on it. */
  readonly connection: ConnectionOptions;
}

/** Connections of one BullMQ object to PostgreSQL; there are eight objects in a process that runs both roles. */
const POSTGRES_POOL_SIZE = 4;
const LONGEST_RECONNECT_MS = 2_000;

/**
 * The one place that chooses. BullMQ's default backend is a setting of the whole process, so one process has one kind
 * of queue.
 */
export function chooseBackend(settings: QueueSettings): QueueBackend {
  // The braces keep all keys in one slot of a Redis Cluster.
  const prefix = `{baton-${settings.installationId.slice(0, 8)}}`;
  if (settings.redisUrl !== null) {
    setDefaultBackendFactory();
    // Without the null, a connection that was made while Redis was away would never come to life.
    const connection = {
      url: settings.redisUrl,
      retryStrategy: reconnectDelayMs,
      maxRetriesPerRequest: null,
    };
    return { kind: 'redis', prefix, connection };
  }
  setDefaultBackendFactory(createPostgresBackend as Parameters<typeof setDefaultBackendFactory>[0]);
  // BullMQ's types know Redis connections only; the PostgreSQL factory takes these.
  const connection = {
    connectionString: settings.databaseUrl,
    migrate: true,
    Client: settings.databaseClient,
    max: POSTGRES_POOL_SIZE,
    application_name: 'baton-queue',
  } as unknown as ConnectionOptions;
  return { kind: 'postgres', prefix, connection };
}

/** BullMQ's own back-off needs up to 20 s to find a Redis that has come back; a bell may not be silent that long. */
function reconnectDelayMs(times: number): number {
  return Math.min(100 * 2 ** times, LONGEST_RECONNECT_MS);
}
