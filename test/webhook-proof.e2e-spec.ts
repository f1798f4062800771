/** Whether what is sent verifies with the libraries that receivers use, while a secret is rotated too. */
import type OpenAI from 'openai';
import { Webhook as Standard } from 'standardwebhooks';
import { Webhook as Svix } from 'svix';
import type { WebhookCreateParams } from 'openai/resources/webhooks';
import { openaiClient } from './support/openai-client.js';
import { TEST_KEY, TestBaton } from './support/test-baton.js';
import { type ReceivedWebhook, WebhookReceiver } from './support/webhook-receiver.js';

let baton: TestBaton;
let receiver: WebhookReceiver;
let openai: OpenAI;

beforeAll(async () => {
  receiver = await WebhookReceiver.start();
  baton = await TestBaton.start();
  openai = openaiClient({ url: baton.baton.url, key: TEST_KEY });
});

afterAll(async () => {
  await baton.stop();
  await receiver.close();
});

/** Whether each of the three libraries takes the webhook with this secret. */
async function verdicts({ body, headers }: ReceivedWebhook, secret: string): Promise<boolean[]> {
  const verify = [
    () => openai.webhooks.unwrap(body.toString(), headers, secret),
    () => new Standard(secret).verify(body, headers),
    () => new Svix(secret).verify(body, headers),
  ];
  return Promise.all(
    verify.map(async (call) => {
      try {
        expect(await call()).toEqual(JSON.parse(body.toString()));
        return true;
      } catch {
        return false;
      }
    }),
  );
}

const ALL = [true, true, true];
const NONE = [false, false, false];

/** Runs a job, and gives what a path was told of it. */
async function toldTo(
  path: string,
  metadata: Record<string, string> = {},
  content = '',
): Promise<ReceivedWebhook> {
  const before = receiver.received(path).length;
  const request = { model: 'sim/echo', messages: [{ role: 'user', content }] };
  await baton.run(request, { metadata, webhook_url: receiver.url('/own') });
  const told = (await receiver.waitFor(path, before + 1)).at(-1);
  if (!told) throw new Error(`${path} was told nothing`);
  return told;
}

async function register(path: string): Promise<OpenAI.Webhooks.WebhookEndpointWithSecret> {
  const params = {
    name: path,
    url: receiver.url(path),
    event_types: ['job.completed'],
    include_result: true,
  };
  return openai.webhooks.create(params as unknown as WebhookCreateParams);
}

async function defaultSecret(): Promise<string> {
  return String((await baton.request('GET', '/v1/webhook_secret')).body['secret']);
}

/** Every character of the first planes that JSON and PostgreSQL can hold, a thousand in each text. */
function* everyCharacter(): Generator<string> {
  let text = '';
  for (let code = 1; code <= 0x2ffff; code += code < 0x3000 ? 1 : 257) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    text += String.fromCodePoint(code);
    if (text.length >= 1000) {
      yield text;
      text = '';
    }
  }
  yield text;
}

it('verifies with each of them, whatever is in it', async () => {
  const { signing_secret: secret } = await register('/any');
  for (const text of everyCharacter()) {
    const told = await toldTo('/any', { text: text.slice(0, 250) }, text);
    expect(await verdicts(told, secret)).toEqual(ALL);
    const own = receiver.received('/own').at(-1);
    if (own) expect(await verdicts(own, await defaultSecret())).toEqual(ALL);
  }
});

it('does not verify when a byte is changed, or with the secret of another', async () => {
  const { signing_secret: secret } = await register('/changed');
  const { signing_secret: other } = await register('/other');
  const told = await toldTo('/changed');
  const body = Buffer.from(told.body);
  body[20] = (body[20] ?? 0) ^ 1;
  expect(await verdicts({ ...told, body }, secret)).toEqual(NONE);
  expect(await verdicts(told, other)).toEqual(NONE);
  expect(await verdicts(told, secret)).toEqual(ALL);
});

describe('while a secret is rotated', () => {
  it('verifies with the new one and, for a day, with the one before', async () => {
    const { id, signing_secret: old } = await register('/rotated');
    const rotated = await openai.webhooks.rotateSecret(id);
    expect(rotated).toMatchObject({ id, signing_secret_hint: `whsec_…${rotated.signing_secret.slice(-4)}` });
    expect(rotated.signing_secret).not.toBe(old);
    const told = await toldTo('/rotated');
    expect(told.headers['webhook-signature']?.split(' ')).toHaveLength(2);
    expect(await verdicts(told, old)).toEqual(ALL);
    expect(await verdicts(told, rotated.signing_secret)).toEqual(ALL);
  });

  it('lets the one before go at once if that is asked for', async () => {
    const { id, signing_secret: first } = await register('/at-once');
    const second = await openai.webhooks.rotateSecret(id, { keep_old_secret_active_for_24_hours: true });
    const third = await openai.webhooks.rotateSecret(id, { keep_old_secret_active_for_24_hours: false });
    const told = await toldTo('/at-once');
    expect(await verdicts(told, first)).toEqual(NONE);
    expect(await verdicts(told, second.signing_secret)).toEqual(NONE);
    expect(await verdicts(told, third.signing_secret)).toEqual(ALL);
  });

  it('keeps three before it at most, for as long as was asked', async () => {
    const { id, signing_secret: first } = await register('/often');
    const secrets = [first];
    const rotate = (graceSeconds: number) =>
      baton.request('POST', `/v1/webhook_endpoints/${id}/rotate_secret`, { grace_seconds: graceSeconds });
    for (let i = 0; i < 4; i += 1) secrets.push(String((await rotate(604_800)).body['signing_secret']));
    const told = await toldTo('/often');
    const taken = await Promise.all(secrets.map(async (secret) => (await verdicts(told, secret))[0]));
    expect(taken).toEqual([false, true, true, true, true]);
    secrets.push(String((await rotate(1)).body['signing_secret']));
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await verdicts(await toldTo('/often'), secrets.at(-2) ?? '')).toEqual(NONE);
    expect((await rotate(604_801)).status).toBe(400);
    expect((await rotate(-1)).status).toBe(400);
  });

  it("does so with the project's default too", async () => {
    const old = await defaultSecret();
    const { status, body } = await baton.request('POST', '/v1/webhook_secret/rotate');
    expect([status, body]).toMatchObject([200, { object: 'webhook_secret' }]);
    expect(await defaultSecret()).toBe(body['secret']);
    const told = await toldTo('/own');
    expect(await verdicts(told, old)).toEqual(ALL);
    expect(await verdicts(told, String(body['secret']))).toEqual(ALL);
    await baton.request('POST', '/v1/webhook_secret/rotate', { grace_seconds: 0 });
    expect(await verdicts(await toldTo('/own'), String(body['secret']))).toEqual(NONE);
  });

  it('signs with one that is known to all, however many rotate at once', async () => {
    const { id } = await register('/at-a-time');
    const rotated = await Promise.all(Array.from({ length: 4 }, () => openai.webhooks.rotateSecret(id)));
    const told = await toldTo('/at-a-time');
    const taken = await Promise.all(
      rotated.map(async (each) => (await verdicts(told, each.signing_secret))[1]),
    );
    expect(taken).toEqual([true, true, true, true]);
  });
});
