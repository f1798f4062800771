/** What a request may name, through the front door: listed, read by id in each way that an id is written, and refused by name. */
import OpenAI from 'openai';
import { openaiClient } from './support/openai-client.js';
import { TestBaton } from './support/test-baton.js';

/** A model as it is shown, as far as tests look. */
interface ModelReply {
  id: string;
  created: number;
  owned_by: string;
  context_window: number | null;
  endpoints: string[] | null;
  input_usd_per_mtok: number | null;
  policy: { version: number; models: string[] } | null;
  [field: string]: unknown;
}

let baton: TestBaton;
let openai: OpenAI;

beforeAll(async () => {
  baton = await TestBaton.start({
    env: { OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k', NEBIUS_API_KEY: 'k', FIREWORKS_API_KEY: 'k' },
    file: {
      providers: { local: { base_url: 'http://127.0.0.1:9/v1', api_key: 'k' } },
      models: {
        'local/org/own': {
          context_window: 32_768,
          max_output_tokens: 8192,
          input_usd_per_mtok: 0.2,
          output_usd_per_mtok: 0.6,
          modalities: ['text', 'image'],
          tools: true,
          json_schema: false,
          endpoints: ['/v1/chat/completions'],
        },
        'local/half': { output_usd_per_mtok: 1 },
      },
      policies: { fixed: { description: 'For tests', steps: [{ model: 'sim/echo' }] } },
    },
  });
  openai = openaiClient(baton);
});

afterAll(() => baton.stop());

async function listed(): Promise<ModelReply[]> {
  const { status, body } = await baton.request('GET', '/v1/models');
  expect(status).toBe(200);
  return body['data'] as ModelReply[];
}

/** The error that a call of the client ends with. */
async function refusal(call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error: unknown = await call.catch((thrown: unknown) => thrown);
  if (error instanceof OpenAI.APIError) return error;
  throw new Error(`It was not refused: ${JSON.stringify(error)}`);
}

describe('the list of models', () => {
  it('has the models of each provider that is switched on, and of no other', async () => {
    const models = await listed();
    const ids = models.map(({ id }) => id);
    for (const id of [
      'anthropic/claude-haiku-4-5',
      'fireworks/accounts/fireworks/models/gpt-oss-20b',
      'local/half',
      'local/org/own',
      'nebius/meta-llama/Llama-3.3-70B-Instruct',
      'openai/gpt-4o-mini',
      'policy/fixed',
      'sim/echo',
      'sim/rate-limited',
    ]) {
      expect(ids).toContain(id);
    }
    const owners = new Set(models.map((model) => model.owned_by));
    expect([...owners].sort()).toEqual([
      'anthropic',
      'baton',
      'fireworks',
      'local',
      'nebius',
      'openai',
      'sim',
    ]);
    for (const { id, owned_by: owner } of models) {
      expect(id.split('/')[0]).toBe(owner === 'baton' ? 'policy' : owner);
    }
  });

  it('has each of them once, in the order of ids, the same each time', async () => {
    const ids = (await listed()).map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort());
    expect((await listed()).map(({ id }) => id)).toEqual(ids);
  });

  it('names nothing that the price list has only as the beginning of names, or that none of our endpoints serves', async () => {
    const ids = (await listed()).map(({ id }) => id);
    expect(ids.filter((id) => /-$|whisper|realtime|gpt-image-1/.test(id))).toEqual([]);
    for (const id of ids) {
      expect((await baton.request('GET', `/v1/models/${encodeURIComponent(id)}`)).body).toMatchObject({ id });
    }
  });

  it('follows the policies, and tells what their steps name', async () => {
    const named = async () => (await listed()).find(({ id }) => id === 'policy/passing') ?? null;
    expect(await named()).toBeNull();
    const steps = [{ model: 'sim/fail' }, { model: 'policy/fixed' }];
    await baton.request('PUT', '/v1/policies/passing', { steps });
    const made = (await baton.request('PUT', '/v1/policies/passing', { steps })).body;
    expect(await named()).toMatchObject({
      object: 'model',
      owned_by: 'baton',
      created: made['created_at'],
      policy: { version: 2, description: null, models: ['sim/fail', 'policy/fixed'] },
    });
    await baton.request('DELETE', '/v1/policies/passing');
    expect(await named()).toBeNull();
  });

  it('has all policies, however many there are', async () => {
    const names = Array.from({ length: 510 }, (_, index) => `many-${index}`);
    for (let at = 0; at < names.length; at += 30) {
      const some = names.slice(at, at + 30).map(async (name) => {
        const reply = await baton.request('PUT', `/v1/policies/${name}`, { steps: [{ model: 'sim/echo' }] });
        expect(reply.status).toBe(200);
      });
      await Promise.all(some);
    }
    const found = (await listed()).filter(({ id }) => id.startsWith('policy/many-'));
    expect(found).toHaveLength(names.length);
  });
});

