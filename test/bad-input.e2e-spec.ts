/** What is wrong is refused at the door: with a status, a code, the place and what would be right, and nothing comes of it. */
import fc from 'fast-check';
import { newUuid, toPublicId } from '../src/storage/ids.js';
import { type Reply, TestBaton } from './support/test-baton.js';

const LIMITS = { body: 4 * 2 ** 20, levels: 64 };

/** Loopback is not opened for webhooks here: this Baton has the addresses of a real one. */
let baton: TestBaton;

beforeAll(async () => {
  baton = await TestBaton.start({
    env: { EGRESS_ALLOW_CIDRS: '' },
    file: { policies: { fixed: { steps: [{ model: 'sim/echo' }] } } },
  });
});

afterAll(async () => {
  await baton.stop();
});

/** What is sent; a text is the body as it is. */
interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** The status, the code and the place of the refusal, and what of its message says what would be right. */
type Refusal = readonly [status: number, code: string, param: string | null, fix: string | RegExp];

type Case = readonly [name: string, sent: Sent, ...refusal: Refusal];

const REQUEST = { model: 'sim/echo', messages: [{ role: 'user', content: 'Hi' }] };

function job(envelope: object): Sent {
  return { body: { request: REQUEST, ...envelope } };
}

function request(fields: object): Sent {
  return { body: { request: { ...REQUEST, ...fields } } };
}

function policy(body: unknown, name = 'x'): Sent {
  return { method: 'PUT', path: `/v1/policies/${name}`, body };
}

function get(path: string): Sent {
  return { method: 'GET', path };
}

const NUL = '\u0000';
const LONE = '\ud800';
const raw = JSON.stringify(REQUEST);
/** A job whose body is so many levels deep in all. */
const deep = (levels: number, open: string, close: string) =>
  `{"request":{"model":"sim/echo","messages":[],"deep":${open.repeat(levels - 2)}1${close.repeat(levels - 2)}}}`;
const pairs = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));
const step = { model: 'sim/echo' };

