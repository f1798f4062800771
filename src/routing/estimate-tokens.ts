/**
 * How many tokens a request is likely to take, without asking anybody: enough to pass over a model that it cannot fit, and to
 * tell which model is cheaper. Not for bills: those are made from what the provider counted.
 */
import { textTokens, type SampledText } from './text-tokens.js';

/** What a request is likely to take. */
export interface TokenEstimate {
  /** Tokens of the whole input: the number to reckon costs and limits with. Mostly within a third of the truth for text. */
  readonly input: number;
  /**
   * Hardly any model counts fewer tokens than this for the longest single prompt of the request. Pictures, sounds and files
   * count as nothing here, because what they take differs from model to model.
   */
  readonly leastInput: number;
  /** The most tokens that the whole answer may have, over all its choices; null if the request sets no limit. */
  readonly output: number | null;
}

/** What a request asks a model to take in. */
export interface MediaNeeds {
  readonly images: boolean;
  readonly audio: boolean;
  readonly files: boolean;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** Of the likely number, the part that every vocabulary in use may be relied on to need. */
const LEAST_SHARE = 0.6;

/** The fields of each endpoint's body that the model is given to read. */
const PROMPT_FIELDS: Readonly<Record<string, readonly string[]>> = {
  '/v1/chat/completions': ['messages', 'tools', 'functions', 'response_format'],
  '/v1/completions': ['prompt', 'suffix'],
  '/v1/embeddings': ['input'],
  '/v1/responses': ['input', 'instructions', 'tools', 'text'],
};

/** Fields whose names are part of what the model reads: descriptions of tools and schemas. */
const SCHEMA_FIELDS = ['tools', 'functions', 'response_format', 'text'];

/** Where a body may hold a list of prompts, each of which is a call of its own to the model. */
const LISTS_OF_PROMPTS: Readonly<Record<string, string>> = {
  '/v1/completions': 'prompt',
  '/v1/embeddings': 'input',
};

/**
 * Estimates a request of OpenAI's format. The work is bounded however the body is shaped: of long lists and texts only evenly
 * spread parts are looked at.
 *
 * Texts are reckoned by words, figures, signs and script ({@link textTokens}); pictures by their `detail`, sounds and files by
 * their bytes, which is a guess at best. Measured against the counts of `o200k_base`, text comes out between 0.65 and 1.25
 * times the truth; the older and smaller vocabularies need more than `o200k_base`, above all outside of English.
 */
export function estimateTokens(body: JsonObject, endpoint: string): TokenEstimate {
  return readPrompt(body, endpoint).tokens;
}

/** The estimate of a request, and what else than text it holds. The tokens are counted when they are first asked for. */
export function readPrompt(
  body: JsonObject,
  endpoint: string,
): { readonly tokens: TokenEstimate; readonly media: MediaNeeds } {
  const prompt = new Prompt();
  for (const field of PROMPT_FIELDS[endpoint] ?? []) {
    prompt.take(body[field], 1, SCHEMA_FIELDS.includes(field));
  }
  const list = body[LISTS_OF_PROMPTS[endpoint] ?? ''];
  let counted: ReturnType<Prompt['count']> | undefined;
  const count = () => (counted ??= prompt.count());
  const tokens: TokenEstimate = {
    get input() {
      return count().input;
    },
    get leastInput() {
      return isListOfPrompts(list) ? leastOfLongest(list) : count().leastInput;
    },
    output: endpoint === '/v1/embeddings' ? 0 : outputOf(body, isListOfPrompts(list) ? list.length : 1),
  };
  return { tokens, media: { images: prompt.images > 0, audio: prompt.audio > 0, files: prompt.files > 0 } };
}

/** How many tokens one answer may have at most, in the words of any endpoint; null if the request does not say. */
export function requestedOutput(body: JsonObject): number | null {
  const asked = body.max_completion_tokens ?? body.max_tokens ?? body.max_output_tokens;
  return isCount(asked) ? asked : null;
}

function outputOf(body: JsonObject, prompts: number): number | null {
  const one = requestedOutput(body);
  const choices = Math.max(isCount(body.n) ? body.n : 1, isCount(body.best_of) ? body.best_of : 1);
  return one === null ? null : one * choices * prompts;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** True for several prompts, true too for one that is given as tokens in a list of its own; false for one list of tokens. */
function isListOfPrompts(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length > 0 && typeof value[0] !== 'number';
}

function leastOfLongest(prompts: readonly unknown[]): number {
  let longest: unknown;
  let most = 0;
  for (const prompt of prompts) {
    if ((typeof prompt === 'string' || Array.isArray(prompt)) && prompt.length > most) {
      most = prompt.length;
      longest = prompt;
    }
  }
  const alone = new Prompt();
  alone.take(longest, 1, false);
  return alone.count().leastInput;
}

/** So many items are looked at of a list, of one within a list, and of one within that; of deeper ones the fewest. */
const MOST_ITEMS = [2_048, 64, 8];
const FEWEST_ITEMS = 4;

/** Fields of messages that no model reads: they are for the machines on the way. */
const UNREAD_FIELDS = new Set([
  'type',
  'id',
  'call_id',
  'tool_call_id',
  'status',
  'cache_control',
  'signature',
  'encrypted_content',
  'extra_content',
  'reasoning_details',
]);

/** What a model thought in an earlier turn: some are given it again, most are not. */
const THOUGHT_FIELDS = new Set(['reasoning_content', 'reasoning']);

/** Gathers what a model is given to read. */
class Prompt {
  images = 0;
  audio = 0;
  files = 0;
  private readonly texts: SampledText[] = [];
  /** Tokens that are known to be there. */
  private exact = 0;
  /** Tokens that are a mere guess, and may be far fewer. */
  private guessed = 0;

  /** The likely number, and the one that it is hardly below. Whole numbers. */
  count(): { readonly input: number; readonly leastInput: number } {
    const text = textTokens(this.texts);
    return {
      input: Math.round(this.exact + text + this.guessed),
      leastInput: Math.floor(this.exact + LEAST_SHARE * text),
    };
  }

  /** Takes in any value; one of a list that was only sampled stands for several. `isSchema` if names of fields are read too. */
  take(value: unknown, standsFor: number, isSchema: boolean, depth = 0): void {
    if (typeof value === 'string') this.takeText(value, standsFor);
    else if (Array.isArray(value)) this.takeList(value, standsFor, isSchema, depth);
    else if (typeof value === 'object' && value !== null) {
      const part = value as JsonObject;
      if (isSchema || !this.takeMedium(part, standsFor)) this.takeFields(part, standsFor, isSchema, depth);
    } else if (isSchema && value !== undefined) this.guessed += standsFor;
  }

  /** A text, unless it is a file written as an address: a film, or what a later kind of part may hold. */
  private takeText(text: string, standsFor: number): void {
    if (DATA_URL.test(text.slice(0, LONGEST_HEAD))) this.guessed += standsFor * fileTokens(text);
    else this.texts.push({ text, standsFor });
  }

  private takeList(list: readonly unknown[], standsFor: number, isSchema: boolean, depth: number): void {
    if (list.length > 0 && typeof list[0] === 'number' && !isSchema) {
      this.exact += list.length * standsFor; // A text that comes as tokens already.
      return;
    }
    const step = Math.max(1, list.length / (MOST_ITEMS[depth] ?? FEWEST_ITEMS));
    for (let at = 0; at < list.length; at += step) {
      this.take(list[Math.floor(at)], standsFor * step, isSchema, depth + 1);
    }
  }

  private takeFields(part: JsonObject, standsFor: number, isSchema: boolean, depth: number): void {
    if ('role' in part) this.guessed += MESSAGE_TOKENS * standsFor;
    const names = Object.keys(part);
    const step = Math.max(1, names.length / (MOST_ITEMS[depth] ?? FEWEST_ITEMS));
    for (let at = 0; at < names.length; at += step) {
      const name = names[Math.floor(at)] ?? '';
      if (isSchema) this.texts.push({ text: name, standsFor: standsFor * step });
      else if (UNREAD_FIELDS.has(name)) continue;
      else if (THOUGHT_FIELDS.has(name) && typeof part[name] === 'string') {
        this.guessed += (standsFor * step * part[name].length) / LETTERS_PER_TOKEN;
        continue;
      }
      this.take(part[name], standsFor * step, isSchema, depth + (step > 1 ? 1 : 0));
    }
  }

  /** True if the part of a message is a picture, a sound or a file. */
  private takeMedium(part: JsonObject, standsFor: number): boolean {
    switch (part.type) {
      case 'image_url':
      case 'input_image':
      case 'image': {
        this.images += standsFor;
        const detail = part.detail ?? fieldOf(part.image_url, 'detail');
        this.guessed += standsFor * (detail === 'low' ? LOW_IMAGE_TOKENS : IMAGE_TOKENS);
        return true;
      }
      case 'input_audio':
      case 'audio': {
        this.audio += standsFor;
        const bytes = bytesOf(fieldOf(part.input_audio, 'data'));
        const bytesPerSecond = fieldOf(part.input_audio, 'format') === 'wav' ? 32_000 : 16_000;
        this.guessed += standsFor * Math.ceil((bytes / bytesPerSecond) * AUDIO_TOKENS_PER_SECOND);
        return true;
      }
      case 'file':
      case 'input_file':
      case 'document': {
        this.files += standsFor;
        this.guessed += standsFor * fileTokens(fieldOf(part.file, 'file_data') ?? part.file_data);
        return true;
      }
      case 'image_generation_call': // Of an answer that is sent back; its `result` is base64.
        this.images += standsFor;
        this.guessed += standsFor * IMAGE_TOKENS;
        return true;
      default:
        return false;
    }
  }
}

/** Of English. */
const LETTERS_PER_TOKEN = 4;
/** What stands between messages, besides their roles. */
const MESSAGE_TOKENS = 3;
/** OpenAI's price of a picture in low detail, and of one of 1024 × 1024 in high: https://platform.openai.com/docs/guides/images-vision */
const LOW_IMAGE_TOKENS = 85;
const IMAGE_TOKENS = 765;
/** Between OpenAI's 10 and Gemini's 32. */
const AUDIO_TOKENS_PER_SECOND = 20;
/** A page of a PDF is some 75 kB and 1,500 tokens. */
const FILE_BYTES_PER_TOKEN = 50;
/** Of a file that is only named. */
const UNSEEN_FILE_TOKENS = 2_000;

/** A file within a text: RFC 2397. */
const DATA_URL = /^data:[^,]*;base64,/i;
const LONGEST_HEAD = 200;

/** What a file may take, from its base64; of one that is only named, what most may. */
function fileTokens(base64: unknown): number {
  const bytes = bytesOf(base64);
  return bytes === 0 ? UNSEEN_FILE_TOKENS : Math.ceil(bytes / FILE_BYTES_PER_TOKEN);
}

/** The bytes of base64, with or without `data:` before it. */
function bytesOf(value: unknown): number {
  if (typeof value !== 'string') return 0;
  const comma = value.startsWith('data:') ? value.indexOf(',') : -1;
  return Math.floor(((value.length - comma - 1) * 3) / 4);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as JsonObject)[name] : undefined;
}
