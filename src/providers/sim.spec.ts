import { expectDocsSection, markdownTable } from '../../test/support/docs-section.js';
import { SIM_MODELS } from './sim.js';

test('the docs name every simulated model and what it does', () => {
  const rows = Object.entries(SIM_MODELS).map(([name, { does }]) => [`\`sim/${name}\``, does]);
  expectDocsSection('api.md', 'sim', markdownTable(['Model', 'What it does'], rows));
});
