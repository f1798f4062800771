/** The conversation of a chat completion, read out of OpenAI's messages into turns of no provider's form. */
import type { BodyFields } from './body-fields.js';
import { parseExact } from './exact-json.js';
import { isNestedWithin, isObject, type JsonObject } from './json.js';

/**
 * One message, in the order in which they were written. Several of the same role may follow each other. `extra` is what the
 * provider of an answer wants back with it (`extra_content`, by the provider's name), such as signatures of its reasoning.
 */
export type Turn =
  /** The system speaking again after the first turn. */
  | { readonly role: 'system'; readonly text: string }
  | { readonly role: 'user'; readonly parts: readonly Part[] }
  | {
      readonly role: 'assistant';
      readonly texts: readonly string[];
      readonly toolCalls: readonly ToolCall[];
      readonly extra: JsonObject | null;
    }
  /** What a tool gave back; `name` is that of the function whose call it answers. */
  | {
      readonly role: 'tool';
      readonly callId: string;
      readonly name: string;
      readonly parts: readonly Part[];
    };

export type Part =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly source: MediaSource; readonly detail: 'low' | 'high' | 'auto' }
  /** `data` is base64. */
  | { readonly type: 'audio'; readonly format: string; readonly data: string }
  | { readonly type: 'file'; readonly source: MediaSource; readonly filename: string | null };

/** Where a picture or file is: at an address (http or https), or here, in base64. */
export type MediaSource =
  | { readonly type: 'url'; readonly url: string }
  | { readonly type: 'base64'; readonly mediaType: string; readonly data: string };

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: JsonObject;
  readonly extra: JsonObject | null;
}

interface Conversation {
  readonly instructions: readonly string[];
  readonly turns: readonly Turn[];
}

/** The messages of a body: the system's words before the first turn, and the turns. */
export function readMessages(body: BodyFields): Conversation {
  const instructions: string[] = [];
  const turns: Turn[] = [];
  const callNames = new Map<string, string>();
  for (const message of body.objects('messages')) {
    const turn = readTurn(message, callNames);
    message.end();
    if (turn?.role === 'assistant') for (const call of turn.toolCalls) callNames.set(call.id, call.name);
    // Some refuse blank words of the system, and nothing is lost without them.
    if (turn === null || (turn.role === 'system' && turn.text.trim() === '')) continue;
    if (turn.role === 'system' && turns.length === 0) instructions.push(turn.text);
    else turns.push(turn);
  }
  if (turns.length === 0) body.problem('messages', 'has no message of a user');
  return { instructions, turns };
}

function readTurn(message: BodyFields, callNames: ReadonlyMap<string, string>): Turn | null {
  const role = message.text('role');
  switch (role) {
    case 'system':
    case 'developer':
      return { role: 'system', text: readTexts(message).join('\n') };
    case 'user':
      return { role, parts: readParts(message) };
    case 'assistant':
      return readAssistant(message);
    case 'tool': {
      const callId = message.text('tool_call_id') ?? '';
      const name = callNames.get(callId);
      if (name === undefined) message.problem('tool_call_id', 'answers no call that was made before');
      // Left over from older clients, which named the function once more.
      if (message.text('name') !== name && message.has('name'))
        message.problem('name', 'is not the function that was called');
      return { role, callId, name: name ?? '', parts: readParts(message) };
    }
    default:
      message.problem('role', 'is none of system, developer, user, assistant and tool');
      return null;
  }
}

function readAssistant(message: BodyFields): Turn {
  const refusal = message.text('refusal');
  const toolCalls = message.objects('tool_calls').flatMap((call) => readToolCall(call) ?? []);
  // What comes along in an answer that is sent back as it was received, and says nothing if it is empty.
  const annotations = message.has('annotations') ? message.objects('annotations') : [];
  if (annotations.length > 0) message.problem('annotations', 'cannot be translated');
  // Reasoning is not said again: it is not part of the conversation, and providers that want it back sign it, in `extra`.
  message.ignore(['reasoning_content', 'reasoning', 'reasoning_details']);
  // A refusal is what the model said in that turn.
  const texts = [...readTexts(message), ...(refusal === null ? [] : [refusal])];
  return { role: 'assistant', texts, toolCalls, extra: message.json('extra_content') };
}

