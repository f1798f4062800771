/** What a test does with a Baton over HTTP, wherever that Baton runs. */
import { setTimeout as delay } from 'node:timers/promises';

/** A reply, its body parsed when it is JSON. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // What a test knows about a reply is said where it is used.
  readonly body: Record<string, unknown> & { error?: Record<string, unknown> };
  readonly text: string;
}

/** A job as users see it, as far as tests look. */
export interface JobReply {
  id: string;
  status: string;
  model: string;
  served_by: string | null;
  attempt_count: number;
  fell_back: boolean;
  request: Record<string, unknown>;
  response: { status_code: number; request_id: string; body: Record<string, unknown> } | null;
  error: { code: string; message: string } | null;
  policy: { name: string; version: number } | null;
  attempts: AttemptReply[];
  usage: { input_tokens: number; output_tokens: number; total_tokens: number } | null;
  cost_usd: number | null;
  metadata: Record<string, string>;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  due_at: number | null;
  expires_at: number;
  [field: string]: unknown;
}

export interface AttemptReply {
  id: string;
  index: number;
  round: number;
  step: number;
  model: string;
  outcome: string | null;
  class: string | null;
  http_status: number | null;
  message: string | null;
  sent: boolean | null;
  retry_after_ms: number | null;
  decision: string | null;
  decision_reason: string | null;
  started_at_ms: number;
  duration_ms: number | null;
  upstream_request_id: string | null;
  [field: string]: unknown;
}

export class BatonClient {
  constructor(
    readonly url: string,
    readonly key: string,
  ) {}

  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Reply> {
    const reply = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await reply.text();
    const isJson = /[/+]json\b/.test(reply.headers.get('content-type') ?? '');
    return {
      status: reply.status,
      headers: reply.headers,
      text,
      body: isJson ? (JSON.parse(text) as Reply['body']) : {},
    };
  }

  /** Submits a chat job to these models; the rest of the envelope as given. */
  async submit(request: Record<string, unknown>, envelope: Record<string, unknown> = {}): Promise<JobReply> {
    const whole =
      'messages' in request ? request : { ...request, messages: [{ role: 'user', content: 'Say hello.' }] };
    const reply = await this.patiently('POST', '/v1/jobs', { request: whole, ...envelope });
    if (reply.status !== 202) throw new Error(`${reply.status}: ${reply.text}`);
    return reply.body as unknown as JobReply;
  }

  async job(id: string): Promise<JobReply> {
    const reply = await this.patiently('GET', `/v1/jobs/${id}`);
    if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
    return reply.body as unknown as JobReply;
  }

  /** The job once it has ended. Throws after `timeoutMs`, with the job as it is then. */
  async ended(id: string, timeoutMs = 20_000): Promise<JobReply> {
    return this.until(id, (job) => job.finished_at !== null, timeoutMs);
  }

  /** Submits, and gives the job once it has ended. */
  async run(request: Record<string, unknown>, envelope: Record<string, unknown> = {}): Promise<JobReply> {
    return this.ended((await this.submit(request, envelope)).id);
  }

  /** The job once it is as asked. Throws after `timeoutMs`, with the job as it is then. */
  async until(id: string, isSo: (job: JobReply) => boolean, timeoutMs = 20_000): Promise<JobReply> {
    const endMs = Date.now() + timeoutMs;
    // Many may look at once: who waits long looks less often.
    for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 1.25, 250)) {
      const job = await this.job(id);
      if (isSo(job)) return job;
      if (Date.now() > endMs)
        throw new Error(`Not so after ${timeoutMs} ms: ${JSON.stringify(job, null, 2)}`);
      await delay(pauseMs);
    }
  }

  /** Comes again when it is told to, as a good client does when many ask at once. */
  async patiently(method: string, path: string, body?: unknown): Promise<Reply> {
    for (;;) {
      const reply = await this.request(method, path, body);
      // A job that failed may say so of a model.
      if (reply.status !== 503 || reply.body.error?.['code'] !== 'overloaded') return reply;
      await delay(Number(reply.headers.get('retry-after')) * 1000);
    }
  }
}
