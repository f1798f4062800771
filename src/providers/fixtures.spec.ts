import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROVIDER_PRESETS } from '../config/provider-presets.js';

const folder = join(__dirname, 'fixtures');

interface RepliesOf {
  readonly cases?: readonly { readonly provider?: string }[];
}

/** How many recorded replies there are of a provider: those that name it, and the file that has its name. */
function countOf(provider: string): number {
  const counts = readdirSync(folder).map((file) => {
    const { cases = [] } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as RepliesOf;
    return cases.filter((each) => (each.provider ?? file.replace('.json', '')) === provider).length;
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

test('there are recorded replies of every provider that is known by name', () => {
  const table = Object.keys(PROVIDER_PRESETS).map((provider) => `${provider}: ${countOf(provider)}`);
  expect(table.join('\n')).not.toMatch(/: 0$/m);
});
