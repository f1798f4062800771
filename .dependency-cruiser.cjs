/**
 * Which room may import which, and which packages stay where: the machine's copy of the table in docs/architecture.md.
 * `test/process/house.e2e-spec.ts` breaks each rule once.
 */

/** Every room but `routing` may also import these two. */
const GROUND = ['config', 'telemetry'];

const ROOMS = {
  config: [],
  telemetry: ['config'],
  routing: [],
  egress: GROUND,
  storage: GROUND,
  queue: GROUND,
  providers: ['routing', 'egress', ...GROUND],
  retention: ['storage', 'queue', ...GROUND],
  http: ['storage', 'queue', 'retention', ...GROUND],
  admission: ['routing', 'providers', 'queue', 'http', ...GROUND],
  'api-keys': ['storage', 'http', ...GROUND],
  policies: ['routing', 'providers', 'api-keys', 'storage', 'http', ...GROUND],
  webhooks: ['egress', 'api-keys', 'queue', 'storage', 'retention', 'http', ...GROUND],
  jobs: [
    'routing',
    'providers',
    'admission',
    'policies',
    'webhooks',
    'api-keys',
    'queue',
    'storage',
    'retention',
    'http',
    ...GROUND,
  ],
  batches: ['jobs', 'policies', 'webhooks', 'api-keys', 'queue', 'storage', 'retention', 'http', ...GROUND],
  gateway: ['jobs', 'policies', 'webhooks', 'api-keys', 'queue', 'storage', 'http', ...GROUND],
};

/** main, app.module and what else starts the house: they may use anything. */
const TOP = '^src/[^/]+\\.ts$';
/** Files of `providers` that speak a wire format: a new one is named here. */
const ADAPTERS = '^src/providers/(openai|anthropic|gemini|sim)\\.ts$';
const SPEC = '\\.spec\\.ts$';
const npmPackage = (names) => `node_modules/(${names.join('|')})/`;

const roomRules = Object.entries(ROOMS).map(([room, allowed]) => ({
  name: `room-${room}`,
  severity: 'error',
  comment: `${room} may import ${allowed.join(', ') || 'no other room'}.`,
  from: { path: `^src/${room}/` },
  to: { path: `^src/(?!(${[room, 'cli', ...allowed].join('|')})/)[^/]+/` },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...roomRules,
    {
      name: 'known-rooms',
      severity: 'error',
      comment: 'A new folder under src is a new room: give it its line in the table first.',
      from: { path: `^src/(?!(${[...Object.keys(ROOMS), 'cli'].join('|')})/)[^/]+/` },
      to: {},
    },
    {
      name: 'nobody-imports-the-top',
      severity: 'error',
      comment: 'The files right under src and cli put the rooms together; no room knows them.',
      from: { path: '^src/(?!cli/)[^/]+/' },
      to: { path: `(${TOP}|^src/cli/)` },
    },
    {
      name: 'routing-is-pure',
      severity: 'error',
      comment: 'No Nest, no I/O, no clock, no package: what routing says depends on what it is asked alone.',
      from: { path: '^src/routing/', pathNot: SPEC },
      to: { pathNot: '^src/' },
    },
    {
      name: 'adapters-know-only-the-call-contract',
      severity: 'error',
      comment:
        'An adapter turns a request into bytes and a reply into a reading; it calls nobody and knows no other adapter.',
      from: { path: ADAPTERS },
      to: {
        path: `(${ADAPTERS}|^src/(egress|telemetry)/|^src/providers/.*\\.(service|module|dto)\\.ts$|node_modules/)`,
      },
    },
    {
      name: 'no-foreign-insides',
      severity: 'error',
      comment:
        'From another room only its module, service, DTOs, guard or plain nouns: its SQL and its ends are its own.',
      from: { path: '^src/([^/]+)/', pathNot: '^src/cli/' },
      to: { path: '^src/[^/]+/.*\\.(repository|controller|processor)\\.ts$', pathNot: '^src/$1/' },
    },
    {
      name: 'controllers-and-processors-are-ends',
      severity: 'error',
      comment: 'Whatever two of them need belongs in a service.',
      from: { path: '^src/', pathNot: `(\\.module\\.ts$|${SPEC})` },
      to: { path: '\\.(controller|processor)\\.ts$' },
    },
    {
      name: 'queue-packages-stay-in-queue',
      severity: 'error',
      comment: 'What carries the messages is nobody else’s business: processors are given a listener.',
      from: { path: '^src/', pathNot: `(^src/queue/|${SPEC})` },
      to: { path: npmPackage(['bullmq', 'ioredis']) },
    },
    {
      name: 'sql-stays-in-storage-and-repositories',
      severity: 'error',
      from: { path: '^src/', pathNot: `(${TOP}|^src/storage/|\\.repository\\.ts$)` },
      to: { path: npmPackage(['pg', '@types/pg', 'kysely']) },
    },
    {
      name: 'undici-stays-in-egress',
      severity: 'error',
      comment: 'Egress is the only way out to the network.',
      from: { path: '^src/', pathNot: '^src/egress/' },
      to: { path: npmPackage(['undici']) },
    },
    {
      name: 's3-stays-in-storage',
      severity: 'error',
      comment:
        "Where files' bytes are is nobody else's business; the client is loaded only where it is used.",
      from: { path: '^src/', pathNot: '^src/storage/' },
      to: { path: npmPackage(['@aws-sdk']) },
    },
    {
      name: 'sockets-stay-in-egress',
      severity: 'error',
      comment:
        'Egress is the only way out. http listens, the embedded server looks for a port, config checks how addresses are written.',
      from: {
        path: '^src/',
        pathNot: `(^src/(egress|http|config)/|^src/storage/embedded-|${TOP}|${SPEC})`,
      },
      to: { path: '^(node:)?(http|https|http2|net|tls|dns|dgram)(/|$)', dependencyTypes: ['core'] },
    },
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: `(${SPEC}|^src/main\\.ts$)` },
      to: {},
    },
    {
      name: 'not-to-test',
      severity: 'error',
      from: { path: '^src/', pathNot: SPEC },
      to: { path: `(^test/|^bench/|${SPEC})` },
    },
    {
      name: 'no-dev-packages-in-src',
      severity: 'error',
      from: { path: '^src/', pathNot: SPEC },
      // A package that is there for its types alone is gone when the types are.
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'everything-resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
