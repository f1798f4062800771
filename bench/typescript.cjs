/** Lets Node run this folder's TypeScript, and what it imports, as it is written. */
const { readFileSync } = require('node:fs');
const { transformSync } = require('@swc/core');
require('../test/support/typescript-imports.cjs');

require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), { filename, sourceMaps: 'inline' });
  module._compile(code, filename);
};
