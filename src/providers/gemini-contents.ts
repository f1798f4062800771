/**
 * A conversation as Gemini's `contents`: turns of `user` and `model`, made of parts.
 * Source: Gemini API reference, "Content"; Google's pages "Function calling", "Thought signatures" and "File input methods".
 */
import type { MediaSource, Part, ToolCall, Turn } from './chat-messages.js';
import { at, type JsonObject } from './json.js';

interface Content {
  readonly role: 'user' | 'model';
  readonly parts: readonly JsonObject[];
}

/** Why turns can't be written as contents, as a sentence; null if they can. */
export function whyNotTurns(turns: readonly Turn[]): string | null {
  for (const turn of turns) {
    if (turn.role === 'system') return '`messages` has a system message after the first turn';
    if (turn.role === 'assistant') continue;
    for (const part of turn.parts) {
      if (!('source' in part) || part.source.type === 'base64') continue;
      if (turn.role === 'tool') return '`messages` has an address of a file in the answer of a tool';
      if (mediaTypeOf(part) === null)
        return "`messages` has the address of a file that does not tell the file's type";
    }
  }
  return null;
}

/**
 * The turns as contents. Answers of tools that follow each other are one content, because Gemini wants as many of them at once
 * as there were calls. `needsSignatures`: the model refuses a call of its own that comes back without its signature.
 */
export function toContents(turns: readonly Turn[], needsSignatures: boolean): readonly Content[] {
  return turns.flatMap((turn, index): Content[] => {
    if (turn.role === 'assistant') return toModelContent(turn, needsSignatures);
    if (turn.role === 'system') return []; // Told by whyNotTurns.
    if (turn.role === 'user') return [{ role: 'user', parts: turn.parts.map(toPart) }];
    if (turns[index - 1]?.role === 'tool') return []; // Taken together with the first.
    const end = turns.findIndex((later, at) => at > index && later.role !== 'tool');
    const answers = turns.slice(index, end < 0 ? turns.length : end).filter((each) => each.role === 'tool');
    return [{ role: 'user', parts: answers.map(toFunctionResponse) }];
  });
}

/** What Google wants in place of a signature that was never given, as for a call of another provider's model. */
const NO_SIGNATURE = 'skip_thought_signature_validator';

function toModelContent(turn: Turn & { role: 'assistant' }, needsSignatures: boolean): Content[] {
  const texts = turn.texts.filter((text) => text !== '');
  let isSigned = false;
  const calls = turn.toolCalls.map((call) => {
    // Of calls that were made at once only the first is signed.
    const signature = signatureOf(call);
    isSigned ||= signature !== null;
    return toFunctionCall(call, needsSignatures && !isSigned ? NO_SIGNATURE : signature);
  });
  const parts = [
    ...texts.map((text, index) => ({
      text,
      ...(index === texts.length - 1 ? signed(signatureOf(turn)) : {}),
    })),
    ...calls,
  ];
  // A turn that says nothing is one that Gemini refuses.
  return parts.length === 0 ? [] : [{ role: 'model', parts }];
}

function toFunctionCall({ id, name, arguments: args }: ToolCall, signature: string | null): JsonObject {
  return { functionCall: { id, name, args }, ...signed(signature) };
}

/** The proof of its reasoning that the model wants back: where Google's OpenAI-compatible API puts it, and `gemini-reply` too. */
function signatureOf({ extra }: { readonly extra: JsonObject | null }): string | null {
  const signature = at(extra, 'google', 'thought_signature');
  return typeof signature === 'string' ? signature : null;
}

function signed(signature: string | null): JsonObject {
  return signature === null ? {} : { thoughtSignature: signature };
}

function toFunctionResponse({ callId, name, parts }: Turn & { role: 'tool' }): JsonObject {
  const texts = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  const files = parts.filter((part) => part.type !== 'text');
  return {
    functionResponse: {
      id: callId,
      name,
      response: { name, content: texts.join('\n') },
      ...(files.length === 0 ? {} : { parts: files.map(toPart) }),
    },
  };
}

function toPart(part: Part): JsonObject {
  switch (part.type) {
    case 'text':
      return { text: part.text };
    case 'audio':
      return { inlineData: { mimeType: `audio/${part.format}`, data: part.data } };
    case 'image':
    case 'file':
      if (part.source.type === 'url')
        return { fileData: { mimeType: mediaTypeOf(part), fileUri: part.source.url } };
      return { inlineData: { mimeType: part.source.mediaType, data: part.source.data } };
  }
}

/** The media type of a picture or file; null for a file at an address that does not tell. */
function mediaTypeOf(part: Part & { source: MediaSource }): string | null {
  if (part.source.type === 'base64') return part.source.mediaType;
  const names = [new URL(part.source.url).pathname, part.type === 'file' ? (part.filename ?? '') : ''];
  const endings = names.map((name) => /\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? '');
  const known = endings.map((ending) => TYPE_BY_ENDING.get(ending)).find((type) => type !== undefined);
  // A picture that does not tell is named as most pictures are; Google looks at the file itself.
  return known ?? (part.type === 'image' ? 'image/jpeg' : null);
}

const TYPE_BY_ENDING: ReadonlyMap<string, string> = new Map([
  ['png', 'image/png'],
  ['jpg', 'image/jpeg'],
  ['jpeg', 'image/jpeg'],
  ['webp', 'image/webp'],
  ['heic', 'image/heic'],
  ['heif', 'image/heif'],
  ['gif', 'image/gif'],
  ['pdf', 'application/pdf'],
  ['txt', 'text/plain'],
  ['md', 'text/markdown'],
  ['csv', 'text/csv'],
  ['html', 'text/html'],
  ['json', 'application/json'],
]);
