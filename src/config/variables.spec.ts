import { expectDocsSection, markdownTable } from '../../test/support/docs-section.js';
import { PROVIDER_PRESETS } from './provider-presets.js';
import { VARIABLES } from './variables.js';

test('the docs name every variable with its default and meaning', () => {
  const rows = Object.entries(VARIABLES).map(([name, { defaultText, doc }]) => [
    `\`${name}\``,
    defaultText,
    doc,
  ]);
  expectDocsSection('configuration.md', 'variables', markdownTable(['Variable', 'Default', 'Meaning'], rows));
});

test('the docs name every known provider with the variable of its key', () => {
  const rows = Object.entries(PROVIDER_PRESETS).map(([name, { keyEnv, baseUrl, exampleModel }]) => [
    `\`${name}\``,
    `\`${keyEnv}\``,
    baseUrl,
    `\`${name}/${exampleModel}\``,
  ]);
  const head = ['Provider', 'Variable', 'Base URL', 'A model to begin with'];
  expectDocsSection('configuration.md', 'providers', markdownTable(head, rows));
});
