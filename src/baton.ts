import { type AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type AdminKey, loadAdminKey } from './api-keys/admin-key.js';
import { AppModule } from './app.module.js';
import type { AppConfig } from './config/config.js';
import { configureHttp, createHttpAdapter } from './http/http-server.js';
import { setupOpenApi } from './http/openapi.js';
import { ReadinessService } from './http/readiness.service.js';
import { QueueService } from './queue/queue.service.js';
import { ConnectionLine } from './storage/connection-line.js';
import { type Database, installationId, migrate, openDatabase } from './storage/database.js';
import { startEmbeddedPostgres } from './storage/embedded-postgres.js';
import { loadEncryptionKeys } from './storage/seal.js';
import { NestLogger } from './telemetry/logger.js';

/** A Baton that runs in this process. */
export interface Baton {
  readonly app: NestFastifyApplication;
  /** Where the API listens, with the port that it really got. */
  readonly url: string;
  readonly adminKey: AdminKey;
  /** Stops taking work, waits for what runs (the config's grace), then closes the stores. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts the roles and stores that the config asks for; resolves when the API listens. Throws when a store can't be
 * had; then everything that was started is stopped again. `onHopeless` is called with a sentence for the log
 * when nothing can be done but to stop: the embedded PostgreSQL ended by itself, or a worker is deaf.
 */
export async function startBaton(
  config: AppConfig,
  logger: Logger,
  onHopeless: (why: string) => void = () => undefined,
): Promise<Baton> {
  const undo: (() => Promise<void>)[] = [];
  const stop = once(async () => {
    const problems: unknown[] = [];
    // Whatever one part says, the others are closed too.
    for (const step of undo.reverse()) await step().catch((error: unknown) => problems.push(error));
    if (problems.length > 0) throw new AggregateError(problems, 'Some parts did not stop cleanly');
  });
  try {
    const adminKey = await loadAdminKey(config);
    const databaseUrl = config.databaseUrl ?? (await startEmbedded(config, logger, onHopeless, undo));
    const line = new ConnectionLine();
    const onBroken = (error: Error) => logger.warn({ err: error }, 'A database connection broke');
    const db = openDatabase(databaseUrl, onBroken, line);
    undo.push(() => db.destroy());
    await migrate(db);
    const app = await createApp(
      {
        config,
        db,
        databaseUrl,
        installationId: await installationId(db),
        adminKey: adminKey.key,
        encryptionKeys: await loadEncryptionKeys(config),
        onDeaf: () =>
          onHopeless('Messages wait, and this worker hears none of them, on a new connection either'),
      },
      line,
      logger,
    );
    undo.push(() => app.close());
    await listen(app, config);
    return { app, url: urlOf(app, config.host), adminKey, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function createApp(
  foundations: Parameters<typeof AppModule.forRoot>[0],
  line: ConnectionLine,
  logger: Logger,
): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot(foundations),
    createHttpAdapter(logger),
    {
      logger: new NestLogger(logger),
      abortOnError: false,
    },
  );
  configureHttp(app, { line, maxRequestsInFlight: foundations.config.maxRequestsInFlight });
  if (foundations.config.roles.api) await setupOpenApi(app);
  const readiness = app.get(ReadinessService);
  readiness.register('database', () => ping(foundations.db), { required: true });
  // The API can accept without the bell; a worker hears nothing without it.
  readiness.register('queue', () => app.get(QueueService).ping(), {
    required: !foundations.config.roles.api,
  });
  return app;
}

/** Throws with a sentence that says what to do when the port is taken. */
async function listen(app: NestFastifyApplication, { port, host }: AppConfig): Promise<void> {
  try {
    await app.listen({ port, host });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(
      `port ${port} of ${host} is in use by another program. Stop it, or set PORT to another port.`,
      {
        cause: error,
      },
    );
  }
}

async function startEmbedded(
  config: AppConfig,
  logger: Logger,
  onHopeless: (why: string) => void,
  undo: (() => Promise<void>)[],
): Promise<string> {
  const server = await startEmbeddedPostgres({
    dataDir: config.dataDir,
    log: (message, fields) => logger.info(fields ?? {}, message),
    onExit: () => onHopeless('The embedded PostgreSQL ended by itself'),
  });
  undo.push(() => server.stop());
  return server.connectionString;
}

async function ping(db: Database): Promise<void> {
  await sql`select 1`.execute(db);
}

function urlOf(app: NestFastifyApplication, host: string): string {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${shown}:${port}`;
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => (done ??= work());
}
