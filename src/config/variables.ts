import type { AppConfig } from './config.js';
import { redisUrl } from './redis-address.js';
import {
  adminKey,
  bucketName,
  cidrList,
  connectionString,
  encryptionKeys,
  hostName,
  objectPrefix,
  oneOf,
  regionName,
  roleList,
  someText,
  wholeNumber,
  type Parse,
} from './parse-variable.js';

/** What the environment says, by variable. Paths are still as written; everything else is checked. */
export interface VariableValues {
  PORT: number;
  HOST: string;
  ROLES: AppConfig['roles'];
  DATABASE_URL: string | null;
  REDIS_URL: string | null;
  BATON_DATA_DIR: string;
  BATON_CONFIG: string | null;
  BATON_ADMIN_KEY: string | null;
  ENCRYPTION_KEYS: readonly Buffer[];
  EGRESS_ALLOW_CIDRS: readonly string[];
  WORKER_CONCURRENCY: number;
  SHUTDOWN_GRACE_MS: number;
  LOG_LEVEL: AppConfig['logLevel'];
  FILE_MAX_BYTES: number;
  BATCH_MAX_LINES: number;
  BATCH_MAX_ACTIVE: number;
  PROJECT_MAX_WAITING_JOBS: number;
  PROJECT_MAX_WAITING_BYTES: number;
  MAX_WAITING_JOBS: number;
  MAX_WAITING_BYTES: number;
  MAX_REQUESTS_IN_FLIGHT: number;
  S3_BUCKET: string | null;
  S3_ENDPOINT: string | null;
  S3_REGION: string;
  S3_PREFIX: string;
  AWS_ACCESS_KEY_ID: string | null;
  AWS_SECRET_ACCESS_KEY: string | null;
}

export type VariableName = keyof VariableValues;