const BODIES: Case[] = [
  ['no body', {}, 400, 'invalid_json', null, 'Send a JSON object'],
  ['an empty body', { body: '' }, 400, 'invalid_json', null, 'Send a JSON object'],
  ['half a body', { body: `{"request":${raw}` }, 400, 'invalid_json', null, 'not valid JSON'],
  ['JSON with a comma too many', { body: '{"request":{},}' }, 400, 'invalid_json', null, /line 1, column \d+/],
  ['words', { body: 'hello' }, 400, 'invalid_json', null, 'not valid JSON'],
  ['NaN', { body: '{"request":NaN}' }, 400, 'invalid_json', null, 'not valid JSON'],
  ['a list', { body: '[]' }, 400, 'invalid_body', null, 'must be a JSON object'],
  ['a text', { body: '"request"' }, 400, 'invalid_body', null, 'must be a JSON object'],
  ['null', { body: 'null' }, 400, 'invalid_body', null, 'must be a JSON object'],
  ['a number', { body: '17' }, 400, 'invalid_body', null, 'must be a JSON object'],
  ['5 MB', request({ padding: 'x'.repeat(5e6) }), 413, 'body_too_large', null, '4 MiB'],
  ['one byte too many', { body: sized(LIMITS.body + 1) }, 413, 'body_too_large', null, '4 MiB'],
  ['65 lists in each other', { body: deep(65, '[', ']') }, 400, 'json_too_deep', null, '64 levels'],
  ['65 objects in each other', { body: deep(65, '{"a":', '}') }, 400, 'json_too_deep', null, '64 levels'],
  ['a bomb of lists', { body: '['.repeat(1e6) }, 400, 'json_too_deep', null, '64 levels'],
  ['a bomb of objects', { body: '{"a":'.repeat(5e5) }, 400, 'json_too_deep', null, '64 levels'],
  ['__proto__', { body: `{"request":${raw},"__proto__":{"polluted":1}}` }, 400, 'forbidden_key', null, '__proto__'],
  ['__proto__ inside', { body: '{"request":{"a":[{"__proto__":{"polluted":1}}]}}' }, 400, 'forbidden_key', null, '__proto__'],
  ['__proto__ in escapes', { body: '{"request":{"\\u005f_proto__":{"polluted":1}}}' }, 400, 'forbidden_key', null, '__proto__'],
  ['constructor.prototype', { body: `{"request":${raw},"constructor":{"prototype":{"polluted":1}}}` }, 400, 'forbidden_key', null, 'constructor.prototype'],
  ['constructor.prototype inside', { body: '{"request":{"a":{"constructor":{"prototype":{"polluted":1}}}}}' }, 400, 'forbidden_key', null, 'constructor.prototype'],
  ['a form', { body: 'request=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415, 'unsupported_media_type', null, 'application/json'],
  ['text', { body: raw, headers: { 'content-type': 'text/plain' } }, 415, 'unsupported_media_type', null, 'application/json'],
]; // prettier-ignore

/** A job in exactly so many bytes. */
function sized(bytes: number): string {
  const empty = `{"request":{"model":"sim/echo","messages":[],"padding":""}}`;
  return empty.replace('""', `"${'x'.repeat(bytes - empty.length)}"`);
}

const ENVELOPES: Case[] = [
  ['no request', { body: {} }, 400, 'missing_field', 'request', 'request is missing: it must be an object'],
  ['request: a list', { body: { request: [] } }, 400, 'invalid_value', 'request', 'must be an object'],
  ['request: null', { body: { request: null } }, 400, 'invalid_value', 'request', 'must be an object'],
  ['request: a text', { body: { request: 'x' } }, 400, 'invalid_value', 'request', 'must be an object'],
  ['endpoint: unknown', job({ endpoint: '/v1/images' }), 400, 'invalid_value', 'endpoint', '/v1/chat/completions'],
  ['endpoint: a number', job({ endpoint: 7 }), 400, 'invalid_value', 'endpoint', '/v1/chat/completions'],
  ['priority: unknown', job({ priority: 'urgent' }), 400, 'invalid_value', 'priority', 'normal'],
  ['priority: a number', job({ priority: 1 }), 400, 'invalid_value', 'priority', 'normal'],
  ['priority: of every object', job({ priority: 'toString' }), 400, 'invalid_value', 'priority', 'normal'],
  ['expires_in: 0', job({ expires_in: 0 }), 400, 'invalid_value', 'expires_in', 'less than 1'],
  ['expires_in: negative', job({ expires_in: -1 }), 400, 'invalid_value', 'expires_in', 'less than 1'],
  ['expires_in: too much', job({ expires_in: 604_801 }), 400, 'invalid_value', 'expires_in', '604800'],
  ['expires_in: huge', job({ expires_in: 1e300 }), 400, 'invalid_value', 'expires_in', '604800'],
  ['expires_in: half', job({ expires_in: 1.5 }), 400, 'invalid_value', 'expires_in', 'integer'],
  ['expires_in: a text', job({ expires_in: '60' }), 400, 'invalid_value', 'expires_in', 'integer'],
  ['run_at: negative', job({ run_at: -1 }), 400, 'invalid_value', 'run_at', 'less than 0'],
  ['run_at: in milliseconds', job({ run_at: 1e15 }), 400, 'invalid_value', 'run_at', '253402300799'],
  ['run_at: a date', job({ run_at: '2030-01-01' }), 400, 'invalid_value', 'run_at', 'integer'],
  ['metadata: a list', job({ metadata: ['a'] }), 400, 'invalid_value', 'metadata', 'must be an object of text values'],
  ['metadata: a text', job({ metadata: 'a' }), 400, 'invalid_value', 'metadata', 'must be an object of text values'],
  ['metadata: 17 pairs', job({ metadata: pairs(17) }), 400, 'invalid_value', 'metadata', 'at most 16 pairs; it has 17'],
  ['metadata: a key of 65', job({ metadata: { ['k'.repeat(65)]: 'v' } }), 400, 'invalid_value', 'metadata', 'at most 64 characters'],
  ['metadata: a value of 513', job({ metadata: { k: 'v'.repeat(513) } }), 400, 'invalid_value', 'metadata', 'at most 512 characters'],
  ['metadata: a number', job({ metadata: { k: 17 } }), 400, 'invalid_value', 'metadata', "'k' is a number, write it in quotes"],
  ['metadata: nested', job({ metadata: { k: { l: 'v' } } }), 400, 'invalid_value', 'metadata', "'k' is an object"],
  ['metadata: null inside', job({ metadata: { k: null } }), 400, 'invalid_value', 'metadata', "'k' is null"],
  ['metadata: NUL in a value', job({ metadata: { k: `a${NUL}b` } }), 400, 'invalid_value', 'metadata', 'NUL'],
  ['metadata: NUL in a key', job({ metadata: { [`a${NUL}b`]: 'v' } }), 400, 'invalid_value', 'metadata', 'NUL'],
  ['metadata: half a character', job({ metadata: { k: `a${LONE}b` } }), 400, 'invalid_value', 'metadata', 'surrogate'],
  ['webhook_url: a number', job({ webhook_url: 5 }), 400, 'invalid_value', 'webhook_url', 'must be a string'],
  ['webhook_url: too long', job({ webhook_url: `https://example.com/${'x'.repeat(2048)}` }), 400, 'invalid_value', 'webhook_url', '2048'],
  ['webhook_url: no URL', job({ webhook_url: 'example.com/hook' }), 400, 'url_not_allowed', 'webhook_url', 'https://host/path'],
  ['webhook_url: ftp', job({ webhook_url: 'ftp://example.com/' }), 400, 'url_not_allowed', 'webhook_url', 'must begin with https:'],
  ['webhook_url: with a password', job({ webhook_url: 'https://me:secret@example.com/' }), 400, 'url_not_allowed', 'webhook_url', 'leave it out'],
  ['webhook_url: http to a public address', job({ webhook_url: 'http://93.184.216.34/' }), 400, 'url_not_allowed', 'webhook_url', 'Use https'],
  ['webhook_url: http to a name', job({ webhook_url: 'http://example.com/' }), 400, 'url_not_allowed', 'webhook_url', /https/],
  ['webhook_url: loopback', job({ webhook_url: 'https://127.0.0.1/' }), 400, 'url_not_allowed', 'webhook_url', 'EGRESS_ALLOW_CIDRS'],
  ['webhook_url: loopback by another name', job({ webhook_url: 'https://2130706433/' }), 400, 'url_not_allowed', 'webhook_url', 'EGRESS_ALLOW_CIDRS'],
  ['webhook_url: loopback in IPv6', job({ webhook_url: 'https://[::ffff:127.0.0.1]/' }), 400, 'url_not_allowed', 'webhook_url', 'EGRESS_ALLOW_CIDRS'],
  ['webhook_url: localhost', job({ webhook_url: 'https://localhost/' }), 400, 'url_not_allowed', 'webhook_url', 'EGRESS_ALLOW_CIDRS'],
  ['webhook_url: private', job({ webhook_url: 'https://10.0.0.1/' }), 400, 'url_not_allowed', 'webhook_url', 'EGRESS_ALLOW_CIDRS'],
  ['webhook_url: metadata', job({ webhook_url: 'https://169.254.169.254/' }), 400, 'url_not_allowed', 'webhook_url', 'EGRESS_ALLOW_CIDRS'],
  ['webhook_url: NUL', job({ webhook_url: `https://93.184.216.34/a${NUL}b` }), 400, 'url_not_allowed', 'webhook_url', 'control character'],
  ['webhook_url: a line break', job({ webhook_url: 'https://93.184.216.34/\r\nx: y' }), 400, 'url_not_allowed', 'webhook_url', 'control character'],
  ['webhook_url: half a character', job({ webhook_url: `https://93.184.216.34/${LONE}` }), 400, 'url_not_allowed', 'webhook_url', 'surrogate'],
  ['a slip in a name', job({ web_hook_url: 'https://example.com' }), 400, 'unknown_field', 'web_hook_url', "Did you mean 'webhook_url'?"],
  ['a slip in another', job({ metdata: {} }), 400, 'unknown_field', 'metdata', "Did you mean 'metadata'?"],
  ['the body without its envelope', { body: REQUEST }, 400, 'unknown_field', 'model', 'Known fields: request'],
  ['a name like no other', job({ zzzzzzzzzzzz: 1 }), 400, 'unknown_field', 'zzzzzzzzzzzz', 'Known fields: request'],
  ['a name of every object', job({ constructor: 1 }), 400, 'unknown_field', 'constructor', 'Known fields: request'],
  ['a very long name', job({ ['z'.repeat(1e5)]: 1 }), 400, 'unknown_field', `${'z'.repeat(64)}…`, 'Known fields: request'],
  ['an empty Idempotency-Key', { ...job({}), headers: { 'idempotency-key': '' } }, 400, 'invalid_value', 'Idempotency-Key', '1 to 255 visible'],
  ['an Idempotency-Key with a blank', { ...job({}), headers: { 'idempotency-key': 'a b' } }, 400, 'invalid_value', 'Idempotency-Key', '1 to 255 visible'],
  ['an Idempotency-Key of 256', { ...job({}), headers: { 'idempotency-key': 'a'.repeat(256) } }, 400, 'invalid_value', 'Idempotency-Key', '1 to 255 visible'],
]; // prettier-ignore

const MODELS: Case[] = [
  ['no model', request({ model: undefined }), 400, 'missing_field', 'request.model', 'name a model (provider/model) or a policy'],
  ['model: null', request({ model: null }), 400, 'invalid_value', 'request.model', "'provider/model'"],
  ['model: a number', request({ model: 7 }), 400, 'invalid_value', 'request.model', "'provider/model'"],
  ['model: a list', request({ model: ['sim/echo'] }), 400, 'invalid_value', 'request.model', "'provider/model'"],
  ['model: empty', request({ model: '' }), 400, 'invalid_value', 'request.model', "'provider/model'"],
  ['model: very long', request({ model: `sim/${'x'.repeat(1e5)}` }), 400, 'invalid_value', 'request.model', "'provider/model'"],
  ['model: without a provider', request({ model: 'gpt-4o' }), 404, 'unknown_model', 'request.model', 'write it as provider/model'],
  ['model: only a provider', request({ model: 'sim/' }), 404, 'unknown_model', 'request.model', 'write it as provider/model'],
  ['model: unknown to sim', request({ model: 'sim/ecco' }), 404, 'unknown_model', 'request.model', 'Did you mean `sim/echo`?'],
  ['provider: unknown', request({ model: 'acme/x' }), 404, 'unknown_model', 'request.model', 'Switched on: sim'],
  ['provider: a slip', request({ model: 'opnai/gpt-4o' }), 404, 'unknown_model', 'request.model', 'Did you mean `openai/gpt-4o`?'],
  ['provider: switched off', request({ model: 'openai/gpt-4o' }), 404, 'unknown_model', 'request.model', 'set OPENAI_API_KEY'],
  ['provider: of every object', request({ model: 'constructor/x' }), 404, 'unknown_model', 'request.model', 'There is no provider'],
  ['policy: unknown', request({ model: 'policy/none' }), 404, 'unknown_policy', 'request.model', 'PUT /v1/policies/{name} makes one'],
  ['policy: empty', request({ model: 'policy/' }), 404, 'unknown_policy', 'request.model', 'GET /v1/policies'],
  ['policy: NUL', request({ model: `policy/${NUL}` }), 404, 'unknown_policy', 'request.model', 'GET /v1/policies'],
  ['policy: half a character', request({ model: `policy/${LONE}` }), 404, 'unknown_policy', 'request.model', 'GET /v1/policies'],
  ['model: NUL', request({ model: `openai/${NUL}` }), 404, 'unknown_model', 'request.model', 'control characters'],
  ['model: half a character', request({ model: `sim/${LONE}` }), 404, 'unknown_model', 'request.model', 'surrogate'],
  ['models: a text', request({ models: 'sim/echo' }), 400, 'invalid_value', 'request.models', 'a list of 1 to 20 models'],
  ['models: none', request({ models: [] }), 400, 'invalid_value', 'request.models', 'a list of 1 to 20 models'],
  ['models: 21', request({ models: Array(21).fill('sim/echo') }), 400, 'invalid_value', 'request.models', 'a list of 1 to 20 models'],
  ['models: a number among them', request({ models: ['sim/echo', 7] }), 400, 'invalid_value', 'request.models', 'a list of 1 to 20 models'],
  ['models: one unknown', { body: { request: { models: ['sim/echo', 'acme/x'] } } }, 404, 'unknown_model', 'request.models.1', 'There is no provider'],
  ['models: one unknown policy', { body: { request: { models: ['policy/no', 'sim/echo'] } } }, 404, 'unknown_policy', 'request.models.0', 'GET /v1/policies'],
  ['stream: true', request({ stream: true }), 400, 'invalid_value', 'request.stream', 'must be left out'],
]; // prettier-ignore

const POLICIES: Case[] = [
  ['no steps', policy({}), 400, 'missing_field', 'steps', 'steps is missing: it must be an array'],
  ['empty steps', policy({ steps: [] }), 400, 'invalid_value', 'steps', 'at least 1'],
  ['51 steps', policy({ steps: Array(51).fill(step) }), 400, 'invalid_value', 'steps', '50'],
  ['steps: an object', policy({ steps: { 0: step } }), 400, 'invalid_value', 'steps', 'must be an array'],
  ['steps: texts', policy({ steps: ['sim/echo'] }), 400, 'invalid_value', 'steps', 'each value must be an object'],
  ['steps: null', policy({ steps: [null] }), 400, 'invalid_value', 'steps', 'each value must be an object'],
  ['steps: lists', policy({ steps: [[step]] }), 400, 'invalid_value', 'steps', 'each value must be an object'],
  ['a step without a model', policy({ steps: [{}] }), 400, 'missing_field', 'steps.0.model', 'must be a string'],
  ['a model that is a number', policy({ steps: [{ model: 1 }] }), 400, 'invalid_value', 'steps.0.model', 'must be a string'],
  ['an unknown model', policy({ steps: [step, { model: 'acme/x' }] }), 404, 'unknown_model', 'steps.1.model', 'There is no provider'],
  ['an unknown policy', policy({ steps: [{ model: 'policy/none' }] }), 404, 'unknown_policy', 'steps.0.model', 'GET /v1/policies'],
  ['itself', policy({ steps: [{ model: 'policy/x' }] }), 400, 'invalid_value', 'steps.0.model', 'circle'],
  ['retries: negative', policy({ steps: [{ ...step, retries: -1 }] }), 400, 'invalid_value', 'steps.0.retries', 'less than 0'],
  ['retries: 11', policy({ steps: [{ ...step, retries: 11 }] }), 400, 'invalid_value', 'steps.0.retries', 'greater than 10'],
  ['timeout_ms: 0', policy({ steps: [{ ...step, timeout_ms: 0 }] }), 400, 'invalid_value', 'steps.0.timeout_ms', 'less than 1'],
  ['timeout_ms: a text', policy({ steps: [{ ...step, timeout_ms: '1s' }] }), 400, 'invalid_value', 'steps.0.timeout_ms', 'integer'],
  ['overrides: a list', policy({ steps: [{ ...step, overrides: [] }] }), 400, 'invalid_value', 'steps.0.overrides', 'must be an object'],
  ['overrides: stream', policy({ steps: [{ ...step, overrides: { stream: true } }] }), 400, 'invalid_value', 'steps.0.overrides.stream', 'must be left out'],
  ['overrides: model', policy({ steps: [{ ...step, overrides: { model: 'sim/slow' } }] }), 400, 'invalid_value', 'steps.0.overrides.model', 'must be left out'],
  ['overrides: constructor', policy({ steps: [{ ...step, overrides: { constructor: 1 } }] }), 400, 'forbidden_key', null, 'constructor'],
  ['a slip in a step', policy({ steps: [{ ...step, timout_ms: 5 }] }), 400, 'unknown_field', 'steps.0.timout_ms', "Did you mean 'steps.0.timeout_ms'?"],
  ['a slip', policy({ steps: [step], round: 1 }), 400, 'unknown_field', 'round', "Did you mean 'rounds'?"],
  ['rounds: 0', policy({ steps: [step], rounds: 0 }), 400, 'invalid_value', 'rounds', 'less than 1'],
  ['max_attempts: half', policy({ steps: [step], max_attempts: 0.5 }), 400, 'invalid_value', 'max_attempts', 'integer'],
  ['strategy: unknown', policy({ steps: [step], strategy: 'random' }), 400, 'invalid_value', 'strategy', 'fallback, weighted'],
  ['on: a list', policy({ steps: [step], on: [] }), 400, 'invalid_value', 'on', 'an object of failure class to decision'],
  ['on: an unknown class', policy({ steps: [step], on: { slow: 'next' } }), 400, 'invalid_value', 'on', 'The classes are: '],
  ['on: an unknown decision', policy({ steps: [step], on: { timeout: 'panic' } }), 400, 'invalid_value', 'on', 'retry, next, wait, stop'],
  ['on: a decision that is an object', policy({ steps: [step], on: { timeout: { toString: 1 } } }), 400, 'invalid_value', 'on', 'retry, next, wait, stop'],
  ['another name', policy({ name: 'y', steps: [step] }), 400, 'invalid_value', 'name', 'Leave it out, or make them equal'],
  ['name: a number', policy({ name: 5, steps: [step] }), 400, 'invalid_value', 'name', 'must be a string'],
  ['on: a decision that is a number', policy({ steps: [step], on: { timeout: 1 } }), 400, 'invalid_value', 'on', 'says 1 for timeout'],
  ['a name with a blank', policy({ steps: [step] }, 'a%20b'), 400, 'invalid_value', 'name', "letters, digits, '.'"],
  ['a name with NUL', policy({ steps: [step] }, '%00'), 400, 'invalid_value', 'name', "letters, digits, '.'"],
  ['a name of 65', policy({ steps: [step] }, 'a'.repeat(65)), 400, 'invalid_value', 'name', '1 to 64'],
  ['the file’s', policy({ steps: [step] }, 'fixed'), 409, 'policy_read_only', 'name', 'change it there'],
  ['too many values', policy({ steps: [{ ...step, overrides: { a: Array(20_000).fill(1) } }] }), 400, 'invalid_body', null, 'more than 10000 values'],
]; // prettier-ignore

const UNKNOWN_JOB = toPublicId('job', newUuid());

const PATHS: Case[] = [
  ['another method', { method: 'PUT', path: '/v1/jobs', body: {} }, 405, 'method_not_allowed', null, /Use GET .*or POST/],
  ['DELETE on all jobs', { method: 'DELETE', path: '/v1/jobs' }, 405, 'method_not_allowed', null, /Use GET .*or POST/],
  ['a slip', get('/v1/job'), 404, 'route_not_found', null, 'Did you mean /v1/jobs?'],
  ['without v1', get('/jobs'), 404, 'route_not_found', null, 'Did you mean /v1/jobs?'],
  ['a slash too many', get('/v1/jobs/'), 404, 'route_not_found', null, 'Did you mean /v1/jobs?'],
  ['nothing known', get('/some/where/quite/different'), 404, 'route_not_found', null, '/docs'],
  ['a path with a broken escape', get('/v1/jobs/%E0%A4%A'), 400, 'malformed_request', null, '%-escapes'],
  ['a very long id', get(`/v1/jobs/${'x'.repeat(5000)}`), 400, 'malformed_request', null, 'too long'],
  ['an unknown job', get(`/v1/jobs/${UNKNOWN_JOB}`), 404, 'not_found', 'id', 'There is no job'],
  ['no id of a job', get('/v1/jobs/17'), 404, 'not_found', 'id', 'There is no job'],
  ['an id with NUL', get('/v1/jobs/%00'), 404, 'not_found', 'id', 'There is no job'],
  ['an id of something else', get('/v1/jobs/att_01J00000000000000000000000'), 404, 'not_found', 'id', 'There is no job'],
  ['attempts of an unknown job', get(`/v1/jobs/${UNKNOWN_JOB}/attempts`), 404, 'not_found', 'id', 'There is no job'],
  ['deliveries of an unknown job', get(`/v1/jobs/${UNKNOWN_JOB}/deliveries`), 404, 'not_found', 'id', 'There is no job'],
  ['cancelling an unknown job', { path: `/v1/jobs/${UNKNOWN_JOB}/cancel` }, 404, 'not_found', 'id', 'There is no job'],
  ['wait: words', get(`/v1/jobs/${UNKNOWN_JOB}?wait=long`), 400, 'invalid_value', 'wait', 'whole number of seconds'],
  ['wait: twice', get(`/v1/jobs/${UNKNOWN_JOB}?wait=1&wait=2`), 400, 'invalid_value', 'wait', 'whole number of seconds'],
  ['limit: 0', get('/v1/jobs?limit=0'), 400, 'invalid_value', 'limit', 'from 1 to 100'],
  ['limit: 101', get('/v1/jobs?limit=101'), 400, 'invalid_value', 'limit', 'from 1 to 100'],
  ['limit: words', get('/v1/jobs?limit=ten'), 400, 'invalid_value', 'limit', 'from 1 to 100'],
  ['limit: twice', get('/v1/jobs?limit=1&limit=2'), 400, 'invalid_value', 'limit', 'from 1 to 100'],
  ['after: no id', get('/v1/jobs?after=x'), 400, 'invalid_value', 'after', 'the id of a job'],
  ['after: NUL', get('/v1/policies?after=%00'), 400, 'invalid_value', 'after', 'must be one id'],
  ['order: unknown', get('/v1/jobs?order=up'), 400, 'invalid_value', 'order', "'asc' or 'desc'"],
  ['a filter that is none', get('/v1/jobs?state=failed'), 400, 'unknown_field', 'state', 'The filters are: status'],
  ['a filter of every object', get('/v1/jobs?constructor=1'), 400, 'unknown_field', 'constructor', 'The filters are: status'],
  ['a filter twice', get('/v1/jobs?model=a&model=b'), 400, 'invalid_value', 'model', 'given once'],
  ['status: unknown', get('/v1/jobs?status=done'), 400, 'invalid_value', 'status', 'one of: queued'],
  ['fell_back: unknown', get('/v1/jobs?fell_back=yes'), 400, 'invalid_value', 'fell_back', 'true, false'],
  ['attempts_min: beyond any number', get('/v1/jobs?attempts_min=9999999999'), 400, 'invalid_value', 'attempts_min', 'from 0 to 1000000'],
  ['created_after: beyond any date', get('/v1/jobs?created_after=9999999999999'), 400, 'invalid_value', 'created_after', 'whole number'],
  ['attempts_min: negative', get('/v1/jobs?attempts_min=-1'), 400, 'invalid_value', 'attempts_min', 'whole number'],
  ['batch_id: no id', get('/v1/jobs?batch_id=17'), 400, 'invalid_value', 'batch_id', 'batch_…'],
  ['created_after: a date', get('/v1/jobs?created_after=2030-01-01'), 400, 'invalid_value', 'created_after', 'whole number'],
  ['metadata: without a key', get('/v1/jobs?metadata[]=x'), 400, 'unknown_field', 'metadata[]', 'metadata[key]'],
  ['metadata: NUL in the key', get('/v1/jobs?metadata[a%00]=b'), 400, 'invalid_value', `metadata[a${NUL}]`, 'NUL'],
  ...['model', 'served_by', 'policy', 'custom_id', 'error_code', 'metadata[k]'].map(
    (param): Case => [`${param}: NUL`, get(`/v1/jobs?${param}=a%00b`), 400, 'invalid_value', param, 'NUL'],
  ),
  ['an unknown policy', get('/v1/policies/none'), 404, 'unknown_policy', 'name', 'GET /v1/policies'],
  ['a policy with NUL', get('/v1/policies/%00'), 404, 'unknown_policy', 'name', 'GET /v1/policies'],
  ['versions of a policy with NUL', get('/v1/policies/%00/versions'), 404, 'unknown_policy', 'name', 'GET /v1/policies'],
  ['deleting a policy with NUL', { method: 'DELETE', path: '/v1/policies/%00' }, 404, 'unknown_policy', 'name', 'GET /v1/policies'],
  ['a version that is none', { path: '/v1/policies/fixed/versions/first/restore' }, 400, 'invalid_value', 'version', 'the number of a version'],
  ['a version that is not there', { path: '/v1/policies/fixed/versions/99/restore' }, 404, 'unknown_policy', 'version', 'no version 99'],
]; // prettier-ignore

async function send({ method = 'POST', path = '/v1/jobs', body, headers }: Sent): Promise<Reply> {
  return baton.request(method, path, body, headers);
}

async function jobCount(): Promise<number> {
  let count = 0;
  for (let after = ''; ;) {
    const { body } = await baton.request('GET', `/v1/jobs?limit=100${after}`);
    count += (body['data'] as unknown[]).length;
    if (body['has_more'] !== true) return count;
    after = `&after=${String(body['last_id'])}`;
  }
}

describe.each([
  ['Bodies', BODIES],
  ['Envelopes of jobs', ENVELOPES],
  ['Models of jobs', MODELS],
  ['Policies', POLICIES],
  ['Paths and queries', PATHS],
])('%s', (_name, cases) => {
  it.each(cases)(
    'are refused with the place and the fix: %s',
    async (_case, sent, status, code, param, fix) => {
      const jobsBefore = await jobCount();
      const reply = await send(sent);
      expect([reply.status, reply.text]).toEqual([status, expect.any(String)]);
      const { error } = reply.body;
      expect(Object.keys(error ?? {}).toSorted()).toEqual(['code', 'message', 'param', 'type']);
      expect(error).toMatchObject({ code, param, type: expect.stringMatching(/_error$/) });
      if (typeof fix === 'string') expect(error?.['message']).toContain(fix);
      else expect(error?.['message']).toMatch(fix);
      expect(reply.headers.get('x-request-id')).toMatch(/^req_[0-9A-HJKMNP-TV-Z]{26}$/);
      expect(reply.headers.get('content-type')).toMatch(/^application\/json/);
      expect(reply.text.length).toBeLessThan(4000);
      expect(await jobCount()).toBe(jobsBefore);
      expect('polluted' in {}).toBe(false);
    },
  );
});

describe('What is at the very edge', () => {
  it.each<[string, Sent]>(
    [
    ['64 lists in each other', { body: deep(64, '[', ']') }],
    ['64 objects in each other', { body: deep(64, '{"a":', '}') }],
    ['a body of just the limit', { body: sized(LIMITS.body) }],
    ['16 pairs', job({ metadata: pairs(16) })],
    ['the longest key and value', job({ metadata: { ['k'.repeat(64)]: 'v'.repeat(512) } })],
    ['odd letters in metadata', job({ metadata: { 'ключ 😀': '\u0001\n\t"\\ \u2028' } })],
    ['no metadata', job({ metadata: {} })],
    ['nulls for what may be left out', job({ metadata: null, webhook_url: null, run_at: null, expires_in: null, priority: null, endpoint: null })],
    ['NUL in the prompt', request({ messages: [{ role: 'user', content: `a${NUL}b` }] })],
    ['half a character in the prompt', request({ messages: [{ role: 'user', content: `a${LONE}b` }] })],
    ['keys of every object in the request', request({ constructor: 1, toString: 2, hasOwnProperty: 3, toJSON: 4 })],
    ['20 models', { body: { request: { models: Array(20).fill('sim/echo'), messages: [] } } }],
    ['a moment long gone', job({ run_at: 0 })],
    ['JSON by its full name', { ...job({}), headers: { 'content-type': 'application/json; charset=utf-8' } }],
  ] /* prettier-ignore */,
  )('is taken, and runs: %s', async (_name, sent) => {
    const reply = await send(sent);
    expect([reply.status, reply.text]).toEqual([202, expect.any(String)]);
    const { status } = await baton.ended(String(reply.body['id']));
    expect(status).toBe('completed');
  });
});

describe('Whatever JSON is sent', () => {
  /** Values that something trips over, and anything else. */
  const value = fc.oneof(
    fc.constantFrom(null, '', 0, -1, 0.5, 1e300, true, [], {}, [[]], [null], NUL, LONE, 'sim/echo', 'policy/x', 'policy/fixed', 'https://93.184.216.34/'),
    fc.constantFrom<object>({ a: NUL }, { [LONE]: 'b' }, { toString: 1 }, JSON.parse('{"then":1}') as object, { timeout: {} }, [{ model: 'sim/echo', overrides: null }]),
    fc.string({ unit: 'binary' }),
    fc.jsonValue({ maxDepth: 4 }),
  ); // prettier-ignore
  /** A right body of which a few fields have other values, by names that it knows or that every object has. */
  const near = (right: object, names: readonly string[]) => {
    const name = fc.constantFrom(...names, ...names, 'constructor', 'toString', 'then', 'length', '');
    return fc.dictionary(name, value, { maxKeys: 2 }).map((wrong) => ({ ...right, ...wrong }));
  };
  const requests = near(REQUEST, ['model', 'models', 'messages', 'stream']);
  const jobs = requests.chain((inner) => near({ request: inner }, ['request', 'endpoint', 'webhook_url', 'metadata', 'priority', 'expires_in', 'run_at'])); // prettier-ignore
  const steps = near(step, ['model', 'retries', 'timeout_ms', 'overrides']);
  const policies = fc
    .array(steps, { minLength: 1, maxLength: 3 })
    .chain((inner) => near({ steps: inner }, ['name', 'description', 'strategy', 'steps', 'on', 'rounds', 'max_attempts'])); // prettier-ignore
  const toRun = fc.oneof({ weight: 1, arbitrary: value }, { weight: 5, arbitrary: jobs });
  const toKeep = fc.oneof({ weight: 1, arbitrary: value }, { weight: 5, arbitrary: policies });

  it.each([
    ['POST', '/v1/jobs', toRun],
    ['PUT', '/v1/policies/x', toKeep],
  ] as const)(
    'is never a defect: %s %s',
    async (method, path, bodies) => {
      await fc.assert(
        fc.asyncProperty(bodies, async (body) => {
          const reply = await baton.request(method, path, JSON.stringify(body));
          if (reply.status >= 500) throw new Error(`${reply.status}: ${reply.text}`);
          if (reply.status >= 400)
            expect(reply.body.error).toMatchObject({ code: expect.any(String), message: expect.any(String) });
        }),
        { numRuns: 600 },
      );
      expect(Object.keys(Object.prototype)).toEqual([]);
    },
    60_000,
  );

  it('is never a defect in a path or a query either', async () => {
    const names = ['limit', 'after', 'order', 'status', 'model', 'policy', 'batch_id', 'attempts_min', 'created_after', 'metadata[k]', 'wait', 'constructor', '__proto__']; // prettier-ignore
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(NUL, '', '-1', '9'.repeat(30), UNKNOWN_JOB),
    );
    const query = fc.dictionary(fc.oneof(fc.constantFrom(...names), text), text, { maxKeys: 3 });
    const path = fc.oneof(
      fc.constantFrom('/v1/jobs', `/v1/jobs/${UNKNOWN_JOB}`, '/v1/policies', '/v1/policies/fixed/versions'),
      text.map((id) => `/v1/jobs/${encodeURIComponent(id.toWellFormed())}/attempts`),
      text.map((name) => `/v1/policies/${encodeURIComponent(name.toWellFormed())}/versions`),
    );
    await fc.assert(
      fc.asyncProperty(path, query, async (at, fields) => {
        const reply = await baton.request(
          'GET',
          `${at}?${new URLSearchParams(Object.entries(fields)).toString()}`,
        );
        if (reply.status >= 500) throw new Error(`${reply.status}: ${reply.text}`);
        if (reply.status >= 400) expect(reply.body.error).toMatchObject({ code: expect.any(String) });
      }),
      { numRuns: 500 },
    );
  }, 60_000);

  it('leaves a Baton that serves', async () => {
    const job = await baton.run(REQUEST);
    expect(job).toMatchObject({ status: 'completed', served_by: 'sim/echo' });
    expect((await baton.request('GET', '/readyz')).status).toBe(200);
  });
});
