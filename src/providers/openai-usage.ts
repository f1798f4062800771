/** How OpenAI tells what a chat completion cost, for the formats that are translated into it. */
import type { Usage } from '../routing/call-result.js';
import type { JsonObject } from './json.js';

/** The `usage` of a chat completion; what was written to a cache stands where OpenRouter tells it. */
export function toOpenAiUsage(usage: Usage): JsonObject {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.totalTokens,
    prompt_tokens_details: {
      cached_tokens: usage.cachedInputTokens,
      cache_write_tokens: usage.cacheWriteTokens,
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  };
}
