import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DATABASE, type Database } from './database.js';
import { SecretSeal } from './seal.js';

/** The injection token of the connection string, for what must have a connection of its own. */
export const DATABASE_URL = Symbol('DatabaseUrl');

/** Gives every repository the database that was opened at the start; who opened it closes it. */
@Global()
@Module({})
export class StorageModule {
  static forRoot(options: { db: Database; databaseUrl: string; encryptionKeys: Buffer[] }): DynamicModule {
    return {
      module: StorageModule,
      providers: [
        { provide: DATABASE, useValue: options.db },
        { provide: DATABASE_URL, useValue: options.databaseUrl },
        { provide: SecretSeal, useFactory: () => new SecretSeal(options.encryptionKeys) },
      ],
      exports: [DATABASE, DATABASE_URL, SecretSeal],
    };
  }
}
