import { type DynamicModule, Module } from '@nestjs/common';
import { AdmissionModule } from './admission/admission.module.js';
import { ApiKeysModule } from './api-keys/api-keys.module.js';
import { BatchesModule } from './batches/batches.module.js';
import type { AppConfig } from './config/config.js';
import { ConfigModule } from './config/config.module.js';
import { GatewayModule } from './gateway/gateway.module.js';
import { HttpModule } from './http/http.module.js';
import { JobsModule } from './jobs/jobs.module.js';
import { QueueModule } from './queue/queue.module.js';
import { RetentionModule } from './retention/retention.module.js';
import { SturdyClient } from './storage/clients.js';
import type { Database } from './storage/database.js';
import { StorageModule } from './storage/storage.module.js';
import { TelemetryModule } from './telemetry/telemetry.module.js';

/** What was opened before the rooms are built. */
export interface Foundations {
  readonly config: AppConfig;
  readonly db: Database;
  readonly databaseUrl: string;
  readonly installationId: string;
  readonly adminKey: string;
  readonly encryptionKeys: Buffer[];
  /** Called when a worker hears nothing any more, whatever it tries. */
  readonly onDeaf: () => void;
}

/** The list of rooms; each is told which roles this process has. */
@Module({})
export class AppModule {
  static forRoot(foundations: Foundations): DynamicModule {
    const { config, db, databaseUrl, installationId, adminKey, encryptionKeys } = foundations;
    const jobs = JobsModule.forRoot(config.roles);
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot(config),
        TelemetryModule,
        StorageModule.forRoot({ db, databaseUrl, encryptionKeys, s3: config.s3 }),
        QueueModule.forRoot({
          redisUrl: config.redisUrl,
          databaseUrl,
          databaseClient: SturdyClient,
          installationId,
          onDeaf: foundations.onDeaf,
        }),
        RetentionModule.forRoot(config.roles),
        HttpModule,
        ApiKeysModule.forRoot(adminKey),
        AdmissionModule.forRoot(config.roles),
        jobs,
        BatchesModule.forRoot(config.roles, jobs),
        GatewayModule.forRoot(config.roles),
      ],
    };
  }
}
