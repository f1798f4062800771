import { checkLine, isReject, type LineRules } from './check-line.js';

const RULES: LineRules = { endpoint: '/v1/chat/completions', model: null };
const GOOD = { custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: { model: 'sim/echo' } };

function check(bytes: Buffer | string | object | null, rules = RULES): ReturnType<typeof checkLine> {
  const text =
    typeof bytes === 'string' || bytes === null || Buffer.isBuffer(bytes) ? bytes : JSON.stringify(bytes);
  return checkLine({ line: 7, bytes: typeof text === 'string' ? Buffer.from(text) : text, end: 0 }, rules);
}

function bodyOf({ body }: { body: object }): Buffer {
  return Buffer.from(JSON.stringify(body));
}

describe('a line of a batch', () => {
  it('is right', () => {
    expect(check(GOOD)).toEqual({
      line: 7,
      customId: 'a',
      names: { model: 'sim/echo' },
      request: bodyOf(GOOD),
    });
    const wide = { ...GOOD, body: { models: ['sim/fail'], stream: false, user: 'ü' } };
    expect(check(wide)).toMatchObject({
      names: { models: ['sim/fail'], stream: false },
      request: bodyOf(wide),
    });
    expect(check({ ...GOOD, body: { models: ['sim/fail', 'sim/echo'] } })).not.toHaveProperty('code');
    expect(check({ ...GOOD, something: 'else' })).not.toHaveProperty('code');
  });

  it('has the model of its batch if it names none', () => {
    const rules = { ...RULES, model: 'policy/p' };
    expect(check({ ...GOOD, body: { user: 'u' } }, rules)).toMatchObject({
      names: { model: 'policy/p' },
      request: bodyOf({ body: { user: 'u', model: 'policy/p' } }),
    });
    expect(check({ ...GOOD, body: { model: null } }, rules)).toMatchObject({ names: { model: 'policy/p' } });
    expect(check(GOOD, rules)).toMatchObject({ names: { model: 'sim/echo' }, request: bodyOf(GOOD) });
  });

  it.each(['', ' ', '\t \r'])('is nothing if it is blank: %j', (text) => {
    expect(check(text)).toBeNull();
  });

  const deep = `{"custom_id":"a","body":${'['.repeat(70)}${']'.repeat(70)}}`;
  it.each<[string, string | null, string | null, Buffer | string | object | null]>([
    ['line_too_large', null, null, null],
    ['invalid_utf8', null, null, Buffer.from([0x7b, 0xff, 0x7d])],
    ['invalid_json', null, null, '{"custom_id":"a"'],
    ['invalid_json', null, null, '[1]'],
    ['invalid_json', null, null, 'null'],
    ['json_too_deep', null, null, deep],
    ['forbidden_key', null, null, '{"__proto__":{}}'],
    ['missing_custom_id', null, 'custom_id', { ...GOOD, custom_id: undefined }],
    ['missing_custom_id', null, 'custom_id', { ...GOOD, custom_id: null }],
    ['invalid_custom_id', null, 'custom_id', { ...GOOD, custom_id: 7 }],
    ['invalid_custom_id', null, 'custom_id', { ...GOOD, custom_id: '' }],
    ['invalid_custom_id', null, 'custom_id', { ...GOOD, custom_id: 'x'.repeat(65) }],
    ['invalid_custom_id', null, 'custom_id', { ...GOOD, custom_id: 'a\u0000b' }],
    ['invalid_method', 'a', 'method', { ...GOOD, method: 'GET' }],
    ['invalid_method', 'a', 'method', { ...GOOD, method: undefined }],
    ['url_mismatch', 'a', 'url', { ...GOOD, url: '/v1/embeddings' }],
    ['url_mismatch', 'a', 'url', { ...GOOD, url: 5 }],
    ['invalid_body', 'a', 'body', { ...GOOD, body: undefined }],
    ['invalid_body', 'a', 'body', { ...GOOD, body: [] }],
    ['missing_model', 'a', 'body.model', { ...GOOD, body: {} }],
  ])('is turned away: %s, custom_id %s, param %s', (code, customId, param, bytes) => {
    const line = check(bytes);
    expect(line).toMatchObject({ line: 7, code, customId, param });
    expect(line !== null && isReject(line) && line.message).toMatch(/^[A-Za-z][^\n]{10,200}\.$/);
  });

  it('may have a custom_id of 64 characters', () => {
    expect(check({ ...GOOD, custom_id: 'x'.repeat(64) })).not.toHaveProperty('code');
  });
});
