/**
 * What a provider's error means. Told by the HTTP status where that alone is sure, else by the error's code or type, else by
 * known sentences, else by the status. All of it is tables, so that a new provider's ways are a line.
 */
import type { FailureClass } from '../routing/failure.js';
import { at, objectsOf } from './json.js';

/** What an error body says, from whatever shape it has. */
export interface ErrorFacts {
  /** Its text for people; empty if there is none. */
  readonly message: string;
  /** Codes and types in it, in lower case, the most telling first. */
  readonly codes: readonly string[];
  /** An HTTP status inside the body, as OpenRouter sends with a 200; null if there is none. */
  readonly innerStatus: number | null;
  /** How long to wait, as Google writes it (`37s`); null if it is not said. */
  readonly retryDelay: string | null;
}

/** The class of a reply with this status and error. Never fails: what nothing is known of goes by its status. */
export function classifyError(status: number, facts: ErrorFacts): FailureClass {
  return (
    SURE_STATUSES[status] ??
    (OVER_A_MINUTE.test(facts.message) ? 'invalid_request' : undefined) ??
    facts.codes.map((code) => CLASS_BY_CODE[code]).find((found) => found !== undefined) ??
    CLASS_BY_SENTENCE.find(([sentence]) => sentence.test(facts.message))?.[1] ??
    (status < 300 ? classifyInnerError(facts) : classifyStatus(status))
  );
}

/** Reads the error out of a parsed body: OpenAI's shape, and those of Google, FastAPI, Cohere, vLLM, TGI and OpenRouter. */
export function readError(body: unknown): ErrorFacts {
  const root = Array.isArray(body) ? at(body, 0) : body; // Google's compatible endpoint wraps it in an array.
  const error = at(root, 'error') ?? at(root, 'choices', 0, 'error') ?? at(root, 'detail') ?? root;
  const messages = [
    firstText(
      error,
      at(error, 'message'),
      at(error, 'msg'),
      at(error, 0, 'msg'),
      at(error, 'error'),
      at(root, 'message'),
    ),
    firstText(at(error, 'metadata', 'raw')), // OpenRouter: the upstream's own words.
  ];
  const codes = [
    at(error, 'innererror', 'code'),
    at(error, 'code'),
    at(error, 'type'),
    at(error, 'status'),
    at(root, 'error_type'),
  ];
  const code = at(error, 'code');
  // An object may have a conversion of its own, which may throw.
  const inner = typeof code === 'string' || typeof code === 'number' ? Number(code) : NaN;
  const details = objectsOf(at(error, 'details'));
  return {
    message: messages.filter((text) => text !== '').join(': '),
    codes: codes.flatMap((each) => (typeof each === 'string' ? [each.toLowerCase()] : [])),
    innerStatus: Number.isInteger(inner) && inner >= 400 && inner < 600 ? inner : null,
    retryDelay: firstText(...details.map((detail) => detail.retryDelay)) || null,
  };
}

/** Statuses that mean one thing, whatever the body says. */
const SURE_STATUSES: Readonly<Record<number, FailureClass>> = {
  401: 'unauthorized',
  402: 'quota_exhausted',
  408: 'timeout',
};

/**
 * One request that alone is over the account's limit of a minute (OpenAI, Groq), although its code is `rate_limit_exceeded`: no
 * waiting heals that. It says nothing of the model's window either, so models behind it need no larger one.
 */
const OVER_A_MINUTE = /^request too large for .{0,300}\b(?:TPM|tokens per min)/is;

/** Statuses that are looked up last, when the body did not tell more. */
const CLASS_BY_STATUS: Readonly<Record<number, FailureClass>> = {
  403: 'unauthorized',
  404: 'model_not_found',
  409: 'overloaded', // A lock was not had in time: not run, and heals by itself.
  410: 'model_not_found',
  413: 'invalid_request', // Too many bytes for a server on the way, unless it speaks of tokens.
  429: 'rate_limited',
  498: 'overloaded', // Groq: no flex capacity.
  499: 'connection_lost',
  503: 'overloaded',
  // The provider's front gave up waiting for its back, which may go on working: as uncertain as our own time-out.
  504: 'timeout',
  521: 'overloaded', // Cloudflare: the origin is down, or (522, 523) cannot be reached; nothing ran.
  522: 'overloaded',
  523: 'overloaded',
  524: 'timeout', // Cloudflare: the origin was reached and did not answer in time.
  529: 'overloaded',
};

function classifyStatus(status: number): FailureClass {
  const known = CLASS_BY_STATUS[status];
  if (known !== undefined) return known;
  if (status >= 500) return 'server_error'; // 500, 502 and others: it may have run.
  // A redirect is never followed: it would carry the key and the prompt to an address nobody chose.
  return status >= 400 ? 'invalid_request' : 'malformed';
}

/** An error that came with a 200: its own status, else its general type. */
function classifyInnerError(facts: ErrorFacts): FailureClass {
  if (facts.innerStatus !== null)
    return SURE_STATUSES[facts.innerStatus] ?? classifyStatus(facts.innerStatus);
  const isCallers = facts.codes.some((code) =>
    ['invalid_request_error', 'bad_request', 'validation_error'].includes(code),
  );
  return isCallers ? 'invalid_request' : 'server_error';
}

