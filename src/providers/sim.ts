/**
 * The built-in provider: an upstream inside the process that speaks OpenAI's wire format, for a first try without a key, for dry
 * runs and for tests. Every answer says that it is simulated. It must never look like a real model's answer, nor cost anything.
 */
import { createHash } from 'node:crypto';
import type { CallRequest, WireReply, WireRequest } from './adapter.js';
import { at, isObject, parseJson } from './json.js';
import {
  answerBody,
  answerLast,
  refusal,
  say,
  type SimCall,
  type SimLoss,
  type SimReply,
} from './sim-answer.js';
import { scriptedReply } from './sim-script.js';

/** The models of `sim` by name, and what each does. */
export const SIM_MODELS: Readonly<Record<string, { readonly does: string; readonly act: Act }>> = {
  echo: { does: 'answers with the last user message', act: answerLast },
  slow: { does: 'does the same after 2 seconds', act: (call) => ({ ...answerLast(call), delayMs: 2000 }) },
  flaky: {
    does: 'fails about 3 calls of 10',
    act: (call) => (isUnlucky(call) ? failing(call) : answerLast(call)),
  },
  fail: { does: 'fails with status 500', act: failing },
  overloaded: {
    does: 'fails with status 503',
    act: (call) => refusal(503, 'overloaded_error', call, 'is overloaded'),
  },
  'rate-limited': {
    does: 'fails with status 429 and asks to wait 1 second',
    act: (call) => ({
      ...refusal(429, 'rate_limit_exceeded', call, 'has no room'),
      headers: { 'retry-after': '1' },
    }),
  },
  hang: { does: 'never answers', act: () => ({ status: 200, delayMs: Infinity }) },
  'too-long': {
    does: 'says that the request is too long',
    act: (call) => refusal(400, 'context_length_exceeded', call, 'has a context length of 0 tokens'),
  },
  filter: {
    does: 'withholds its answer',
    act: (call) => refusal(400, 'content_filter', call, 'filters everything'),
  },
  refuse: {
    does: 'answers with a refusal',
    act: (call) => ({ status: 200, body: answerBody(call, { refusal: say(call, 'refuses.') }) }),
  },
  empty: {
    does: 'answers without content',
    act: (call) => ({ status: 200, body: answerBody(call, {}) }),
  },
  malformed: {
    does: 'answers with half a JSON object',
    act: (call) => ({ status: 200, body: JSON.stringify(answerLast(call).body).slice(0, -20) }),
  },
};

/**
 * Takes the request of one call as the network would, and answers in its place. A field `sim` of the request scripts the calls of
 * a job: `["rate_limited:5", "ok"]` makes its first attempt a 429 that asks for 5 seconds, and its second a good one; from then on
 * the model does what it always does.
 */
export async function simulate(
  wire: WireRequest,
  { timeoutMs, signal, attemptIndex }: CallRequest,
): Promise<WireReply | SimLoss> {
  const body = parseJson(wire.body);
  const call: SimCall = {
    path: wire.url,
    model: String(at(body, 'model')),
    body: isObject(body) ? body : {},
    attemptId: wire.headers['x-baton-attempt-id'] ?? '',
    attemptIndex,
  };
  const reply = scriptedReply(call) ?? (findModel(call.model) ?? noSuchModel)(call);
  const ended = await pause(reply.delayMs ?? 0, timeoutMs, signal);
  if (ended !== 'done')
    return { kind: ended, sent: true, message: `the simulated call took up to ${timeoutMs} ms` };
  if (reply.lost !== undefined) return reply.lost;
  const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {});
  return {
    status: reply.status,
    headers: {
      'content-type': 'application/json',
      'x-request-id': `sim-${call.attemptId}`,
      ...reply.headers,
    },
    body: Buffer.from(text),
  };
}

type Act = (call: SimCall) => SimReply;

function findModel(name: string): Act | undefined {
  return Object.hasOwn(SIM_MODELS, name) ? SIM_MODELS[name]?.act : undefined;
}

function noSuchModel(call: SimCall): SimReply {
  const list = Object.keys(SIM_MODELS).map((name) => `sim/${name}`);
  return refusal(404, 'model_not_found', call, `is no model of it; there are ${list.join(', ')}`);
}

function failing(call: SimCall): SimReply {
  return refusal(500, 'server_error', call, 'always fails, on purpose');
}

/** Decided by the attempt, so that a retry may be luckier and a test can count on what it got. */
function isUnlucky(call: SimCall): boolean {
  return createHash('sha256').update(call.attemptId).digest().readUInt32BE(0) / 2 ** 32 < 0.3;
}

/** Waits, but no longer than the time-out or the signal lets it. */
function pause(
  delayMs: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<'done' | 'timeout' | 'aborted'> {
  if (signal.aborted) return Promise.resolve('aborted');
  if (timeoutMs <= 0) return Promise.resolve('timeout');
  if (delayMs === 0) return Promise.resolve('done');
  return new Promise((resolve) => {
    const end = (how: 'done' | 'timeout' | 'aborted') => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(how);
    };
    const onAbort = () => end('aborted');
    const timer = setTimeout(
      () => end(delayMs <= timeoutMs ? 'done' : 'timeout'),
      Math.min(delayMs, timeoutMs, 2 ** 31 - 1),
    );
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
