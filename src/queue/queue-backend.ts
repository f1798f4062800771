import {
  type BackendFactory,
  type ConnectionOptions,
  createIORedisClient,
  PostgresQueueBackend,
  RedisConnection,
  setDefaultBackendFactory,
} from 'bullmq';
import { EnduringConnection } from './postgres-connection.js';
import { reconnectDelayMs } from './reconnect-delay.js';
import { openRedis } from './redis-client.js';

/** Where messages live: the only thing about the stores that this room is told. */
export interface QueueSettings {
  /** Redis (production); null puts the messages into PostgreSQL. */
  readonly redisUrl: string | null;
  readonly databaseUrl: string;
  /** The class of the connections to it: BullMQ's own pool would let one that breaks end the process. */
  readonly databaseClient: new () => unknown;
  /** Keeps apart two Batons that share one Redis. */
  readonly installationId: string;
  /** Called when a worker of this process hears nothing, and a new connection did not help: only a new process may. */
  readonly onDeaf: () => void;
}

/** BullMQ's connection options, and the prefix of its keys. */
export interface QueueBackend {
  readonly kind: 'redis' | 'postgres';
  readonly prefix: string;
  /** Waits for the store for ever; who can't wait puts a time on it. */
  readonly connection: ConnectionOptions;
}

/** A connection that is silent for so long while it owes an answer is given up; reading for the next message takes 5 to 10 s. */
const SILENCE_TIMEOUT_MS = 15_000;

const CONNECT_TIMEOUT_MS = 5_000;
/** Connections of one BullMQ object to PostgreSQL; there are eight objects in a process that runs both roles. */
const POSTGRES_POOL_SIZE = 4;

/**
 * The one place that chooses. BullMQ's default backend is a setting of the whole process, so one process has one kind
 * of queue.
 */
export function chooseBackend(settings: Omit<QueueSettings, 'onDeaf'>): QueueBackend {
  // The braces keep all keys in one slot of a Redis Cluster.
  const prefix = `{baton-${settings.installationId.slice(0, 8)}}`;
  const { redisUrl } = settings;
  if (redisUrl !== null) {
    setDefaultBackendFactory();
    RedisConnection.clientFactory = (options) => createIORedisClient(openRedis(redisUrl, options));
    // Without the null, a connection that was made while Redis was away would never come to life.
    const connection = {
      retryStrategy: reconnectDelayMs,
      maxRetriesPerRequest: null,
      socketTimeout: SILENCE_TIMEOUT_MS,
    };
    return { kind: 'redis', prefix, connection };
  }
  setDefaultBackendFactory(createBackend as Parameters<typeof setDefaultBackendFactory>[0]);
  // BullMQ's types know Redis connections only; the PostgreSQL factory takes these.
  const connection = {
    connectionString: settings.databaseUrl,
    Client: settings.databaseClient,
    max: POSTGRES_POOL_SIZE,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'baton-queue',
  } as unknown as ConnectionOptions;
  return { kind: 'postgres', prefix, connection };
}

type Backend = BackendFactory<PostgresQueueBackend, ConstructorParameters<typeof EnduringConnection>[0]>;

/** As BullMQ's own, with a connection that outlives a database that is away when it is first asked. */
const createBackend: Backend = (name, options, { withBlockingConnection = false } = {}) =>
  new PostgresQueueBackend(
    new EnduringConnection(options.connection),
    name,
    options,
    true,
    // Only the connection on which a worker listens has a name.
    withBlockingConnection ? name : undefined,
  );
