import { getDefaultBackendFactory, PostgresQueueBackend } from 'bullmq';
import { EnduringConnection } from './postgres-connection.js';
import { chooseBackend } from './queue-backend.js';

const ofRedis = getDefaultBackendFactory();

class databaseClient {}
const installationId = '0c7f1a52-7a43-4b4e-9a58-30f9d7c2c3a1';

describe('the choice of the queue backend', () => {
  it('is Redis when there is a Redis, with a connection that waits for it for ever', () => {
    const backend = chooseBackend({
      redisUrl: 'redis://127.0.0.1:6379/2',
      databaseUrl: 'postgres://x/y',
      databaseClient,
      installationId,
    });
    expect(backend.kind).toBe('redis');
    expect(getDefaultBackendFactory()).toBe(ofRedis);
    expect(backend.connection).toMatchObject({ maxRetriesPerRequest: null });
  });

  it('is PostgreSQL without one, in the same database', () => {
    const backend = chooseBackend({
      redisUrl: null,
      databaseUrl: 'postgres://x/y',
      databaseClient,
      installationId,
    });
    expect(backend.kind).toBe('postgres');
    const made = getDefaultBackendFactory()('q', { connection: backend.connection }) as PostgresQueueBackend;
    expect(made.connection).toBeInstanceOf(EnduringConnection);
    expect(backend.connection).toMatchObject({
      connectionString: 'postgres://x/y',
      Client: databaseClient,
    });
  });

  it('makes the connection on which PostgreSQL is listened to of the class that was given', async () => {
    class Seen {
      connect(): never {
        throw new Error('seen');
      }
    }
    const connection = new EnduringConnection({ connectionString: 'postgres://x/y', Client: Seen } as never);
    await expect(connection.getListenClient()).rejects.toThrow('seen');
    await connection.close();
  });

  it('gives each installation a prefix of its own, in one slot of a cluster', () => {
    expect(chooseBackend({ redisUrl: null, databaseUrl: '', databaseClient, installationId }).prefix).toBe(
      '{baton-0c7f1a52}',
    );
  });
});
