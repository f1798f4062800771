/** What a test does with files and batches over HTTP, beyond what OpenAI's client does. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { BatonClient } from './baton-client.js';

export interface BatchErrorReply {
  code: string;
  message: string;
  param: string | null;
  line: number | null;
}

/** A batch as users see it. */
export interface BatchReply {
  id: string;
  status: string;
  endpoint: string;
  model: string | null;
  errors: { object: string; data: BatchErrorReply[]; total: number } | null;
  input_file_id: string;
  completion_window: string;
  output_file_id: string | null;
  error_file_id: string | null;
  created_at: number;
  in_progress_at: number | null;
  expires_at: number;
  finalizing_at: number | null;
  completed_at: number | null;
  failed_at: number | null;
  expired_at: number | null;
  cancelling_at: number | null;
  cancelled_at: number | null;
  paused_at: number | null;
  request_counts: {
    total: number;
    completed: number;
    failed: number;
    in_progress: number;
    cancelled: number;
    expired: number;
  };
  usage: { input_tokens: number; output_tokens: number; total_tokens: number };
  cost_usd: number;
  retry_of: string | null;
  [field: string]: unknown;
}

/** A line of an output or error file. */
export interface ResultLine {
  id: string;
  custom_id: string | null;
  response: { status_code: number; request_id: string; body: Record<string, unknown> } | null;
  error: { code: string; message: string } | null;
  baton: {
    job_id: string | null;
    line: number;
    served_by: string | null;
    attempts: number;
    cost_usd: number | null;
    shared_with?: string | null;
    [field: string]: unknown;
  };
}

/** One request of a batch that is given inline. */
export interface InlineRequest {
  readonly custom_id: string;
  readonly body: Readonly<Record<string, unknown>>;
}

const ENDED = ['completed', 'failed', 'expired', 'cancelled'];

/** A chat request to a model, as it stands inline. */
export function chat(customId: string, model: string, more: Record<string, unknown> = {}): InlineRequest {
  const messages = [{ role: 'user', content: `Say ${customId}.` }];
  return { custom_id: customId, body: { model, messages, ...more } };
}

/** So many chat requests to a model: `r-0`, `r-1`, … */
export function chats(count: number, model: string): InlineRequest[] {
  return Array.from({ length: count }, (_, index) => chat(`r-${index}`, model));
}

/** Requests as the JSONL of an input file. */
export function toJsonl(requests: readonly InlineRequest[], url = '/v1/chat/completions'): string {
  return requests.map((each) => `${JSON.stringify({ method: 'POST', url, ...each })}\n`).join('');
}

/** The custom ids of lines, sorted; each must have one. */
export function idsOf(lines: readonly { readonly custom_id: string | null }[]): string[] {
  return lines.map((line) => String(line.custom_id)).sort();
}

const BOUNDARY = 'a-boundary-of-the-tests';

/** A form with a purpose and a file, as it goes over the wire; the file is never in memory as a whole. */
async function* toForm(
  content: Iterable<Buffer> | AsyncIterable<Buffer>,
  purpose: string,
): AsyncGenerator<Buffer> {
  const field = (of: string) => `--${BOUNDARY}\r\ncontent-disposition: form-data; name=${of}\r\n\r\n`;
  yield Buffer.from(`${field('"purpose"')}${purpose}\r\n${field('"file"; filename="input.jsonl"')}`);
  // A piece without bytes would end the request.
  for await (const piece of content) if (piece.length > 0) yield piece;
  yield Buffer.from(`\r\n--${BOUNDARY}--\r\n`);
}

export class BatchClient {
  constructor(private readonly baton: BatonClient) {}

