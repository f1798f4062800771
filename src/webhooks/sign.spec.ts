import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { newSecret, sign } from './sign.js';

const ID = 'evt_01J00000000000000000000000';

function nowS(): number {
  return Math.floor(Date.now() / 1000);
}

describe('sign', () => {
  it.each([
    ['plain ASCII', '{"a":1}'],
    [
      'every control character, escaped and not',
      JSON.stringify({ text: '\u0000\u0007\b\t\n\u000b\f\r\u001b\u007f' }) + '\r\n\t',
    ],
    ['two, three and four bytes a letter', '{"text":"é ß Ж 中文 한 😀 👩‍👩‍👧 𝒳"}'],
    ['line and paragraph separators, a byte order mark', '{"text":"\u2028\u2029\ufeff"}'],
    ['an escaped lone surrogate', JSON.stringify({ text: '\ud800' })],
    ['dots, commas and spaces as in the signed content itself', '{"text":"evt_1.2.3, v1,abc= v1,def="}'],
    ['quotes and backslashes', JSON.stringify({ text: '"\\\'`${}</script>' })],
    ['nothing', ''],
  ])('is verified by standardwebhooks for a body of %s', (_what, text) => {
    const secret = newSecret();
    const body = Buffer.from(text);
    const headers = sign(ID, nowS(), body, [secret]);
    expect(() => new Webhook(secret).verify(body, { ...headers }, { jsonParse: false })).not.toThrow();
  });

  it('is verified for any text', () => {
    const secret = newSecret();
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const headers = sign(ID, nowS(), Buffer.from(text), [secret]);
        new Webhook(secret).verify(Buffer.from(text), { ...headers }, { jsonParse: false });
      }),
    );
  });

  it('gives the signature of the example in the specification', () => {
    const headers = sign('msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, Buffer.from('{"test": 2432232314}'), [
      'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    ]);
    expect(headers).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('tells apart bodies that are the same only after broken UTF-8 was replaced', () => {
    const secret = newSecret();
    const one = sign(ID, 1, Buffer.from([0x61, 0xff]), [secret]);
    const other = sign(ID, 1, Buffer.from([0x61, 0xfe]), [secret]);
    expect(one['webhook-signature']).not.toBe(other['webhook-signature']);
  });

  it('signs with each secret while one is rotated, and either verifies', () => {
    const secrets = [newSecret(), newSecret()];
    const body = Buffer.from('{}');
    const headers = { ...sign(ID, nowS(), body, secrets) };
    expect(headers['webhook-signature'].split(' ')).toHaveLength(2);
    for (const secret of secrets) expect(new Webhook(secret).verify(body, headers)).toEqual({});
    expect(() => new Webhook(newSecret()).verify(body, headers)).toThrow('No matching signature');
  });

  it.each([[[]], [['']], [['whsec_']], [['abc']], [['whsec_AAAA', 'AAAA']]])(
    'refuses the secrets %j',
    (secrets) => {
      expect(() => sign(ID, 1, Buffer.from('{}'), secrets)).toThrow(/secret/);
    },
  );
});

describe('newSecret', () => {
  it('is whsec_ and 32 random bytes', () => {
    const secrets = Array.from({ length: 100 }, newSecret);
    expect(new Set(secrets).size).toBe(100);
    for (const secret of secrets)
      expect(Buffer.from(secret.replace('whsec_', ''), 'base64')).toHaveLength(32);
  });
});