/** Only codes that tell more than a status: general ones (`invalid_request_error`, `server_error`) are sent with anything. */
const CODES_BY_CLASS: Partial<Record<FailureClass, readonly string[]>> = {
  context_length_exceeded: [
    'context_length_exceeded',
    'context_window_exceeded',
    'tokens_limit_reached',
    '1261', // Z.ai
  ],
  content_filtered: [
    'content_filter',
    'content_filtered',
    'content_policy_violation',
    'responsibleaipolicyviolation', // Azure
    'moderation_blocked',
    'data_inspection_failed', // Alibaba
    'datainspectionfailed',
    'prohibited_content',
    'cyber_policy_violation',
    '1301', // Z.ai
  ],
  model_not_found: [
    'model_not_found',
    'model_not_available', // Together
    'model_not_supported', // Hugging Face
    'model_decommissioned', // Groq
    'model_permission_blocked_org', // Groq: of this model, so nothing is wrong with the key.
    'model_permission_blocked_project',
    'invalid_model', // Mistral
    'unknown_model',
    'deploymentnotfound', // Azure
  ],
  quota_exhausted: [
    'insufficient_quota',
    'insufficient_balance',
    'insufficient_credits',
    'billing_hard_limit_reached',
    'billing_not_active',
    'credit_limit', // Together
    'exceeded_current_quota_error', // Moonshot
    'arrearage', // Alibaba
    '1113', // Z.ai, beside the type `rate_limit_error`
    'allocationquota.freetieronly', // Alibaba
    'payment_required',
  ],
  unauthorized: [
    'invalid_api_key',
    'incorrect_api_key',
    'authentication_error',
    'permission_error',
    'account_deactivated',
    'organization_restricted', // Groq
  ],
  rate_limited: [
    'rate_limit_exceeded',
    'rate_limit_error',
    'rate_limit_reached_error',
    'rate_limited',
    'too_many_requests',
    'too_many_requests_error',
    'token_quota_exceeded', // Cerebras: of a minute
    'request_quota_exceeded',
    'resource_exhausted', // Google: says "quota" of what is free again within a minute
    'throttling',
    'throttlingexception',
  ],
  overloaded: [
    'overloaded',
    'overloaded_error', // Anthropic, Together
    'engine_overloaded',
    'engine_overloaded_error', // Moonshot
    'server_overloaded',
    'model_overloaded',
    'queue_exceeded', // Cerebras
    'capacity_exceeded', // Groq
    'no_capacity',
    'slow_down', // OpenAI
  ],
  // Groq: what the model wrote is not the JSON, or the call of a tool, that was asked for. The next draw may be.
  schema_mismatch: ['json_validate_failed', 'tool_use_failed'],
  timeout: ['timeout', 'timeout_error', 'request_timeout', 'gateway_timeout', 'deadline_exceeded'],
};

const CLASS_BY_CODE: Readonly<Record<string, FailureClass | undefined>> = Object.assign(
  Object.create(null) as Record<string, FailureClass>,
  Object.fromEntries(
    Object.entries(CODES_BY_CLASS).flatMap(([name, codes]) =>
      codes.map((code) => [code, name as FailureClass]),
    ),
  ),
);

/** The last resort: sentences of providers that send no telling code. Told in this order. */
const CLASS_BY_SENTENCE: readonly (readonly [RegExp, FailureClass])[] = [
  [
    /insufficient (?:balance|credits?|funds|quota)|credit balance is too low|out of credits|余额不足/i,
    'quota_exhausted',
  ],
  [/spending limit|used all available credits|doesn't have any credits|failure to pay/i, 'quota_exhausted'],
  [/out of call volume quota|^key limit exceeded/i, 'quota_exhausted'],
  [
    /exceeded your current quota|billing hard limit|requires more credits|specified api usage limits/i,
    'quota_exhausted',
  ],
  [
    /maximum context length|context (?:length|window|size) |exceed\w* (?:the )?(?:available |max\w* )?context/i,
    'context_length_exceeded',
  ],
  [
    /prompt is too long|input is too long|too many input tokens|input token count/i,
    'context_length_exceeded',
  ],
  [
    /(?:exceeds|longer than) (?:the )?maximum (?:allowed |input |model )?length|model max length exceeded/i,
    'context_length_exceeded',
  ],
  [
    /maximum prompt length|too many tokens: total number|exceeded model token limit|range of input length/i,
    'context_length_exceeded',
  ],
  [/must have less than \d+ tokens|exceeds max length|context ?window ?exceeded/i, 'context_length_exceeded'],
  [/`?inputs`? tokens \+ `?max_new_tokens`?|reduce the length of the/i, 'context_length_exceeded'],
  [
    /content (?:management |usage )?polic(?:y|ies)|content filter|safety system|inappropriate content/i,
    'content_filtered',
  ],
  [/content exists risk|violates usage guidelines/i, 'content_filtered'], // DeepSeek; xAI, with 403.
  [
    /(?:input|prompt|request) (?:was |has been )?(?:flagged|blocked)|requires moderation/i,
    'content_filtered',
  ],
  [
    /model\b.{0,200}\b(?:does not exist|not found|not exist|decommissioned|is not available)/i,
    'model_not_found',
  ],
  [
    /no such model|unknown model|model not supported by provider|invalid model|not a valid model|unable to access .{0,40}model|no endpoints found/i,
    'model_not_found',
  ],
  [/organization has been (?:disabled|restricted)/i, 'unauthorized'],
  [/api key (?:not valid|expired)|(?:incorrect|invalid|missing) api[ -_]?key/i, 'unauthorized'],
  [
    /overloaded|model busy|at capacity|capacity exceeded|no (?:healthy|available) (?:upstream|provider|instance)/i,
    'overloaded',
  ],
];

/** The first that is a text with something in it; empty if none is. */
function firstText(...values: readonly unknown[]): string {
  return values.find((value): value is string => typeof value === 'string' && value !== '') ?? '';
}