describe('what is told of a model', () => {
  it('is what the operator says, else the price list, else null', async () => {
    const models = new Map((await listed()).map((model) => [model.id, model]));
    expect(models.get('local/org/own')).toEqual({
      id: 'local/org/own',
      object: 'model',
      created: 0,
      owned_by: 'local',
      context_window: 32_768,
      max_output_tokens: 8192,
      input_usd_per_mtok: 0.2,
      output_usd_per_mtok: 0.6,
      cached_input_usd_per_mtok: 0.2,
      cache_write_usd_per_mtok: 0.2,
      modalities: ['text', 'image'],
      tools: true,
      json_schema: false,
      endpoints: ['/v1/chat/completions'],
      policy: null,
    });
    expect(models.get('openai/gpt-4o-mini')).toMatchObject({
      context_window: 128_000,
      input_usd_per_mtok: 0.15,
      output_usd_per_mtok: 0.6,
      cached_input_usd_per_mtok: 0.075,
      endpoints: ['/v1/chat/completions', '/v1/responses'],
    });
    expect(models.get('local/half')).toMatchObject({
      input_usd_per_mtok: null,
      output_usd_per_mtok: 1,
      cached_input_usd_per_mtok: null,
      tools: null,
      endpoints: null,
    });
  });

  it('is only of endpoints that the wire format of its provider has', async () => {
    const models = new Map((await listed()).map((model) => [model.id, model]));
    expect(models.get('anthropic/claude-haiku-4-5')?.endpoints).toEqual(['/v1/chat/completions']);
    expect(models.get('sim/echo')?.endpoints).toHaveLength(4);
    expect(models.get('sim/echo')?.input_usd_per_mtok).toBe(0);
  });
});

describe('a model by its id', () => {
  it.each([
    ['sim/echo', 'sim%2Fecho'],
    ['sim/echo', 'sim/echo'],
    ['policy/fixed', 'policy/fixed'],
    ['policy/fixed', 'policy%2Ffixed'],
    ['local/org/own', 'local/org/own'],
    ['local/org/own', 'local%2Forg%2Fown'],
    ['local/org/own', 'local/org%2Fown'],
    ['fireworks/accounts/fireworks/models/gpt-oss-20b', 'fireworks/accounts/fireworks/models/gpt-oss-20b'],
    ['local/a b:free@1', 'local/a%20b:free%401'],
    ['local/50%2F', 'local/50%252F'],
  ])('is %s at /v1/models/%s', async (id, path) => {
    const { status, body } = await baton.request('GET', `/v1/models/${path}`);
    expect([status, body['id']]).toEqual([200, id]);
  });

  it('is told although it is not in the list, if it could be called', async () => {
    const { status, body } = await baton.request('GET', '/v1/models/openai/gpt-99-turbo');
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: 'openai/gpt-99-turbo', context_window: null, input_usd_per_mtok: null });
    expect((await listed()).map(({ id }) => id)).not.toContain('openai/gpt-99-turbo');
  });

  it.each([
    ['mistral/mistral-small-latest', 'unknown_model', 'MISTRAL_API_KEY'],
    ['openia/gpt-4o-mini', 'unknown_model', 'openai/gpt-4o-mini'],
    ['sim/ecko', 'unknown_model', 'sim/echo'],
    ['gpt-4o-mini', 'unknown_model', 'provider/model'],
    ['policy/nobodys', 'unknown_policy', 'nobodys'],
    ['policy/', 'unknown_policy', 'policy'],
    ['/', 'unknown_model', 'provider/model'],
    ['\u0000', 'unknown_model', '256'],
  ])('is refused if it is %j: %s', async (id, code, hint) => {
    const { status, body } = await baton.request('GET', `/v1/models/${encodeURIComponent(id)}`);
    expect(status).toBe(404);
    expect(body.error).toMatchObject({ code, type: 'not_found_error', param: 'model' });
    expect(body.error?.['message']).toContain(hint);
  });

  it('cannot be deleted or written, however it is written', async () => {
    for (const path of ['sim%2Fecho', 'sim/echo', 'fireworks/accounts/fireworks/models/gpt-oss-20b']) {
      for (const method of ['DELETE', 'PUT', 'POST']) {
        const { status, headers, body } = await baton.request(method, `/v1/models/${path}`);
        expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD']);
        expect(body.error).toMatchObject({ code: 'method_not_allowed', type: 'invalid_request_error' });
      }
    }
  });

  it('is told to nobody without the key, nor is the list', async () => {
    for (const path of ['', '/sim/echo', '/sim%2Fecho', '/nope/x']) {
      const { status } = await baton.request('GET', `/v1/models${path}`, undefined, { authorization: '' });
      expect(status).toBe(401);
    }
  });

  it('is not at a path without a name', async () => {
    const { status, body } = await baton.request('GET', '/v1/models/');
    expect(status).toBe(404);
    expect(body.error).toMatchObject({ code: 'route_not_found' });
    expect(body.error?.['message']).toContain('/v1/models?');
  });
});

describe("OpenAI's own client", () => {
  it('lists the models, as a page and one by one', async () => {
    const page = await openai.models.list();
    expect(page.object).toBe('list');
    expect(page.hasNextPage()).toBe(false);
    const ids: string[] = [];
    for await (const model of openai.models.list()) {
      expect(model.object).toBe('model');
      ids.push(model.id);
    }
    expect(ids).toEqual(page.data.map(({ id }) => id));
    expect(ids).toContain('sim/echo');
  });

  it('reads a model whose name has slashes', async () => {
    for (const id of ['sim/echo', 'policy/fixed', 'fireworks/accounts/fireworks/models/gpt-oss-20b']) {
      expect(await openai.models.retrieve(id)).toMatchObject({ id, object: 'model' });
    }
  });

  it('meets its own errors', async () => {
    const unknown = await refusal(openai.models.retrieve('nope/x'));
    expect(unknown).toBeInstanceOf(OpenAI.NotFoundError);
    expect(unknown).toMatchObject({ status: 404, code: 'unknown_model', param: 'model' });
    expect(unknown.requestID).toMatch(/^req_/);
    expect(await refusal(openai.models.retrieve('policy/nope'))).toBeInstanceOf(OpenAI.NotFoundError);
    expect(await refusal(openai.models.delete('sim/echo'))).toMatchObject({
      status: 405,
      code: 'method_not_allowed',
    });
    const stranger = openaiClient({ url: baton.url, key: 'wrong' });
    expect(await refusal(stranger.models.list())).toBeInstanceOf(OpenAI.AuthenticationError);
  });
});
