import OpenAI from 'openai';

/** OpenAI's own client, pointed at the Baton of a test. It tries nothing a second time, so that each test sees the first reply. */
export function openaiClient({ url, key }: { readonly url: string; readonly key: string }): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 60_000 });
}
