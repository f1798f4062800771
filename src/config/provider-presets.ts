/** The providers that Baton knows by name. Setting a provider's key in the environment switches it on; nothing else is needed. */
import type { WireFormat } from './config.js';

/** What is fixed about a known provider: where it is, which variable holds its key, and a model to begin with. */
export interface ProviderPreset {
  /** The wire format; absent means OpenAI's. */
  readonly kind?: WireFormat;
  /** Base URL of its API with the version path, without a trailing slash. */
  readonly baseUrl: string;
  /** The environment variable that holds its key. */
  readonly keyEnv: string;
  /** A small cheap model for a first try, as the provider names it (without `provider/`). */
  readonly exampleModel: string;
}

/**
 * Known providers by the name that stands before the `/` of a model. Providers whose address holds something of the customer's
 * (Azure, Bedrock, Vertex, local servers) stand in the config file instead.
 */
export const PROVIDER_PRESETS: Readonly<Record<string, ProviderPreset>> = {
  openai: { baseUrl: 'https://api.openai.com/v1', keyEnv: 'OPENAI_API_KEY', exampleModel: 'gpt-4o-mini' },
  anthropic: {
    kind: 'anthropic',
    baseUrl: 'https://api.anthropic.com/v1',
    keyEnv: 'ANTHROPIC_API_KEY',
    exampleModel: 'claude-haiku-4-5',
  },
  gemini: {
    kind: 'gemini',
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
    keyEnv: 'GEMINI_API_KEY',
    exampleModel: 'gemini-3.1-flash-lite',
  },
  deepseek: {
    baseUrl: 'https://api.deepseek.com/v1',
    keyEnv: 'DEEPSEEK_API_KEY',
    exampleModel: 'deepseek-v4-flash',
  },
  nebius: {
    baseUrl: 'https://api.tokenfactory.nebius.com/v1',
    keyEnv: 'NEBIUS_API_KEY',
    exampleModel: 'meta-llama/Llama-3.3-70B-Instruct',
  },
  deepinfra: {
    baseUrl: 'https://api.deepinfra.com/v1/openai',
    keyEnv: 'DEEPINFRA_API_KEY',
    exampleModel: 'meta-llama/Meta-Llama-3.1-8B-Instruct',
  },
  groq: {
    baseUrl: 'https://api.groq.com/openai/v1',
    keyEnv: 'GROQ_API_KEY',
    exampleModel: 'openai/gpt-oss-20b',
  },
  mistral: {
    baseUrl: 'https://api.mistral.ai/v1',
    keyEnv: 'MISTRAL_API_KEY',
    exampleModel: 'mistral-small-latest',
  },
  together: {
    baseUrl: 'https://api.together.xyz/v1',
    keyEnv: 'TOGETHER_API_KEY',
    exampleModel: 'meta-llama/Llama-3.3-70B-Instruct-Turbo',
  },
  fireworks: {
    baseUrl: 'https://api.fireworks.ai/inference/v1',
    keyEnv: 'FIREWORKS_API_KEY',
    exampleModel: 'accounts/fireworks/models/gpt-oss-20b',
  },
  openrouter: {
    baseUrl: 'https://openrouter.ai/api/v1',
    keyEnv: 'OPENROUTER_API_KEY',
    exampleModel: 'openai/gpt-4o-mini',
  },
  xai: { baseUrl: 'https://api.x.ai/v1', keyEnv: 'XAI_API_KEY', exampleModel: 'grok-4.3' },
  cerebras: {
    baseUrl: 'https://api.cerebras.ai/v1',
    keyEnv: 'CEREBRAS_API_KEY',
    exampleModel: 'gpt-oss-120b',
  },
  sambanova: {
    baseUrl: 'https://api.sambanova.ai/v1',
    keyEnv: 'SAMBANOVA_API_KEY',
    exampleModel: 'Meta-Llama-3.3-70B-Instruct',
  },
  cohere: {
    baseUrl: 'https://api.cohere.ai/compatibility/v1',
    keyEnv: 'COHERE_API_KEY',
    exampleModel: 'command-r7b-12-2024',
  },
  perplexity: { baseUrl: 'https://api.perplexity.ai', keyEnv: 'PERPLEXITY_API_KEY', exampleModel: 'sonar' },
  moonshot: { baseUrl: 'https://api.moonshot.ai/v1', keyEnv: 'MOONSHOT_API_KEY', exampleModel: 'kimi-k2.5' },
  dashscope: {
    baseUrl: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
    keyEnv: 'DASHSCOPE_API_KEY',
    exampleModel: 'qwen-turbo',
  },
  zai: { baseUrl: 'https://api.z.ai/api/paas/v4', keyEnv: 'ZAI_API_KEY', exampleModel: 'glm-4.5-flash' },
  nvidia: {
    baseUrl: 'https://integrate.api.nvidia.com/v1',
    keyEnv: 'NVIDIA_API_KEY',
    exampleModel: 'meta/llama-3.1-8b-instruct',
  },
  huggingface: {
    baseUrl: 'https://router.huggingface.co/v1',
    keyEnv: 'HF_TOKEN',
    exampleModel: 'openai/gpt-oss-20b',
  },
};
