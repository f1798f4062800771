import { resolve } from 'node:path';
import type { AppConfig, ModelFacts, ProviderConfig, Retention, S3Config } from './config.js';
import { readConfigFile } from './config-file.js';
import { Environment } from './environment.js';
import { readModels } from './model-section.js';
import { readProviders } from './provider-section.js';
import { readRetention } from './retention-section.js';
import { Section } from './section.js';

/** What {@link readConfig} answers: a config without problems, or every problem at once. No line holds a secret. */
export type ConfigReading = {
  readonly warnings: readonly string[];
  /** The policies of the file, whatever else is wrong: the policies room says what is wrong with them. */
  readonly written: WrittenPolicies;
} & (
  | { readonly config: AppConfig; readonly problems: readonly [] }
  | { readonly config: null; readonly problems: readonly string[] }
);

/** Policies as they stand in the config file, not checked yet. */
export interface WrittenPolicies {
  /** Where they stand, as problems say it: `baton.yaml: policies`. */
  readonly place: string;
  readonly policies: ReadonlyMap<string, unknown>;
  /** Each provider that is switched on; also one that is written with a mistake, so that its models are not called unknown as well. */
  readonly providerNames: ReadonlySet<string>;
}

const DEFAULT_FILE = 'baton.yaml';

/**
 * Reads the environment and the config file. Each problem says what is wrong, where, and what would be right; each
 * warning is a sentence for the log. Relative paths are taken from `cwd`.
 */
export function readConfig(env: NodeJS.ProcessEnv, cwd: string): ConfigReading {
  const environment = new Environment(env, cwd);
  environment.findTypingMistakes();
  const settings = readSettings(environment, cwd);
  const file = readFileSections(environment, cwd);
  const problems = [...environment.problems, ...file.problems];
  const { providers, models, retention, written, warnings } = file;
  if (problems.length > 0) return { config: null, problems: [...new Set(problems)], warnings, written };
  const config = { ...settings, providers, models, retention, policies: written.policies };
  return { config, problems: [], warnings, written };
}

function readSettings(
  environment: Environment,
  cwd: string,
): Omit<AppConfig, 'providers' | 'models' | 'policies' | 'retention'> {
  return {
    port: environment.value('PORT'),
    host: environment.value('HOST'),
    roles: environment.value('ROLES'),
    dataDir: resolve(cwd, environment.value('BATON_DATA_DIR')),
    databaseUrl: environment.value('DATABASE_URL'),
    redisUrl: environment.value('REDIS_URL'),
    adminKey: environment.value('BATON_ADMIN_KEY'),
    encryptionKeys: environment.value('ENCRYPTION_KEYS'),
    egressAllowCidrs: environment.value('EGRESS_ALLOW_CIDRS'),
    workerConcurrency: environment.value('WORKER_CONCURRENCY'),
    shutdownGraceMs: environment.value('SHUTDOWN_GRACE_MS'),
    fileMaxBytes: environment.value('FILE_MAX_BYTES'),
    batchMaxLines: environment.value('BATCH_MAX_LINES'),
    batchMaxActive: environment.value('BATCH_MAX_ACTIVE'),
    projectMaxWaitingJobs: environment.value('PROJECT_MAX_WAITING_JOBS'),
    projectMaxWaitingBytes: environment.value('PROJECT_MAX_WAITING_BYTES'),
    maxWaitingJobs: environment.value('MAX_WAITING_JOBS'),
    maxWaitingBytes: environment.value('MAX_WAITING_BYTES'),
    maxRequestsInFlight: environment.value('MAX_REQUESTS_IN_FLIGHT'),
    s3: readS3(environment),
    logLevel: environment.value('LOG_LEVEL'),
  };
}

/** The bucket switches it on; without it nobody looks at the keys, which may be there for other programs. */
function readS3(environment: Environment): S3Config | null {
  const bucket = environment.value('S3_BUCKET');
  const endpoint = environment.value('S3_ENDPOINT');
  const region = environment.value('S3_REGION');
  const prefix = environment.value('S3_PREFIX');
  if (bucket === null) return null;
  const accessKeyId = environment.needed('AWS_ACCESS_KEY_ID', 'S3_BUCKET');
  const secretAccessKey = environment.needed('AWS_SECRET_ACCESS_KEY', 'S3_BUCKET');
  return { bucket, endpoint, region, prefix, accessKeyId, secretAccessKey };
}

interface FileSections {
  readonly providers: Map<string, ProviderConfig>;
  readonly models: Map<string, ModelFacts>;
  readonly retention: Retention;
  readonly written: WrittenPolicies;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

function readFileSections(environment: Environment, cwd: string): FileSections {
  const named = environment.value('BATON_CONFIG');
  const label = named ?? DEFAULT_FILE;
  const path = resolve(cwd, label);
  const file = readConfigFile(path, label, environment);
  const problems: string[] = [];
  let content: unknown = null;
  if ('missing' in file) {
    if (named !== null) problems.push(`BATON_CONFIG: there is no file ${path}`);
  } else {
    content = file.content;
    problems.push(...file.problems);
  }
  const warnings: string[] = [];
  const root = Section.open(`${label}: `, content, problems);
  root.allowOnly(['providers', 'models', 'policies', 'retention']);
  const providerSection = root.section('providers');
  const providers = readProviders(providerSection, environment, warnings);
  // A provider that is written with a mistake is still known: its models should not be called unknown as well.
  const providerNames = new Set([...providers.keys(), ...providerSection.names()]);
  const models = readModels(root.section('models'), [...providerNames]);
  const retention = readRetention(root.section('retention'));
  const policySection = root.section('policies');
  const policies = new Map(policySection.names().map((name) => [name, policySection.raw(name)]));
  const written = { place: `${label}: policies`, policies, providerNames };
  return { providers, models, retention, written, problems, warnings };
}
