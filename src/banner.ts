import type { Baton } from './baton.js';
import type { AppConfig } from './config/config.js';
import { PROVIDER_PRESETS } from './config/provider-presets.js';

/** What a start says to the person at the terminal: where Baton is, where the key is, and a first job to paste. */
export function bannerOf(config: AppConfig, baton: Pick<Baton, 'url' | 'adminKey'>): string {
  const { url, adminKey } = baton;
  const lines = [`Baton is ready: ${url}`];
  if (!config.roles.api) return `${lines[0]} (worker only: health and metrics)\n`;
  lines.push(`  Admin key: ${adminKey.path ?? 'as BATON_ADMIN_KEY says'}`);
  if (adminKey.isNew) lines.push(`  It was made just now, and is shown this once: ${adminKey.key}`);
  const stores = [
    config.databaseUrl ? 'PostgreSQL' : `embedded PostgreSQL in ${config.dataDir}`,
    config.redisUrl ? 'Redis' : 'queue on PostgreSQL',
  ];
  lines.push(
    `  Stores: ${stores.join(', ')}`,
    `  API docs: ${url}/docs`,
    '  Try it:',
    '',
    `  ${curlOf(config, baton)}`,
    '',
    '',
  );
  return lines.join('\n');
}

function curlOf(config: AppConfig, { url, adminKey }: Pick<Baton, 'url' | 'adminKey'>): string {
  const key = adminKey.path === null ? '$BATON_ADMIN_KEY' : `$(cat ${quoted(adminKey.path)})`;
  const body = {
    request: { ...firstModels(config), messages: [{ role: 'user', content: 'Hello, Baton' }] },
  };
  return [
    `curl -s ${url}/v1/jobs`,
    `-H "Authorization: Bearer ${key}"`,
    `-H 'Content-Type: application/json'`,
    `-H 'Prefer: wait=30'`,
    `-d ${quoted(JSON.stringify(body))}`,
  ].join(' ');
}

/** A model of the first provider that has a key; without one, a simulated fallback. */
function firstModels(config: AppConfig): { model: string } | { models: string[] } {
  for (const [name, preset] of Object.entries(PROVIDER_PRESETS)) {
    if (config.providers.has(name)) return { model: `${name}/${preset.exampleModel}` };
  }
  return { models: ['sim/fail', 'sim/echo'] };
}

/** As one word of a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
