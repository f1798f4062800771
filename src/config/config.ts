/** Config: every environment variable and the config file, said, checked and read once. Nothing else reads `process.env`. */

/** What this Baton is told to be. Built once at the start by {@link readConfig}; never changed afterwards. */
export interface AppConfig {
  /** TCP port of the API; 0 lets the system choose. */
  readonly port: number;
  readonly host: string;
  /** Which parts of Baton this process runs. */
  readonly roles: { readonly api: boolean; readonly worker: boolean };
  /** Absolute path of the folder for the embedded stores, the admin key and the encryption key. */
  readonly dataDir: string;
  /** PostgreSQL connection string; null means the embedded server in `dataDir`. */
  readonly databaseUrl: string | null;
  /** Redis connection string; null means BullMQ's PostgreSQL backend. */
  readonly redisUrl: string | null;
  /** The operator's key for the API; null means the one kept in `dataDir`. */
  readonly adminKey: string | null;
  /** 32-byte keys that seal secrets in the database, newest first; empty means the one kept in `dataDir`. */
  readonly encryptionKeys: readonly Buffer[];
  /** CIDR ranges that webhooks may reach although they are private, and over plain http. */
  readonly egressAllowCidrs: readonly string[];
  /** How many jobs one worker process runs at once. */
  readonly workerConcurrency: number;
  /** How long a stopping process waits for running calls. */
  readonly shutdownGraceMs: number;
  /** The largest file that may be uploaded. */
  readonly fileMaxBytes: number;
  /** How many lines the input of a batch may have. */
  readonly batchMaxLines: number;
  /** How many unfinished batches a project may have at once. */
  readonly batchMaxActive: number;
  /** How many jobs of one project, and how many bytes of their requests, may wait to be run. */
  readonly projectMaxWaitingJobs: number;
  readonly projectMaxWaitingBytes: number;
  /** The same for all projects together. */
  readonly maxWaitingJobs: number;
  readonly maxWaitingBytes: number;
  /** How many requests one process works on at once; those that only wait or stream are not counted. */
  readonly maxRequestsInFlight: number;
  /** The S3-compatible store that new files go to; null keeps them in PostgreSQL. */
  readonly s3: S3Config | null;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** Providers that are switched on, by the name that stands before the `/` of a model. `sim` is always there. */
  readonly providers: ReadonlyMap<string, ProviderConfig>;
  /** What the operator says of models, by `provider/model`; it goes before the built-in catalogue. */
  readonly models: ReadonlyMap<string, ModelFacts>;
  /** Policies of the config file by name, as written there (snake_case); checked by the policies room. */
  readonly policies: ReadonlyMap<string, unknown>;
  readonly retention: Retention;
}

/** How long things are kept, in days; null keeps them for ever. */
export interface RetentionTerms {
  /** Single jobs, counted from their end. */
  readonly jobsDays: number | null;
  /** Batches with their lines, counted from their end. */
  readonly batchesDays: number | null;
  /** What webhooks told of anything but jobs. */
  readonly deliveriesDays: number | null;
  /** Files, besides the time that each was given. */
  readonly filesDays: number | null;
}

/** The terms for all projects, and those of projects, by name, that have their own. */
export interface Retention extends RetentionTerms {
  readonly projects: ReadonlyMap<string, RetentionTerms>;
}

/** Where in which S3-compatible store the bytes of files are, and who we are there. */
export interface S3Config {
  readonly bucket: string;
  /** Base URL of the store, without the bucket; null is Amazon's own in the region. */
  readonly endpoint: string | null;
  readonly region: string;
  /** What the names of objects begin with; may be empty. */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The wire formats that Baton speaks. */
export const WIRE_FORMATS = ['openai', 'anthropic', 'gemini'] as const;
export type WireFormat = (typeof WIRE_FORMATS)[number];

/** One provider: who serves models, where, with which keys. */
export interface ProviderConfig {
  readonly name: string;
  readonly kind: WireFormat | 'sim';
  /** Without a trailing slash, with its version path: `https://api.openai.com/v1`. Empty for `sim`. */
  readonly baseUrl: string;
  /** At least one, but for providers without keys (`sim`, a local server), where it may be empty. */
  readonly apiKeys: readonly ProviderKey[];
  /** What the operator allows us to use of each of its keys; absent means no limit of ours. */
  readonly limits?: CallLimits;
  /** Whether models that keep failing are left alone for a while, and our own concurrency follows what the provider bears. */
  readonly protect: boolean;
}

/** Limits of our own use of a provider's key: requests and tokens per minute, calls at the same time. */
export interface CallLimits {
  readonly rpm?: number;
  readonly tpm?: number;
  readonly concurrency?: number;
}

/** One key of a provider. The id is safe to show and to write down; the secret never leaves the process but in a call. */
export interface ProviderKey {
  readonly id: string;
  readonly secret: string;
}

/** Facts of one model; prices in US dollars per million tokens. Unknown facts are absent. */
export interface ModelFacts {
  /** The most tokens that request and answer may have together. */
  readonly contextWindow?: number;
  /** The most tokens that one answer may have. */
  readonly maxOutputTokens?: number;
  readonly inputUsdPerMtok?: number;
  readonly outputUsdPerMtok?: number;
  /** Of input that came from the provider's cache; absent: as other input. */
  readonly cachedInputUsdPerMtok?: number;
  /** Of input that was written to the provider's cache; absent: as other input. */
  readonly cacheWriteUsdPerMtok?: number;
  /** What it takes in. */
  readonly modalities?: readonly ('text' | 'image' | 'audio' | 'file')[];
  readonly tools?: boolean;
  readonly jsonSchema?: boolean;
  /** The endpoints of OpenAI's API that it serves. */
  readonly endpoints?: readonly ModelEndpoint[];
  /** What the operator allows us to use of this model with each key. */
  readonly limits?: CallLimits;
}

/** The endpoints that a model may serve: those that a job may be for. */
export const MODEL_ENDPOINTS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
] as const;
type ModelEndpoint = (typeof MODEL_ENDPOINTS)[number];

/** The injection token under which {@link AppConfig} is given to services. */
export const APP_CONFIG = Symbol('AppConfig');
