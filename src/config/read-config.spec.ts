import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AppConfig } from './config.js';
import { WIRE_FORMATS } from './config.js';
import { readConfig } from './read-config.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-config-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const KEY_A = Buffer.alloc(32, 'a');
const KEY_B = Buffer.alloc(32, 'b');

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function configOf(env: NodeJS.ProcessEnv, yaml?: string): AppConfig {
  if (yaml !== undefined) write('baton.yaml', yaml);
  const { config, problems } = readConfig(env, folder);
  expect(problems).toEqual([]);
  if (config === null) throw new Error('no config');
  return config;
}

function problemsOf(env: NodeJS.ProcessEnv, yaml?: string): readonly string[] {
  if (yaml !== undefined) write('baton.yaml', yaml);
  const { config, problems } = readConfig(env, folder);
  expect(config === null).toBe(problems.length > 0);
  return problems;
}

describe('the environment', () => {
  test('says nothing: every default, and sim alone', () => {
    expect(configOf({})).toEqual({
      port: 3000,
      host: '127.0.0.1',
      roles: { api: true, worker: true },
      dataDir: join(folder, '.baton'),
      databaseUrl: null,
      redisUrl: null,
      adminKey: null,
      encryptionKeys: [],
      egressAllowCidrs: [],
      workerConcurrency: 50,
      shutdownGraceMs: 25_000,
      fileMaxBytes: 209_715_200,
      batchMaxLines: 50_000,
      batchMaxActive: 1000,
      projectMaxWaitingJobs: 1_000_000,
      projectMaxWaitingBytes: 10 * 2 ** 30,
      maxWaitingJobs: 2_000_000,
      maxWaitingBytes: 20 * 2 ** 30,
      maxRequestsInFlight: 64,
      s3: null,
      logLevel: 'info',
      providers: new Map([['sim', { name: 'sim', kind: 'sim', baseUrl: '', apiKeys: [], protect: false }]]),
      models: new Map(),
      policies: new Map(),
      retention: { jobsDays: 30, batchesDays: 30, deliveriesDays: 30, filesDays: null, projects: new Map() },
    });
  });

  test('says everything', () => {
    const config = configOf({
      PORT: '0',
      HOST: '::',
      ROLES: 'worker',
      DATABASE_URL: 'postgres://u:p@db/baton',
      REDIS_URL: 'rediss://cache:6380/1',
      BATON_DATA_DIR: '/var/lib/baton',
      BATON_ADMIN_KEY: 'correct-horse-battery',
      ENCRYPTION_KEYS: `${KEY_A.toString('base64')}, ${KEY_B.toString('hex')}`,
      EGRESS_ALLOW_CIDRS: '10.0.0.0/8,fd00::/8',
      WORKER_CONCURRENCY: '7',
      SHUTDOWN_GRACE_MS: '0',
      LOG_LEVEL: 'DEBUG',
      FILE_MAX_BYTES: '10737418240',
      BATCH_MAX_LINES: '1000000',
      BATCH_MAX_ACTIVE: '1',
      S3_BUCKET: 'bucket',
      S3_ENDPOINT: 'http://minio:9000',
      S3_REGION: 'auto',
      S3_PREFIX: 'baton/files-',
      AWS_ACCESS_KEY_ID: 'id',
      AWS_SECRET_ACCESS_KEY: 'secret',
    });
    expect(config).toMatchObject({
      port: 0,
      host: '::',
      roles: { api: false, worker: true },
      databaseUrl: 'postgres://u:p@db/baton',
      redisUrl: 'rediss://cache:6380/1',
      dataDir: '/var/lib/baton',
      adminKey: 'correct-horse-battery',
      encryptionKeys: [KEY_A, KEY_B],
      egressAllowCidrs: ['10.0.0.0/8', 'fd00::/8'],
      workerConcurrency: 7,
      shutdownGraceMs: 0,
      logLevel: 'debug',
      fileMaxBytes: 10_737_418_240,
      batchMaxLines: 1_000_000,
      batchMaxActive: 1,
      s3: {
        bucket: 'bucket',
        endpoint: 'http://minio:9000',
        region: 'auto',
        prefix: 'baton/files-',
        accessKeyId: 'id',
        secretAccessKey: 'secret',
      },
    });
  });

  test('an empty variable is one that is not set', () => {
    expect(configOf({ PORT: '', REDIS_URL: ' ', OPENAI_API_KEY: '' })).toMatchObject({
      port: 3000,
      redisUrl: null,
    });
  });

  test.each<[string, string, RegExp]>([
    ['PORT', '70000', /whole number from 0 to 65535/],
    ['PORT', '80a', /whole number/],
    ['PORT', '-1', /whole number/],
    ['PORT', '1e3', /whole number/],
    ['HOST', 'http://x', /host name without a port/],
    ['ROLES', 'api,wroker', /api, worker, or api,worker/],
    ['ROLES', ',', /api, worker/],
    ['DATABASE_URL', 'mysql://db', /postgres:\/\/ or postgresql:\/\//],
    ['DATABASE_URL', 'secret-word', /postgres:\/\//],
    ['REDIS_URL', 'localhost:6379', /redis:\/\/.*redis\+sentinel/],
    ['BATON_ADMIN_KEY', 'short', /at least 16/],
    ['BATON_ADMIN_KEY', 'long enough but with blanks', /no blanks/],
    ['ENCRYPTION_KEYS', `${KEY_A.toString('base64')},c2hvcnQ=`, /key 2 is not/],
    ['ENCRYPTION_KEYS', ',', /32-byte keys/],
    ['EGRESS_ALLOW_CIDRS', '10.0.0.1', /CIDR ranges/],
    ['EGRESS_ALLOW_CIDRS', '10.0.0.0/8,10.0.0.0/33', /range 2 is not/],
    ['WORKER_CONCURRENCY', '0', /from 1 to 10000/],
    ['SHUTDOWN_GRACE_MS', '1s', /whole number/],
    ['LOG_LEVEL', 'loud', /fatal, error, warn/],
    ['FILE_MAX_BYTES', '10737418241', /from 1 to 10737418240/],
    ['BATCH_MAX_LINES', '1000001', /from 1 to 1000000/],
    ['BATCH_MAX_ACTIVE', '0', /from 1 to 1000000/],
    ['S3_ENDPOINT', 'minio:9000', /http:\/\/ or https:\/\//],
    ['S3_REGION', 'us east', /name of a region/],
    ['S3_PREFIX', '/baton', /not begin with a slash/],
    ['OPENAI_API_KEY', 'sk-with blank', /visible ASCII/],
    ['BATON_CONFIG', 'none.yaml', /there is no file \/.*none\.yaml/],
  ])('%s=%s is a problem that does not repeat the value', (name, value, expected) => {
    const problems = problemsOf({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
    expect(problems[0]?.startsWith(`${name}: `)).toBe(true);
    expect(problems[0]?.split(' ')).not.toContain(value);
  });

  test("a bucket needs its keys, and the keys alone are nobody's business", () => {
    expect(problemsOf({ S3_BUCKET: 'b' })).toEqual([
      'S3_BUCKET: must be the name of a bucket: 2 to 63 letters, digits, dots, dashes and underscores',
    ]);
    expect(problemsOf({ S3_BUCKET: 'bucket', AWS_ACCESS_KEY_ID_FILE: 'none' })).toEqual([
      'AWS_ACCESS_KEY_ID_FILE: cannot read none (ENOENT)',
      'AWS_SECRET_ACCESS_KEY: must be set because S3_BUCKET is',
    ]);
    expect(configOf({ AWS_ACCESS_KEY_ID: 'id', S3_ENDPOINT: 'https://s3' }).s3).toBeNull();
  });

  test('all mistakes are listed at once', () => {
    const problems = problemsOf({ PORT: 'x', LOG_LEVEL: 'x' }, 'provider: {}\nmodels: { a: {} }');
    expect(problems).toEqual([
      'PORT: must be a whole number from 0 to 65535',
      'LOG_LEVEL: must be one of fatal, error, warn, info, debug, trace, silent',
      'baton.yaml: provider: unknown name; did you mean providers?',
      'baton.yaml: models.a: must be named provider/model, such as openai/gpt-4o-mini',
    ]);
  });

  test.each([
    ['BATON_ADMINKEY', 'BATON_ADMIN_KEY'],
    ['BATON_DATADIR', 'BATON_DATA_DIR'],
    ['BATON_CONFG', 'BATON_CONFIG'],
  ])('the slip %s is found', (written, meant) => {
    expect(problemsOf({ [written]: 'x' })).toEqual([
      `${written}: Baton has no such variable; did you mean ${meant}?`,
    ]);
  });

  test('what the platform sets for a service called baton is not a slip', () => {
    const env = {
      BATON_SERVICE_HOST: '10.0.0.1',
      BATON_PORT: 'tcp://10.0.0.1:3000',
      BATON_PORT_3000_TCP_ADDR: 'x',
    };
    expect(problemsOf(env)).toEqual([]);
  });

  test('a value may come from a file', () => {
    const path = write('key', 'correct-horse-battery\n');
    expect(configOf({ BATON_ADMIN_KEY_FILE: path }).adminKey).toBe('correct-horse-battery');
    const openai = configOf({ OPENAI_API_KEY_FILE: 'key' }).providers.get('openai');
    expect(openai?.apiKeys).toMatchObject([{ secret: 'correct-horse-battery' }]);
  });

  test('a value and a file together, a missing file and an empty one are problems', () => {
    const empty = write('empty', '\n');
    expect(
      problemsOf({ PORT: '1', PORT_FILE: empty, HOST_FILE: '/nowhere/host', OPENAI_API_KEY_FILE: empty }),
    ).toEqual([
      'PORT: both PORT and PORT_FILE are set; keep one of them',
      'HOST_FILE: cannot read /nowhere/host (ENOENT)',
      `OPENAI_API_KEY_FILE: the file ${empty} is empty`,
    ]);
  });
});

describe('providers', () => {
  test('a key switches a known provider on, under an id that is safe to show', () => {
    const openai = configOf({ OPENAI_API_KEY: 'sk-secret' }).providers.get('openai');
    expect(openai).toEqual({
      name: 'openai',
      kind: 'openai',
      baseUrl: 'https://api.openai.com/v1',
      apiKeys: [{ id: 'openai-746b4ad1', secret: 'sk-secret' }],
      protect: true,
    });
  });

  test('the file adds providers and goes before a preset', () => {
    const { providers } = configOf(
      { OPENAI_API_KEY: 'env', K2: 'two' },
      `providers:
  local: { kind: openai, base_url: http://127.0.0.1:8000/v1/, api_key: \${LOCAL_KEY:-none}, limits: { concurrency: 32 } }
  open: { base_url: http://127.0.0.1:9000 }
  openai: { api_keys: [one, "\${K2}", one] }
  deepseek: { api_key: k, base_url: https://proxy.example/ds }`,
    );
    expect(providers.get('local')).toMatchObject({
      baseUrl: 'http://127.0.0.1:8000/v1',
      apiKeys: [{ secret: 'none' }],
      limits: { concurrency: 32 },
    });
    expect(providers.get('open')).toEqual({
      name: 'open',
      kind: 'openai',
      baseUrl: 'http://127.0.0.1:9000',
      apiKeys: [],
      protect: true,
    });
    expect(providers.get('openai')?.baseUrl).toBe('https://api.openai.com/v1');
    expect(providers.get('openai')?.apiKeys.map((key) => key.secret)).toEqual(['one', 'two']);
    expect(providers.get('deepseek')?.baseUrl).toBe('https://proxy.example/ds');
  });

  test('each known provider has its own wire format, and the file may ask for another at another address', () => {
    const { providers } = configOf(
      { ANTHROPIC_API_KEY: 'a', GEMINI_API_KEY: 'g', OPENAI_API_KEY: 'o' },
      `providers:
  gemini: { kind: openai, base_url: https://generativelanguage.googleapis.com/v1beta/openai }
  claude: { kind: anthropic, base_url: https://proxy.example/v1 }
  claude-compatible: { kind: openai, base_url: https://api.anthropic.com/v1 }
  anthropic: { base_url: https://proxy.example/v1 }`,
    );
    const kinds = [...providers.values()].map(({ name, kind, baseUrl }) => [name, kind, baseUrl]);
    expect(kinds).toEqual([
      ['sim', 'sim', ''],
      ['openai', 'openai', 'https://api.openai.com/v1'],
      ['gemini', 'openai', 'https://generativelanguage.googleapis.com/v1beta/openai'],
      ['claude', 'anthropic', 'https://proxy.example/v1'],
      ['claude-compatible', 'openai', 'https://api.anthropic.com/v1'],
      ['anthropic', 'anthropic', 'https://proxy.example/v1'],
    ]);
    expect(configOf({ ANTHROPIC_API_KEY: 'a' }, 'providers: {}').providers.get('anthropic')).toMatchObject({
      kind: 'anthropic',
      baseUrl: 'https://api.anthropic.com/v1',
    });
  });

  test('another wire format of a known provider needs the address where it is spoken', () => {
    write('baton.yaml', 'providers: { gemini: { kind: openai, api_key: k } }');
    expect(readConfig({}, folder).problems).toEqual([
      expect.stringContaining('providers.gemini.base_url: is missing; give the URL before /chat/completions'),
    ]);
  });

  test('a preset in the file takes its key from the environment, or is off with a warning', () => {
    write('baton.yaml', 'providers: { openai: {}, groq: { api_key: "${NO_KEY:-}" } }');
    const { config, warnings } = readConfig({ OPENAI_API_KEY: 'env' }, folder);
    expect([...(config?.providers.keys() ?? [])]).toEqual(['sim', 'openai']);
    expect(warnings).toEqual([expect.stringContaining('groq is off')]);
  });

  test.each([
    ['{ rpm: 1, tpm: 2, concurrency: 3 }', { rpm: 1, tpm: 2, concurrency: 3 }],
    ['{ tpm: 200000 }', { tpm: 200_000 }],
    ['{}', {}],
    ['', undefined],
  ])('limits are accepted: %s', (written, limits) => {
    write('baton.yaml', `providers: { a: { base_url: "http://h/v1", limits: ${written} } }`);
    const { config, warnings } = readConfig({}, folder);
    expect(config?.providers.get('a')?.limits).toEqual(limits);
    expect(warnings).toEqual([]);
  });

  test.each([
    ['{ base_url: "ftp://x" }', 'base_url: must be a URL that begins with http:// or https://'],
    ['{ base_url: "not a url" }', 'base_url: must be a URL that begins with http:// or https://'],
    [
      '{ base_url: "http://u:hidden@x" }',
      'base_url: must not hold a user or password; put the key into api_key',
    ],
    [
      '{ base_url: "http://x?key=hidden" }',
      'base_url: must not have a ? or #; give the path only, such as https://host/v1',
    ],
    ['{ api_key: hidden }', 'base_url: is missing; give the URL before /chat/completions'],
    ['{ base_url: "http://x", kind: soap }', `kind: must be one of ${WIRE_FORMATS.join(', ')}`],
    [
      '{ base_url: "http://x", api_key: 12345 }',
      'api_key: must be quoted text of visible ASCII characters without blanks',
    ],
    [
      '{ base_url: "http://x", api_keys: [a, "hid den"] }',
      'api_keys: must be quoted text of visible ASCII characters without blanks (key 2 of the list is not)',
    ],
    ['{ base_url: "http://x", api_keys: hidden }', 'api_keys: must be a list of keys'],
    [
      '{ base_url: "http://x", api_key: a, api_keys: [b] }',
      'api_keys: give either api_key or api_keys, not both',
    ],
    ['{ base_ulr: "http://x", base_url: "http://x" }', 'base_ulr: unknown name; did you mean base_url?'],
    ['{ base_url: "http://x", limits: { rpm: 0 } }', 'limits.rpm: must be a whole number of at least 1'],
    ['{ base_url: "http://x", limits: { rps: 1 } }', 'limits.rps: unknown name; did you mean rpm?'],
  ])('%s is a problem', (yaml, expected) => {
    const problems = problemsOf({}, `providers: { local: ${yaml} }`);
    expect(problems).toEqual([`baton.yaml: providers.local.${expected}`]);
    expect(problems.join()).not.toMatch(/hidden|hid den|12345/);
  });

  test.each(['sim', 'policy', 'Upper', 'a/b', '-x'])('the name %s is refused', (name) => {
    expect(problemsOf({}, `providers: { "${name}": { base_url: "http://x" } }`)).toHaveLength(1);
  });

  test('a provider that is no mapping is a problem', () => {
    expect(problemsOf({}, 'providers: { local: http }')).toContain(
      'baton.yaml: providers.local: must be a mapping of names to values',
    );
  });
});

describe('models and policies', () => {
  test('facts come out as written, under their own names', () => {
    const { models } = configOf(
      { CTX: '32768' },
      `models:
  sim/echo: { context_window: "\${CTX}", max_output_tokens: 8192, input_usd_per_mtok: 0.2, output_usd_per_mtok: 0.6,
    cached_input_usd_per_mtok: 0, cache_write_usd_per_mtok: 0.3, modalities: [text, image], tools: true,
    json_schema: false, endpoints: [/v1/embeddings], limits: { rpm: 30, concurrency: 2 } }
  openai/gpt-x: {}
  openai/org/name: { tools: "true" }`,
    );
    expect([...models]).toEqual([
      [
        'sim/echo',
        {
          contextWindow: 32768,
          maxOutputTokens: 8192,
          inputUsdPerMtok: 0.2,
          outputUsdPerMtok: 0.6,
          cachedInputUsdPerMtok: 0,
          cacheWriteUsdPerMtok: 0.3,
          modalities: ['text', 'image'],
          tools: true,
          jsonSchema: false,
          endpoints: ['/v1/embeddings'],
          limits: { rpm: 30, concurrency: 2 },
        },
      ],
      ['openai/gpt-x', {}],
      ['openai/org/name', { tools: true }],
    ]);
  });

  test.each([
    ['sim/echo: { context_windw: 1 }', 'sim/echo.context_windw: unknown name; did you mean context_window?'],
    ['sim/echo: { context_window: 1.5 }', 'sim/echo.context_window: must be a whole number of at least 1'],
    ['sim/echo: { input_usd_per_mtok: -1 }', 'sim/echo.input_usd_per_mtok: must be a number of at least 0'],
    ['sim/echo: { input_usd_per_mtok: .inf }', 'sim/echo.input_usd_per_mtok: must be a number of at least 0'],
    ['sim/echo: { tools: yes please }', 'sim/echo.tools: must be true or false'],
    [
      'sim/echo: { modalities: [text, smell] }',
      'sim/echo.modalities: must be a list of text, image, audio, file',
    ],
    ['sim/echo: { modalities: text }', 'sim/echo.modalities: must be a list of text, image, audio, file'],
    [
      'sim/echo: { endpoints: [chat] }',
      'sim/echo.endpoints: must be a list of /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses',
    ],
    ['sim/echo: { limits: { tpm: 1.5 } }', 'sim/echo.limits.tpm: must be a whole number of at least 1'],
    ['sim/echo: { limits: { rmp: 5 } }', 'sim/echo.limits.rmp: unknown name; did you mean rpm?'],
    ['sim/echo: 5', 'sim/echo: must be a mapping of names to values'],
    ['simm/echo: {}', 'simm/echo: there is no provider simm; did you mean sim?'],
    ['elsewhere/x: {}', 'elsewhere/x: there is no provider elsewhere; add it under providers'],
  ])('%s is a problem', (yaml, expected) => {
    expect(problemsOf({}, `models:\n  ${yaml}`)).toEqual([`baton.yaml: models.${expected}`]);
  });

  test('policies come out raw', () => {
    const { policies } = configOf({}, 'policies: { demo: { steps: [{ model: sim/echo }] }, odd: 5 }');
    expect([...policies]).toEqual([
      ['demo', { steps: [{ model: 'sim/echo' }] }],
      ['odd', 5],
    ]);
  });
});

describe('the file', () => {
  test('may be empty, or hold comments only', () => {
    expect(problemsOf({}, '')).toEqual([]);
    expect(problemsOf({}, '# ${NOT_READ}\n')).toEqual([]);
  });

  test('a variable that is not set is a problem that names the line', () => {
    expect(problemsOf({}, 'providers:\n  a:\n    base_url: http://${HOST_X}/v1\n')).toContain(
      'baton.yaml:3: the variable HOST_X is not set; set it, or give a default: ${HOST_X:-default}',
    );
  });

  test("a variable's text can't change the structure", () => {
    const { policies } = configOf({ X: 'a: {b: [1' }, 'policies: { p: ${X} }');
    expect(policies.get('p')).toBe('a: {b: [1');
  });

  test.each([
    ['a: 1\na: 2', /^baton\.yaml:2: Map keys must be unique$/],
    ['providers:\n\ta: 1', /^baton\.yaml:2: /],
    ['providers: [1,', /^baton\.yaml:1: /],
    ['- hidden\nb: 1', /^baton\.yaml:2: not valid YAML here/],
    ['k: "a\\qhidden"', /^baton\.yaml:1: a bad escape/],
    ['k: *hidden', /^baton\.yaml: an alias/],
    ['k: !hidden x', /^baton\.yaml:1: a text that begins with ! must be quoted/],
    ['a: 1\n---\nb: 2', /^baton\.yaml:2: the file must hold one document/],
    ['5', /^baton\.yaml: must be a mapping/],
    ['[providers]', /^baton\.yaml: must be a mapping/],
    ['__proto__: {}', /^baton\.yaml: __proto__: unknown name; known are providers, models, policies/],
  ])('%j is a problem with its line and without its text', (yaml, expected) => {
    const problems = problemsOf({}, yaml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
    expect(problems[0]).not.toContain('hidden');
  });

  test('another file may be named', () => {
    write('other.yml', 'policies: { p: 1 }');
    expect(configOf({ BATON_CONFIG: 'other.yml' }).policies.size).toBe(1);
  });

  test('a folder in its place is a problem', () => {
    expect(problemsOf({ BATON_CONFIG: '.' })).toEqual([`.: cannot read ${folder} (EISDIR)`]);
  });
});
