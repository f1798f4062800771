import { createHash } from 'node:crypto';
import { WIRE_FORMATS, type ProviderConfig, type ProviderKey, type WireFormat } from './config.js';
import type { Environment } from './environment.js';
import { readLimits } from './limit-section.js';
import { PROVIDER_PRESETS } from './provider-presets.js';
import type { Section } from './section.js';

/** The provider that Baton has built in, and the word that stands before a policy's name where a model is asked for. */
const RESERVED_NAMES = ['sim', 'policy'];

const FIELDS = ['kind', 'base_url', 'api_key', 'api_keys', 'limits', 'protect'];
/** What each wire format puts after the base URL. */
const PATHS: Readonly<Record<WireFormat, string>> = {
  openai: '/chat/completions',
  anthropic: '/messages',
  gemini: '/models',
};

/**
 * The providers that are switched on: `sim`, each preset whose key is in the environment, and each one of the file, which
 * goes before a preset of its name.
 */
export function readProviders(
  section: Section,
  environment: Environment,
  warnings: string[],
): Map<string, ProviderConfig> {
  const providers = new Map<string, ProviderConfig>([
    ['sim', { name: 'sim', kind: 'sim', baseUrl: '', apiKeys: [], protect: false }],
  ]);
  for (const [name, preset] of Object.entries(PROVIDER_PRESETS)) {
    if (section.has(name)) continue;
    const apiKeys = keysOf(name, environmentKey(preset.keyEnv, environment));
    if (apiKeys.length > 0)
      providers.set(name, {
        name,
        kind: preset.kind ?? 'openai',
        baseUrl: preset.baseUrl,
        apiKeys,
        protect: true,
      });
  }
  for (const name of section.names()) {
    const provider = readProvider(name, section, environment, warnings);
    if (provider !== null) providers.set(name, provider);
  }
  return providers;
}

function readProvider(
  name: string,
  providers: Section,
  environment: Environment,
  warnings: string[],
): ProviderConfig | null {
  if (RESERVED_NAMES.includes(name)) {
    providers.problem(name, 'this name is taken by Baton itself; choose another');
    return null;
  }
  if (!/^[a-z0-9][a-z0-9_-]{0,63}$/.test(name)) {
    providers.problem(
      name,
      "a provider's name is made of a-z, 0-9, - and _ (at most 64), and begins with a letter or digit",
    );
    return null;
  }
  const section = providers.section(name);
  section.allowOnly(FIELDS);
  const preset = Object.hasOwn(PROVIDER_PRESETS, name) ? PROVIDER_PRESETS[name] : undefined;
  const knownKind = preset?.kind ?? 'openai';
  const kind = readKind(section) ?? knownKind;

  const ownUrl = readBaseUrl(section);
  // A known address speaks its own format: another one of the same provider is somewhere else.
  const baseUrl = ownUrl ?? (kind === knownKind ? preset?.baseUrl : undefined);
  if (baseUrl === undefined) {
    if (!section.has('base_url'))
      section.problem('base_url', `is missing; give the URL before ${PATHS[kind]}`);
    return null;
  }
  const apiKeys = keysOf(
    name,
    readSecrets(section) ?? (preset ? environmentKey(preset.keyEnv, environment) : []),
  );
  const limits = readLimits(section);
  if (preset !== undefined && ownUrl === undefined && apiKeys.length === 0) {
    warnings.push(
      `The provider ${name} is off: it has no key. Set ${preset.keyEnv}, or api_key in the config file.`,
    );
    return null;
  }
  const protect = section.boolean('protect') ?? true;
  return { name, kind, baseUrl, apiKeys, protect, ...(limits === undefined ? {} : { limits }) };
}

function readKind(section: Section): WireFormat | undefined {
  const written = section.text('kind');
  const kind = WIRE_FORMATS.find((format) => format === written);
  if (written !== undefined && kind === undefined)
    section.problem('kind', `must be one of ${WIRE_FORMATS.join(', ')}`);
  return kind;
}

function readBaseUrl(section: Section): string | undefined {
  const text = section.text('base_url');
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    section.problem('base_url', 'must be a URL that begins with http:// or https://');
  } else if (url.username !== '' || url.password !== '') {
    section.problem('base_url', 'must not hold a user or password; put the key into api_key');
  } else if (/[?#]/.test(text)) {
    section.problem('base_url', 'must not have a ? or #; give the path only, such as https://host/v1');
  } else {
    return url.href.replace(/\/+$/, '');
  }
  return undefined;
}

/** The keys as written; undefined if none are given at all, so that the environment's may be taken. */
function readSecrets(section: Section): string[] | undefined {
  if (section.has('api_key') && section.has('api_keys')) {
    section.problem('api_keys', 'give either api_key or api_keys, not both');
  }
  if (section.has('api_key')) return checkedSecrets(section, 'api_key', [section.raw('api_key')]);
  if (!section.has('api_keys')) return undefined;
  const list = section.raw('api_keys');
  if (Array.isArray(list)) return checkedSecrets(section, 'api_keys', list);
  section.problem('api_keys', 'must be a list of keys');
  return [];
}

function checkedSecrets(section: Section, name: string, written: readonly unknown[]): string[] {
  const secrets = written.map((each) => (typeof each === 'string' ? each.trim() : each));
  const wrong = secrets.findIndex((each) => typeof each !== 'string' || (each !== '' && !isSecret(each)));
  if (wrong >= 0) {
    const which = name === 'api_keys' ? ` (key ${wrong + 1} of the list is not)` : '';
    section.problem(name, `must be quoted text of visible ASCII characters without blanks${which}`);
  }
  return secrets.filter((each) => typeof each === 'string').filter(isSecret);
}

function environmentKey(variable: string, environment: Environment): string[] {
  const secret = environment.text(variable);
  if (secret === null) return [];
  if (isSecret(secret)) return [secret];
  environment.problems.push(`${variable}: must be visible ASCII characters without blanks`);
  return [];
}

/** What may stand in an HTTP header without being cut or read as something else. */
function isSecret(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

/** Keys with ids that are safe to show: the same key has the same id in every process. Repeated keys are kept once. */
function keysOf(provider: string, secrets: readonly string[]): ProviderKey[] {
  return [...new Set(secrets)].map((secret) => ({
    id: `${provider}-${createHash('sha256').update(secret).digest('hex').slice(0, 8)}`,
    secret,
  }));
}
