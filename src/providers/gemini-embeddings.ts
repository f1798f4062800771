/**
 * Embeddings at Gemini: OpenAI's body as a `batchEmbedContents`, and the reply as OpenAI's list.
 * Source: Gemini API reference, "Embeddings".
 */
import type { Usage } from '../routing/call-result.js';
import type { Flaw } from './answer-flaw.js';
import { BodyFields } from './body-fields.js';
import { objectsOf, type JsonObject } from './json.js';

/** The most texts that one call takes. */
const MAX_TEXTS = 100;

interface EmbeddingRequest {
  readonly texts: readonly string[];
  readonly dimensions: number | null;
}

/** Reads the body of a request for embeddings; a sentence that names the field where Gemini can't carry it. */
export function readEmbeddingRequest(body: JsonObject): EmbeddingRequest | string {
  const problems: string[] = [];
  const fields = new BodyFields(body, '', problems);
  const input = fields.take('input');
  const list: readonly unknown[] = Array.isArray(input) ? input : [input];
  const texts = list.filter((each) => typeof each === 'string');
  if (texts.length !== list.length) fields.problem('input', 'is neither a text nor a list of texts');
  if (texts.length > MAX_TEXTS) fields.problem('input', `has more than ${MAX_TEXTS} texts`);
  const dimensions = fields.number('dimensions');
  if (!['float', 'base64'].includes(fields.text('encoding_format') ?? 'float'))
    fields.problem('encoding_format', 'is neither `float` nor `base64`');
  fields.ignore(['model', 'models', 'user', 'metadata']);
  fields.end();
  return problems[0] ?? { texts, dimensions };
}

/** The body of a `batchEmbedContents`; `model` as Gemini names it, with its collection: `models/gemini-embedding-001`. */
export function toEmbeddingBody({ texts, dimensions }: EmbeddingRequest, model: string): JsonObject {
  return {
    requests: texts.map((text) => ({
      model,
      content: { role: 'user', parts: [{ text }] },
      ...(dimensions === null ? {} : { outputDimensionality: dimensions }),
    })),
  };
}

/** Why a reply has no embeddings that can be used; null if it has. */
export function findEmbeddingFlaw(reply: JsonObject): Flaw | null {
  const isWhole = objectsOf(reply.embeddings).every((embedding) => Array.isArray(embedding.values));
  if (Array.isArray(reply.embeddings) && isWhole) return null;
  return { class: 'malformed', message: 'answered with JSON that has no list `embeddings` with values' };
}

/** OpenAI's list of embeddings, in the form that was `asked` for; the reply does not say which model made them. */
export function toEmbeddingList(reply: JsonObject, usage: Usage | null, asked: JsonObject): JsonObject {
  // What OpenAI's own client asks for, if its caller says nothing.
  const isPacked = asked.encoding_format === 'base64';
  return {
    object: 'list',
    data: objectsOf(reply.embeddings).map((embedding, index) => ({
      object: 'embedding',
      index,
      embedding: isPacked ? toBase64(embedding.values) : embedding.values,
    })),
    model: '',
    ...(usage === null
      ? {}
      : { usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.totalTokens } }),
  };
}

/** Numbers as OpenAI packs them: floats of 32 bits, the low byte first. */
function toBase64(values: unknown): string {
  const numbers: readonly unknown[] = Array.isArray(values) ? values : [];
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [index, value] of numbers.entries()) bytes.writeFloatLE(Number(value), 4 * index);
  return bytes.toString('base64');
}
