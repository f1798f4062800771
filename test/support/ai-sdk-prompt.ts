/**
 * OpenAI chat bodies as calls of the AI SDK, whose provider packages are the oracle for what our adapters write. It shares nothing
 * with the adapters' own reading of a body, so that a mistake there is not made here too.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { createAnthropic } from '@ai-sdk/anthropic';

type Model = ReturnType<ReturnType<typeof createAnthropic>>;
/** What a language model of the AI SDK (third version of its contract) is called with. */
export type CallOptions = Parameters<Model['doGenerate']>[0];
type Message = CallOptions['prompt'][number];
type UserContent = Extract<Message, { role: 'user' }>['content'];
type Schema = NonNullable<Extract<CallOptions['responseFormat'], { type: 'json' }>['schema']>;

/** The bodies that every adapter is held against, with their names. */
export function chatBodies(): { name: string; body: Record<string, unknown> }[] {
  const path = join(__dirname, '../../src/providers/fixtures/chat-bodies.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { cases: ReturnType<typeof chatBodies> }).cases;
}

/** The call that asks for the same as the body. What has no place in the AI SDK's contract is left out. */
export function toCallOptions(body: Record<string, unknown>): CallOptions {
  const wanted = body as unknown as ChatBody;
  const tools = wanted.tools?.map(({ function: { name, description, parameters, strict } }) => ({
    type: 'function' as const,
    name,
    inputSchema: parameters ?? { type: 'object', properties: {} },
    ...(description == null ? {} : { description }),
    ...(strict == null ? {} : { strict }),
  }));
  return dropAbsent({
    prompt: toPrompt(wanted.messages),
    maxOutputTokens: wanted.max_completion_tokens ?? wanted.max_tokens,
    temperature: wanted.temperature,
    topP: wanted.top_p,
    topK: wanted.top_k,
    seed: wanted.seed,
    frequencyPenalty: wanted.frequency_penalty,
    presencePenalty: wanted.presence_penalty,
    stopSequences: typeof wanted.stop === 'string' ? [wanted.stop] : wanted.stop,
    responseFormat: toFormat(wanted.response_format),
    tools,
    toolChoice: toToolChoice(wanted.tool_choice),
  }) as CallOptions;
}

interface ChatPart {
  readonly type: string;
  readonly text?: string;
  readonly refusal?: string;
  readonly image_url?: { readonly url: string };
  readonly input_audio?: { readonly data: string; readonly format: string };
  readonly file?: { readonly file_data: string; readonly filename?: string };
}

interface ChatMessage {
  readonly role: string;
  readonly content?: string | readonly ChatPart[] | null;
  readonly refusal?: string | null;
  readonly tool_call_id?: string;
  readonly tool_calls?:
    | readonly {
        readonly id: string;
        readonly function: { readonly name: string; readonly arguments: string };
      }[]
    | null;
}

/** The fields of a chat completion's body that the AI SDK's contract has a place for. */
interface ChatBody {
  readonly messages: readonly ChatMessage[];
  readonly max_completion_tokens?: number | null;
  readonly max_tokens?: number | null;
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  readonly top_k?: number | null;
  readonly seed?: number | null;
  readonly frequency_penalty?: number | null;
  readonly presence_penalty?: number | null;
  readonly stop?: string | readonly string[] | null;
  readonly response_format?: {
    readonly type: string;
    readonly json_schema?: { readonly name: string; readonly description?: string; readonly schema: Schema };
  } | null;
  readonly tools?:
    | readonly {
        readonly function: {
          readonly name: string;
          readonly description?: string;
          readonly parameters?: Schema;
          readonly strict?: boolean;
        };
      }[]
    | null;
  readonly tool_choice?: string | { readonly function: { readonly name: string } } | null;
}

function toPrompt(messages: readonly ChatMessage[]): CallOptions['prompt'] {
  const names = new Map(
    messages.flatMap(({ tool_calls }) => (tool_calls ?? []).map((call) => [call.id, call.function.name])),
  );
  return messages.flatMap((message): Message | Message[] => {
    const parts = partsOf(message.content);
    switch (message.role) {
      case 'system':
      case 'developer':
        return { role: 'system', content: parts.map((part) => part.text ?? '').join('\n') };
      case 'user':
        return { role: 'user', content: parts.map(toUserPart) };
      case 'tool': {
        const toolCallId = message.tool_call_id ?? '';
        const texts = parts.map((part) => ({ type: 'text' as const, text: part.text ?? '' }));
        const output =
          typeof message.content === 'string'
            ? { type: 'text' as const, value: message.content }
            : { type: 'content' as const, value: texts };
        const toolName = names.get(toolCallId) ?? '';
        return { role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName, output }] };
      }
      default:
        return { role: 'assistant', content: toAssistantParts(message) };
    }
  });
}

function toAssistantParts(message: ChatMessage): Extract<Message, { role: 'assistant' }>['content'] {
  const said = [...partsOf(message.content).map((part) => part.text ?? part.refusal ?? ''), message.refusal];
  return [
    ...said.flatMap((text) => (text == null ? [] : [{ type: 'text' as const, text }])),
    ...(message.tool_calls ?? []).map((call) => ({
      type: 'tool-call' as const,
      toolCallId: call.id,
      toolName: call.function.name,
      input: JSON.parse(call.function.arguments || '{}') as unknown,
    })),
  ];
}

function partsOf(content: ChatMessage['content']): readonly ChatPart[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return content ?? [];
}

function toUserPart(part: ChatPart): UserContent[number] {
  const { image_url: image, input_audio: audio, file } = part;
  if (image !== undefined) return { type: 'file', ...toData(image.url, 'image/*') };
  if (audio !== undefined) return { type: 'file', data: audio.data, mediaType: `audio/${audio.format}` };
  if (file === undefined) return { type: 'text', text: part.text ?? '' };
  const named = file.filename === undefined ? {} : { filename: file.filename };
  return { type: 'file', ...toData(file.file_data, 'application/pdf'), ...named };
}

function toData(url: string, mediaType: string): { data: string | URL; mediaType: string } {
  const [, type, data] = /^data:([^;,]+);base64,(.*)$/s.exec(url) ?? [];
  return type === undefined || data === undefined
    ? { data: new URL(url), mediaType }
    : { data, mediaType: type };
}

function toFormat(format: ChatBody['response_format']): CallOptions['responseFormat'] {
  if (format == null) return undefined;
  if (format.json_schema === undefined) return { type: format.type === 'text' ? 'text' : 'json' };
  return { type: 'json', ...format.json_schema };
}

function toToolChoice(choice: ChatBody['tool_choice']): CallOptions['toolChoice'] {
  if (choice == null) return undefined;
  if (typeof choice === 'object') return { type: 'tool', toolName: choice.function.name };
  return { type: choice as 'auto' | 'none' | 'required' };
}

function dropAbsent(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null));
}
