/** The turns of a conversation as messages of Anthropic's: of the user and the assistant in turn, each a list of blocks. */
import type { MediaSource, Part, Turn } from './chat-messages.js';
import { at, objectsOf, type JsonObject } from './json.js';

/** What Anthropic's messages have no place for, as a sentence that names it; null if nothing is lost. */
export function findLostTurn(turns: readonly Turn[]): string | null {
  for (const turn of turns) {
    // Moved to the front it would speak of other things than where it stood.
    if (turn.role === 'system') return 'a system message stands after the first turn (`messages`)';
    if (turn.role === 'assistant') continue;
    const lost = turn.parts.map(findLostPart).find((why) => why !== null);
    if (lost !== undefined) return lost;
  }
  // There the model would go on with that message and give only the rest of it.
  return turns.at(-1)?.role === 'assistant' ? "the last of the `messages` is the assistant's own" : null;
}

/** The turns as messages. Those that have nothing in them are left out: Anthropic refuses empty ones. */
export function toMessages(turns: readonly Turn[]): JsonObject[] {
  const messages: { role: 'user' | 'assistant'; content: JsonObject[] }[] = [];
  for (const turn of turns) {
    const role = turn.role === 'assistant' ? 'assistant' : 'user';
    const blocks = toBlocks(turn);
    const last = messages.at(-1);
    if (blocks.length === 0) continue;
    if (last?.role !== role) messages.push({ role, content: blocks });
    else for (const block of blocks) last.content.push(block);
  }
  return messages;
}

const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];

function findLostPart(part: Part): string | null {
  switch (part.type) {
    case 'text':
      return null;
    case 'audio':
      return 'it takes no sound (`input_audio`)';
    case 'image':
      // `high` and `auto` are what it does anyway.
      if (part.detail === 'low') return 'it has no low `detail` of pictures';
      return part.source.type === 'url' || IMAGE_TYPES.includes(part.source.mediaType)
        ? null
        : `it takes no pictures of type ${part.source.mediaType} (\`image_url\`)`;
    case 'file':
      return whyNoDocument(part.source);
  }
}

function whyNoDocument(source: MediaSource): string | null {
  if (source.type === 'url' || source.mediaType === 'application/pdf') return null;
  if (source.mediaType !== 'text/plain')
    return `it takes no files of type ${source.mediaType} (\`file_data\`)`;
  return decodeText(source.data) === null ? 'a text file is not UTF-8 (`file_data`)' : null;
}

function toBlocks(turn: Turn): JsonObject[] {
  switch (turn.role) {
    case 'system':
      return []; // `findLostTurn` has told of it.
    case 'user':
      return toContent(turn.parts);
    case 'tool': {
      const [first, ...others] = turn.parts;
      const content = first?.type === 'text' && others.length === 0 ? first.text : toContent(turn.parts);
      return [{ type: 'tool_result', tool_use_id: toCallId(turn.callId), content }];
    }
    case 'assistant':
      return [
        ...toThinking(turn.extra),
        ...toContent(turn.texts.map((text) => ({ type: 'text', text }))),
        ...turn.toolCalls.map((call) => {
          return { type: 'tool_use', id: toCallId(call.id), name: call.name, input: call.arguments };
        }),
      ];
  }
}

/** The thinking that came with an earlier answer, signed: a model that thinks while it uses tools wants it back. */
function toThinking(extra: JsonObject | null): JsonObject[] {
  return objectsOf(at(extra, 'anthropic', 'content')).filter(
    ({ type }) => type === 'thinking' || type === 'redacted_thinking',
  );
}

/** Anthropic's ids of calls are made of fewer characters than those of some providers. */
function toCallId(id: string): string {
  return id.replaceAll(/[^a-zA-Z0-9_-]/g, '_');
}

function toContent(parts: readonly Part[]): JsonObject[] {
  return parts.flatMap((part) => {
    switch (part.type) {
      case 'text':
        return part.text.trim() === '' ? [] : { type: 'text', text: part.text }; // Blank texts are refused.
      case 'image':
        return { type: 'image', source: toSource(part.source) };
      case 'file': {
        const title = part.filename === null ? {} : { title: part.filename };
        return { type: 'document', source: toSource(part.source), ...title };
      }
      case 'audio':
        return []; // `findLostTurn` has told of it.
    }
  });
}

function toSource(source: MediaSource): JsonObject {
  if (source.type === 'url') return { type: 'url', url: source.url };
  if (source.mediaType === 'text/plain')
    return { type: 'text', media_type: 'text/plain', data: decodeText(source.data) ?? '' };
  return { type: 'base64', media_type: source.mediaType, data: source.data };
}

function decodeText(base64: string): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(base64, 'base64'));
  } catch {
    return null;
  }
}