/** One variable of the environment: the only place where its meaning, default and check are said. */
export interface Variable<T> {
  /** What it does, for the docs. */
  readonly doc: string;
  /** What the docs say of the default. */
  readonly defaultText: string;
  /** The value when it is not set. */
  readonly fallback: T;
  readonly parse: Parse<T>;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const MOST_JOBS = 1_000_000_000;
const MOST_BYTES = 100 * 1024 * GIB;

/** Every variable that Baton reads, but for the providers' keys: those are in `PROVIDER_PRESETS`. */
export const VARIABLES: { readonly [Name in VariableName]: Variable<VariableValues[Name]> } = {
  PORT: {
    doc: 'TCP port of the API. `0` lets the system choose one.',
    defaultText: '`3000`',
    fallback: 3000,
    parse: wholeNumber(0, 65_535),
  },
  HOST: {
    doc: 'Address to listen on. `0.0.0.0` (or `::`) listens on every interface.',
    defaultText: '`127.0.0.1`',
    fallback: '127.0.0.1',
    parse: hostName,
  },
  ROLES: {
    doc: 'What this process does: `api`, `worker`, or both, comma-separated.',
    defaultText: '`api,worker`',
    fallback: { api: true, worker: true },
    parse: roleList,
  },
  DATABASE_URL: {
    doc: 'PostgreSQL to use, `postgres://user:password@host:5432/database`.',
    defaultText: 'an embedded server in `BATON_DATA_DIR`',
    fallback: null,
    parse: connectionString(['postgres:', 'postgresql:']),
  },
  REDIS_URL: {
    doc: 'Redis to use for the queue: `redis://host:6379`, `redis+sentinel://host,host/master-name`, or `redis+cluster://host,host` (`rediss` for TLS).',
    defaultText: 'the queue runs in PostgreSQL',
    fallback: null,
    parse: redisUrl,
  },
  BATON_DATA_DIR: {
    doc: 'Folder for the embedded stores and for the keys that Baton makes itself.',
    defaultText: '`./.baton`',
    fallback: './.baton',
    parse: someText,
  },
  BATON_CONFIG: {
    doc: 'Path of the config file. A file that is named here must exist.',
    defaultText: '`baton.yaml`, if there is one',
    fallback: null,
    parse: someText,
  },
  BATON_ADMIN_KEY: {
    doc: "The operator's key for the API: at least 16 visible ASCII characters.",
    defaultText: 'made at the first start, kept in `<data dir>/admin-key`',
    fallback: null,
    parse: adminKey,
  },
  ENCRYPTION_KEYS: {
    doc: 'Keys that seal secrets in the database: 32 bytes each, in base64 or hex, comma-separated, newest first. Make one with `openssl rand -base64 32`.',
    defaultText: 'made at the first start, kept in the data folder',
    fallback: [],
    parse: encryptionKeys,
  },
  EGRESS_ALLOW_CIDRS: {
    doc: 'Private address ranges that webhooks may reach, over plain http too, comma-separated: `10.0.0.0/8,fd00::/8`.',
    defaultText: 'none',
    fallback: [],
    parse: cidrList,
  },
  WORKER_CONCURRENCY: {
    doc: 'How many jobs one worker process runs at once.',
    defaultText: '`50`',
    fallback: 50,
    parse: wholeNumber(1, 10_000),
  },
  SHUTDOWN_GRACE_MS: {
    doc: 'How long a stopping process waits for running calls, in milliseconds.',
    defaultText: '`25000`',
    fallback: 25_000,
    parse: wholeNumber(0, 3_600_000),
  },
  LOG_LEVEL: {
    doc: 'Least level that is logged: `fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`.',
    defaultText: '`info`',
    fallback: 'info',
    parse: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  },
  FILE_MAX_BYTES: {
    doc: 'The largest file that may be uploaded, in bytes, at most 10 GiB.',
    defaultText: '`209715200` (200 MiB)',
    fallback: 200 * MIB,
    parse: wholeNumber(1, 10_240 * MIB),
  },
  BATCH_MAX_LINES: {
    doc: 'How many lines the input of a batch may have.',
    defaultText: '`50000`',
    fallback: 50_000,
    parse: wholeNumber(1, 1_000_000),
  },
  BATCH_MAX_ACTIVE: {
    doc: 'How many unfinished batches a project may have at once.',
    defaultText: '`1000`',
    fallback: 1000,
    parse: wholeNumber(1, 1_000_000),
  },
  PROJECT_MAX_WAITING_JOBS: {
    doc: 'How many jobs of one project may wait to be run; a submission beyond that is refused with 429 `queue_full`.',
    defaultText: '`1000000`',
    fallback: 1_000_000,
    parse: wholeNumber(1, MOST_JOBS),
  },
  PROJECT_MAX_WAITING_BYTES: {
    doc: 'How many bytes the requests of those jobs may have together.',
    defaultText: '`10737418240` (10 GiB)',
    fallback: 10 * GIB,
    parse: wholeNumber(1, MOST_BYTES),
  },
  MAX_WAITING_JOBS: {
    doc: 'How many jobs of all projects may wait to be run; a submission beyond that is refused with 503 `overloaded`.',
    defaultText: '`2000000`',
    fallback: 2_000_000,
    parse: wholeNumber(1, MOST_JOBS),
  },
  MAX_WAITING_BYTES: {
    doc: 'How many bytes the requests of those jobs may have together.',
    defaultText: '`21474836480` (20 GiB)',
    fallback: 20 * GIB,
    parse: wholeNumber(1, MOST_BYTES),
  },
  MAX_REQUESTS_IN_FLIGHT: {
    doc: 'How many requests one process works on at once; one more is refused with 503 `overloaded`. Those that only wait, stream or upload are not counted.',
    defaultText: '`64`',
    fallback: 64,
    parse: wholeNumber(1, 100_000),
  },
  S3_BUCKET: {
    doc: "Bucket of an S3-compatible store that new files' bytes go to. Needs `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.",
    defaultText: 'files are kept in PostgreSQL',
    fallback: null,
    parse: bucketName,
  },
  S3_ENDPOINT: {
    doc: 'Base URL of a store that is not Amazon S3: `https://minio.example.com:9000`. The bucket then stands in the path.',
    defaultText: 'Amazon S3 in `S3_REGION`',
    fallback: null,
    parse: connectionString(['http:', 'https:']),
  },
  S3_REGION: {
    doc: 'Region of the bucket. Some stores want a word of their own here, such as `auto`.',
    defaultText: '`us-east-1`',
    fallback: 'us-east-1',
    parse: regionName,
  },
  S3_PREFIX: {
    doc: 'Put before the name of each object in the bucket: `baton/`.',
    defaultText: 'nothing',
    fallback: '',
    parse: objectPrefix,
  },
  AWS_ACCESS_KEY_ID: {
    doc: 'Who Baton is at the S3-compatible store. Read only if `S3_BUCKET` is set.',
    defaultText: 'none',
    fallback: null,
    parse: someText,
  },
  AWS_SECRET_ACCESS_KEY: {
    doc: 'The secret to that key.',
    defaultText: 'none',
    fallback: null,
    parse: someText,
  },
};
