import { type DynamicModule, Global, Module } from '@nestjs/common';
import type { S3Config } from '../config/config.js';
import { Blobs } from './blobs.js';
import { DATABASE, type Database } from './database.js';
import { PostgresBlobs } from './postgres-blobs.js';
import { S3Blobs } from './s3-blobs.js';
import { SecretSeal } from './seal.js';

/** The injection token of the connection string, for what must have a connection of its own. */
export const DATABASE_URL = Symbol('DatabaseUrl');

/** Gives every repository the database that was opened at the start, and files their place; who opened the database closes it. */
@Global()
@Module({})
export class StorageModule {
  static forRoot(options: {
    db: Database;
    databaseUrl: string;
    encryptionKeys: Buffer[];
    s3: S3Config | null;
  }): DynamicModule {
    return {
      module: StorageModule,
      providers: [
        { provide: DATABASE, useValue: options.db },
        { provide: DATABASE_URL, useValue: options.databaseUrl },
        { provide: SecretSeal, useFactory: () => new SecretSeal(options.encryptionKeys) },
        {
          provide: Blobs,
          useFactory: () => new Blobs(new PostgresBlobs(options.db), options.s3 && new S3Blobs(options.s3)),
        },
      ],
      exports: [DATABASE, DATABASE_URL, SecretSeal, Blobs],
    };
  }
}