/** As deep as a body itself may be. */
const MOST_LEVELS = 64;

function readToolCall(call: BodyFields): ToolCall | null {
  const id = call.text('id');
  if (call.text('type') !== 'function') {
    call.problem('type', 'is not `function`, the only type of call that can be translated');
    return null;
  }
  call.ignore(['index']); // Left over from a stream.
  const extra = call.json('extra_content');
  const definition = call.object('function');
  const name = definition?.text('name') ?? null;
  const written = definition?.text('arguments') ?? '';
  definition?.end();
  call.end();
  const parsed = written.trim() === '' ? {} : parseExact(written);
  if (id === null || name === null) call.problem('function', 'has no name, or its call no id');
  else if (!isObject(parsed)) call.problem('function.arguments', 'is not a JSON object');
  else if (!isNestedWithin(parsed, MOST_LEVELS)) call.problem('function.arguments', 'is nested too deep');
  else return { id, name, arguments: parsed, extra };
  return null;
}

/** Content that is texts only: a text, or parts of type `text` and `refusal`. */
function readTexts(message: BodyFields): string[] {
  return readParts(message).flatMap((part, index) => {
    if (part.type === 'text') return [part.text];
    message.problem(`content[${index}]`, 'is not a text');
    return [];
  });
}

function readParts(message: BodyFields): Part[] {
  const content = message.take('content');
  if (content === undefined) return [];
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return message.objects('content').flatMap((part) => {
    const read = readPart(part);
    part.end();
    return read ?? [];
  });
}

function readPart(part: BodyFields): Part | null {
  const type = part.text('type') ?? '';
  switch (type) {
    case 'text':
    case 'refusal': {
      const text = part.text(type);
      if (text === null) part.problem(type, 'is missing');
      return { type: 'text', text: text ?? '' };
    }
    case 'image_url':
      return readImage(part);
    case 'input_audio': {
      const audio = part.object('input_audio');
      const [data, format] = [audio?.text('data') ?? '', audio?.text('format') ?? ''];
      audio?.end();
      if (data === '' || format === '') part.problem('input_audio', 'has no data or no format');
      return { type: 'audio', format, data };
    }
    case 'file':
      return readFile(part);
    default:
      part.problem('type', 'is no type of content that can be translated');
      part.rest();
      return null;
  }
}

function readImage(part: BodyFields): Part | null {
  const image = part.object('image_url');
  const source = readSource(image?.text('url') ?? '');
  const written = image?.text('detail') ?? 'auto';
  image?.end();
  const detail = (['auto', 'low', 'high'] as const).find((each) => each === written);
  if (detail === undefined) part.problem('image_url.detail', 'is none of auto, low and high');
  if (source === null) part.problem('image_url.url', 'is neither an http address nor a base64 data URL');
  return source === null || detail === undefined ? null : { type: 'image', source, detail };
}

function readFile(part: BodyFields): Part | null {
  const file = part.object('file');
  const filename = file?.text('filename') ?? null;
  const source = readSource(file?.text('file_data') ?? '');
  // `file_id` names a file in OpenAI's own store, which no other provider can open.
  if (file?.has('file_id')) part.problem('file.file_id', 'names a file that only OpenAI has');
  else if (source === null)
    part.problem('file.file_data', 'is neither a base64 data URL nor an http address');
  file?.ignore(['file_id']);
  file?.end();
  return source === null ? null : { type: 'file', source, filename };
}

/** Reads an address or a data URL with base64 (RFC 2397); its parameters, such as a charset, are not kept. */
function readSource(url: string): MediaSource | null {
  if (/^https?:\/\//i.test(url)) return URL.canParse(url) ? { type: 'url', url } : null;
  const comma = url.indexOf(',');
  const head = url.slice(0, Math.max(0, comma));
  if (!/^data:[^,]*;base64$/i.test(head)) return null;
  const written = head.slice('data:'.length).split(';')[0]?.toLowerCase() ?? '';
  // No registered name, but a common one, and OpenAI takes it.
  const mediaType = written === 'image/jpg' ? 'image/jpeg' : written;
  const data = url.slice(comma + 1);
  return mediaType === '' || data === '' ? null : { type: 'base64', mediaType, data };
}
