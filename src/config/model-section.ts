import { MODEL_ENDPOINTS, type ModelFacts } from './config.js';
import { readLimits } from './limit-section.js';
import { nearestName } from './nearest-name.js';
import { PROVIDER_PRESETS } from './provider-presets.js';
import { withoutAbsent, type Section } from './section.js';

const FIELDS = [
  'context_window',
  'max_output_tokens',
  'input_usd_per_mtok',
  'output_usd_per_mtok',
  'cached_input_usd_per_mtok',
  'cache_write_usd_per_mtok',
  'modalities',
  'tools',
  'json_schema',
  'endpoints',
  'limits',
];
const MODALITIES = ['text', 'image', 'audio', 'file'] as const;

/** What the operator says of models, by `provider/model`. `providers` are the names that are switched on. */
export function readModels(models: Section, providers: Iterable<string>): Map<string, ModelFacts> {
  const known = [...new Set([...providers, ...Object.keys(PROVIDER_PRESETS)])];
  const facts = new Map<string, ModelFacts>();
  for (const model of models.names()) {
    const [, provider] = /^([^/]+)\/.+$/.exec(model) ?? [];
    if (provider === undefined) {
      models.problem(model, 'must be named provider/model, such as openai/gpt-4o-mini');
    } else if (!known.includes(provider)) {
      const meant = nearestName(provider, known);
      const hint = meant === null ? 'add it under providers' : `did you mean ${meant}?`;
      models.problem(model, `there is no provider ${provider}; ${hint}`);
    } else {
      facts.set(model, readFacts(models.section(model)));
    }
  }
  return facts;
}

function readFacts(section: Section): ModelFacts {
  section.allowOnly(FIELDS);
  return withoutAbsent({
    contextWindow: section.number('context_window', 1, 'whole'),
    maxOutputTokens: section.number('max_output_tokens', 1, 'whole'),
    inputUsdPerMtok: section.number('input_usd_per_mtok', 0, 'any'),
    outputUsdPerMtok: section.number('output_usd_per_mtok', 0, 'any'),
    cachedInputUsdPerMtok: section.number('cached_input_usd_per_mtok', 0, 'any'),
    cacheWriteUsdPerMtok: section.number('cache_write_usd_per_mtok', 0, 'any'),
    modalities: section.words('modalities', MODALITIES),
    tools: section.boolean('tools'),
    jsonSchema: section.boolean('json_schema'),
    endpoints: section.words('endpoints', MODEL_ENDPOINTS),
    limits: readLimits(section),
  });
}