  /** Uploads a file, piece by piece if it comes so, and gives its id. Throws unless it was taken. */
  async upload(content: string | Buffer | AsyncIterable<Buffer>, purpose = 'batch'): Promise<string> {
    const isWhole = typeof content === 'string' || Buffer.isBuffer(content);
    const reply = await fetch(`${this.baton.url}/v1/files`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.baton.key}`,
        'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      },
      body: toForm(isWhole ? [Buffer.from(content)] : content, purpose),
      duplex: 'half',
    });
    const text = await reply.text();
    if (reply.status !== 200) throw new Error(`${reply.status}: ${text}`);
    return (JSON.parse(text) as { id: string }).id;
  }

  /** Makes a batch of chat completions in 24 hours, unless `fields` say otherwise. Throws unless it was taken. */
  async create(fields: Record<string, unknown>): Promise<BatchReply> {
    return this.made('/v1/batches', {
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      ...fields,
    });
  }

  /** A POST that answers with a batch: `batch_…/cancel`. Throws unless it is 200. */
  async post(path: string, body?: unknown): Promise<BatchReply> {
    return this.made(`/v1/batches/${path}`, body);
  }

  async get(id: string): Promise<BatchReply> {
    const reply = await this.baton.request('GET', `/v1/batches/${id}`);
    if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
    return reply.body as unknown as BatchReply;
  }

  /** The batch once it is as asked. Throws after `timeoutMs`, with the batch as it is then. */
  async until(id: string, isSo: (batch: BatchReply) => boolean, timeoutMs = 30_000): Promise<BatchReply> {
    const endMs = Date.now() + timeoutMs;
    for (;;) {
      const batch = await this.get(id);
      if (isSo(batch)) return batch;
      if (Date.now() > endMs)
        throw new Error(`Not so after ${timeoutMs} ms: ${JSON.stringify(batch, null, 2)}`);
      await delay(25);
    }
  }

  /** The batch once it has ended. */
  async ended(id: string, timeoutMs = 30_000): Promise<BatchReply> {
    return this.until(id, (batch) => ENDED.includes(batch.status), timeoutMs);
  }

  /** Makes a batch, and gives it once it has ended. */
  async run(fields: Record<string, unknown>, timeoutMs = 30_000): Promise<BatchReply> {
    return this.ended((await this.create(fields)).id, timeoutMs);
  }

  /** The lines of a result file; none for null, which is what a file without lines is. */
  async lines(fileId: string | null): Promise<ResultLine[]> {
    return fileId === null ? [] : this.read(`/v1/files/${fileId}/content`);
  }

  /** Both files of a batch that has ended. */
  async files(batch: BatchReply): Promise<{ output: ResultLine[]; errors: ResultLine[] }> {
    return {
      output: await this.lines(batch.output_file_id),
      errors: await this.lines(batch.error_file_id),
    };
  }

  /** What `GET /v1/batches/{id}/results` gives; `query` as it stands in the URL. */
  async results(id: string, query = ''): Promise<ResultLine[]> {
    return this.read(`/v1/batches/${id}/results${query === '' ? '' : `?${query}`}`);
  }

  /** Calls `look` with each line of a JSONL reply as it comes; of the whole nothing is kept. Gives the number of lines. */
  async eachLine(path: string, look: (line: ResultLine) => void): Promise<number> {
    const reply = await fetch(this.baton.url + path, {
      headers: { authorization: `Bearer ${this.baton.key}` },
    });
    if (reply.status !== 200 || reply.body === null) {
      throw new Error(`${reply.status}: ${await reply.text()}`);
    }
    let count = 0;
    const input = Readable.fromWeb(reply.body as Parameters<typeof Readable.fromWeb>[0]);
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      look(JSON.parse(line) as ResultLine);
      count += 1;
    }
    return count;
  }

  private async read(path: string): Promise<ResultLine[]> {
    const lines: ResultLine[] = [];
    await this.eachLine(path, (line) => lines.push(line));
    return lines;
  }

  private async made(path: string, body: unknown): Promise<BatchReply> {
    const reply = await this.baton.request('POST', path, body);
    if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
    return reply.body as unknown as BatchReply;
  }
}
