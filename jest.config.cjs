const swc = (parser, extra = {}, importInterop = 'node') => [
  '@swc/jest',
  {
    swcrc: false,
    sourceMaps: 'inline',
    module: { type: 'commonjs', importInterop },
    jsc: { target: 'es2022', parser, keepClassNames: true, ...extra },
  },
];
const base = {
  testEnvironment: 'node',
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  // './x.js' in a .ts source means './x.ts'
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': swc(
      { syntax: 'typescript', decorators: true },
      { transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false } },
    ),
    // Nest 12 and others ship ESM only, and jest on Node < 24.9 has no require(esm). The interop differs because
    // ESM packages turned into CommonJS here import each other's default exports.
    '^.+\\.[cm]?js$': swc({ syntax: 'ecmascript' }, {}, 'swc'),
  },
  transformIgnorePatterns: [],
  setupFiles: ['reflect-metadata'],
};
const stores = {
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
};
/** @type {import('jest').Config} */
module.exports = {
  projects: [
    // Rules beside their files: no database, no queue.
    { ...base, displayName: 'unit', testMatch: ['<rootDir>/src/**/*.spec.ts'] },
    // Behaviour through the front door, on a real Postgres, once for each queue backend.
    {
      ...base,
      ...stores,
      displayName: 'redis',
      testMatch: ['<rootDir>/test/*.e2e-spec.ts'],
      globals: { QUEUE_BACKEND: 'redis' },
    },
    {
      ...base,
      ...stores,
      displayName: 'postgres',
      testMatch: ['<rootDir>/test/*.e2e-spec.ts'],
      globals: { QUEUE_BACKEND: 'postgres' },
    },
    // Processes, files and the machine: each test starts what it needs itself.
    { ...base, ...stores, displayName: 'process', testMatch: ['<rootDir>/test/process/*.e2e-spec.ts'] },
    // What breaks, and what must hold then; FAULTS=long for all of it, and as many kills as it needs to be believed.
    {
      ...base,
      ...stores,
      displayName: 'faults',
      testMatch: ['<rootDir>/test/faults/*.e2e-spec.ts'],
      runner: '<rootDir>/test/support/serial-runner.cjs',
      // Jest loads it before anything that could transform it.
      transformIgnorePatterns: ['/serial-runner\\.cjs$'],
    },
  ],
  reporters: ['default', '<rootDir>/test/support/summary-reporter.cjs'],
  maxWorkers: 2,
  testTimeout: 30000,
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
};
