/** The built app's description of itself against what it really does; its health and its counters. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { BatchClient, chat, toJsonl } from '../support/batch-client.js';
import type { Reply } from '../support/baton-client.js';
import { BatonProcess, cleanUpBatons, newFolder } from '../support/baton-process.js';
import { eventually, killOwners, Owner } from '../support/embedded-postgres-owner.js';
import { type RunningRedis, startRedis } from '../support/redis-server.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

jest.setTimeout(120_000);

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface Operation {
  readonly security?: readonly object[];
  readonly responses: Readonly<Record<string, { content?: Record<string, { schema: { $ref?: string } }> }>>;
}

interface Description {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly security: readonly object[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
}

/** Routes that are there for a person's browser, and the description itself. */
const PAGES = /^\/(docs|openapi\.json)/;

/** Routes whose replies are no JSON. */
const STREAMS = [
  'GET /metrics',
  'GET /v1/files/{id}/content',
  'GET /v1/batches/{id}/results',
  'GET /v1/batches/{id}/events',
];

let database: TestDatabase;
let baton: BatonProcess;
let api: Description;

beforeAll(async () => {
  database = await createTestDatabase();
  baton = await BatonProcess.start({
    env: { DATABASE_URL: database.url, LOG_LEVEL: 'debug', EGRESS_ALLOW_CIDRS: '127.0.0.0/8' },
    file: { policies: { fixed: { steps: [{ model: 'sim/echo' }] } } },
  });
  api = (await (await fetch(`${baton.url}/openapi.json`)).json()) as Description;
});
afterAll(async () => {
  await cleanUpBatons();
  await database.drop();
});

function operations(): { route: string; path: string; operation: Operation }[] {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      return { route: `${method.toUpperCase()} ${path}`, path, operation };
    }),
  );
}

describe('the description of the API', () => {
  it('is valid OpenAPI 3.1', async () => {
    expect(api.openapi).toBe('3.1.0');
    expect(
      await new Validator().validate(structuredClone(api) as unknown as Record<string, unknown>),
    ).toEqual({
      valid: true,
    });
  });

  it('has every route that the app has, and no other', () => {
    const mapped = [...baton.stderr.matchAll(/Mapped \{([^,]+), ([A-Z]+)\} route/g)]
      .map(([, path = '', method = '']) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
      .filter((route) => !PAGES.test(route.split(' ')[1] ?? ''));
    expect(mapped).toContain('POST /v1/jobs/{id}/cancel');
    expect(
      operations()
        .map(({ route }) => route)
        .sort(),
    ).toEqual([...mapped].sort());
  });

  it('says of each path the methods that the server says', async () => {
    for (const [path, methods] of Object.entries(api.paths)) {
      const refusal = await baton.api.request('PATCH', path.replace(/\{\w+\}/g, '1'));
      expect(refusal.status).toBe(405);
      const allowed = (refusal.headers.get('allow') ?? '').split(', ').filter((method) => method !== 'HEAD');
      expect(allowed).toEqual(
        Object.keys(methods)
          .map((method) => method.toUpperCase())
          .sort(),
      );
    }
  });

  it('says which routes need a key, and they do', async () => {
    expect(api.components.securitySchemes['bearer']).toMatchObject({ type: 'http', scheme: 'bearer' });
    expect(JSON.stringify(api.components.securitySchemes)).not.toContain('JWT');
    expect(api.security).toEqual([{ bearer: [] }]);
    for (const { route, path, operation } of operations()) {
      const isPublic = operation.security?.some((each) => Object.keys(each).length === 0) ?? false;
      expect([route, isPublic]).toEqual([route, !path.startsWith('/v1/')]);
      const [method = ''] = route.split(' ');
      const { status } = await fetch(baton.url + path.replace(/\{\w+\}/g, '1'), { method });
      expect([route, status]).toEqual([route, isPublic ? 200 : 401]);
    }
  });

  it('says that the bodies of a job may be gone', () => {
    const { properties } = api.components.schemas['JobDto'] ?? {};
    for (const field of ['request', 'request_sha256', 'response', 'response_sha256']) {
      expect([field, JSON.stringify(properties?.[field])]).toEqual([
        field,
        expect.stringContaining('"null"'),
      ]);
    }
  });

  it('describes each field of a submission', () => {
    const { SubmitJobDto } = api.components.schemas;
    expect(Object.keys(SubmitJobDto?.properties ?? {})).toEqual([
      'request',
      'endpoint',
      'webhook_url',
      'metadata',
      'store',
      'priority',
      'expires_in',
      'run_at',
    ]);
    expect(SubmitJobDto?.required).toEqual(['request']);
    for (const [name, field] of Object.entries(SubmitJobDto?.properties ?? {})) {
      expect([name, field.description]).toEqual([name, expect.stringMatching(/\w{3}/)]);
    }
  });

  it('has a schema for each reply, and for errors', () => {
    for (const { route, operation } of operations()) {
      const good = Object.keys(operation.responses).filter((status) => status.startsWith('2'));
      expect([route, good.length]).not.toEqual([route, 0]);
      if (!STREAMS.includes(route)) {
        for (const status of good)
          expect([route, status, schemaOf(operation, status)]).not.toContain(undefined);
      }
      expect([route, schemaOf(operation, 'default')]).toEqual([
        route,
        '#/components/schemas/ErrorEnvelopeDto',
      ]);
    }
  });

  it('is what a person can read at /docs', async () => {
    const page = await fetch(`${baton.url}/docs`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    const html = await page.text();
    expect(html).toContain('<title>Baton API</title>');
    const files = [...html.matchAll(/(?:src|href)="(\.\/docs\/[^"]+)"/g)].map(([, file = '']) => file);
    expect(files.length).toBeGreaterThan(2);
    for (const file of files) expect((await fetch(`${baton.url}/${file}`)).status).toBe(200);
  });
});

function schemaOf(operation: Operation, status: string): string | undefined {
  return operation.responses[status]?.content?.['application/json']?.schema.$ref;
}

describe('real replies', () => {
  /** The description as one schema in which no object has a field that is not described. */
  function validator(route: string, status: number): ValidateFunction {
    const closed = JSON.parse(
      JSON.stringify(api, (_key, value: unknown) =>
        isObjectSchema(value) ? { ...value, additionalProperties: false } : value,
      ),
    ) as Description;
    const ajv = new Ajv2020({ strict: false, allErrors: true }).addSchema(closed, 'api');
    const found = operations().find((each) => each.route === route);
    if (!found) throw new Error(`${route} is not described`);
    const $ref = schemaOf(found.operation, status < 400 || status === 503 ? String(status) : 'default');
    if ($ref === undefined) throw new Error(`${route} has no schema for ${status}`);
    return ajv.compile({ $ref: `api${$ref}` });
  }

  function expectDescribed(route: string, reply: Reply, status: number): void {
    expect([route, reply.status, reply.text]).toEqual([route, status, reply.text]);
    const validate = validator(route, status);
    validate(reply.body);
    expect([route, validate.errors]).toEqual([route, null]);
  }

  it.each<[string, string, number, unknown?]>([
    ['GET /livez', '/livez', 200],
    ['GET /readyz', '/readyz', 200],
    ['GET /v1/webhook_secret', '/v1/webhook_secret', 200],
    ['POST /v1/webhook_secret/rotate', '/v1/webhook_secret/rotate', 200, { grace_seconds: 60 }],
    ['GET /v1/webhook_event_types', '/v1/webhook_event_types', 200],
    [
      'PUT /v1/policies/{name}',
      '/v1/policies/p',
      200,
      { steps: [{ model: 'sim/echo' }], on: { timeout: 'next' } },
    ],
    ['GET /v1/policies/{name}', '/v1/policies/p', 200],
    ['GET /v1/policies/{name}', '/v1/policies/fixed', 200],
    ['GET /v1/policies/{name}/versions', '/v1/policies/p/versions', 200],
    ['POST /v1/policies/{name}/versions/{version}/restore', '/v1/policies/p/versions/1/restore', 200],
    ['GET /v1/policies/{name}/versions/{version}', '/v1/policies/p/versions/1', 200],
    [
      'PUT /v1/policies/{name}',
      '/v1/policies/p',
      200,
      {
        strategy: 'weighted',
        steps: [{ model: 'policy/fixed', weight: 2 }],
        expect: { finish_reason: ['stop'], min_length: 1, pattern: '.' },
      },
    ],
    ['GET /v1/policies/{name}/diff', '/v1/policies/p/diff?from=1', 200],
    [
      'POST /v1/policies/{name}/dry_run',
      '/v1/policies/p/dry_run',
      200,
      { request: {}, outcomes: ['locally_limited:1', 'timeout', 'ok'] },
    ],
    ['GET /v1/policies/{name}/stats', '/v1/policies/p/stats', 200],
    ['GET /v1/policies', '/v1/policies', 200],
    ['GET /v1/models', '/v1/models', 200],
    ['GET /v1/models/{model}', '/v1/models/policy/p', 200],
    ['GET /v1/models/{model}', '/v1/models/sim%2Fecho', 200],
    ['GET /v1/models/{model}', '/v1/models/nope/x', 404],
    [
      'POST /v1/jobs',
      '/v1/jobs',
      202,
      { request: { model: 'policy/p', messages: [] }, metadata: { a: 'b' } },
    ],
    ['DELETE /v1/policies/{name}', '/v1/policies/p', 200],
    ['GET /v1/policies/{name}', '/v1/policies/p', 404],
    ['PUT /v1/policies/{name}', '/v1/policies/fixed', 409, { steps: [{ model: 'sim/echo' }] }],
    ['POST /v1/jobs', '/v1/jobs', 400, { request: { model: 'sim/echo' }, metadata: { a: 1 } }],
    ['POST /v1/jobs', '/v1/jobs', 404, { request: { model: 'nope/a', messages: [] } }],
    ['GET /v1/jobs/{id}', '/v1/jobs/job_1', 404],
  ])('of %s (%s, %d) are as described', async (route, path, status, ...[body]) => {
    const [method = ''] = route.split(' ');
    expectDescribed(route, await baton.api.request(method, path, body), status);
  });

  it('of jobs, whatever became of them, are as described', async () => {
    const submit = (request: object, envelope: object = {}): Promise<Reply> =>
      baton.api.request(
        'POST',
        '/v1/jobs',
        { request: { messages: [{ role: 'user', content: 'Hi' }], ...request }, ...envelope },
        { prefer: 'wait=20' },
      );
    const jobs = [
      await submit({ models: ['sim/fail', 'sim/echo'] }, { webhook_url: `${baton.url}/nowhere` }),
      await submit({ model: 'sim/fail' }, { expires_in: 1 }),
      await submit({ model: 'policy/fixed' }),
    ];
    for (const reply of jobs) {
      const { id } = reply.body as { id?: string };
      expectDescribed('POST /v1/jobs', reply, 200);
      expectDescribed('GET /v1/jobs/{id}', await baton.api.request('GET', `/v1/jobs/${id}`), 200);
      expectDescribed(
        'GET /v1/jobs/{id}/attempts',
        await baton.api.request('GET', `/v1/jobs/${id}/attempts`),
        200,
      );
      expectDescribed(
        'GET /v1/jobs/{id}/deliveries',
        await baton.api.request('GET', `/v1/jobs/${id}/deliveries`),
        200,
      );
      expectDescribed(
        'POST /v1/jobs/{id}/cancel',
        await baton.api.request('POST', `/v1/jobs/${id}/cancel`),
        409,
      );
    }
    expectDescribed(
      'GET /v1/policies/{name}/stats',
      await baton.api.request('GET', '/v1/policies/fixed/stats'),
      200,
    );
    const later = await baton.api.submit(
      { model: 'sim/echo' },
      { run_at: Math.floor(Date.now() / 1000) + 3600 },
    );
    expectDescribed(
      'POST /v1/jobs/{id}/cancel',
      await baton.api.request('POST', `/v1/jobs/${later.id}/cancel`),
      200,
    );
    expectDescribed('DELETE /v1/jobs/{id}', await baton.api.request('DELETE', `/v1/jobs/${later.id}`), 200);
    const slow = await baton.api.submit({ model: 'sim/slow' });
    expectDescribed('DELETE /v1/jobs/{id}', await baton.api.request('DELETE', `/v1/jobs/${slow.id}`), 409);
    await baton.api.until(slow.id, (job) => job.attempts.length > 0);
    expectDescribed('GET /v1/jobs/{id}', await baton.api.request('GET', `/v1/jobs/${slow.id}`), 200);
    const list = await baton.api.request('GET', '/v1/jobs');
    expect((list.body['data'] as unknown[]).length).toBeGreaterThan(4);
    expectDescribed('GET /v1/jobs', list, 200);
  });

  it('of files and batches, whatever became of them, are as described', async () => {
    const client = new BatchClient(baton.api);
    const fileId = await client.upload(
      toJsonl([chat('a', 'sim/echo'), chat('b', 'sim/fail'), chat('a', 'x/y')]),
    );
    const make = (fields: object): Promise<Reply> =>
      baton.api.request('POST', '/v1/batches', {
        input_file_id: fileId,
        endpoint: '/v1/chat/completions',
        completion_window: '1h',
        ...fields,
      });
    const post = (id: string, deed: string): Promise<Reply> =>
      baton.api.request('POST', `/v1/batches/${id}/${deed}`);
    const ran = await make({
      accept_invalid_lines: true,
      max_cost_usd: 1,
      max_error_rate: 1,
      model: 'sim/echo',
    });
    const failed = await make({ webhook_url: `${baton.url}/nowhere`, metadata: { a: 'b' }, dedupe: true });
    expectDescribed('POST /v1/batches', ran, 200);
    expectDescribed('POST /v1/batches', failed, 200);
    for (const deed of ['pause', 'resume', 'cancel']) {
      const { body } = await make({ input_file_id: undefined, requests: [chat('a', 'sim/slow')] });
      expectDescribed(`POST /v1/batches/{id}/${deed}`, await post(String(body['id']), deed), 200);
    }
    for (const { body } of [ran, failed]) {
      const { id, status } = await client.ended(String(body['id']));
      expectDescribed('GET /v1/batches/{id}', await baton.api.request('GET', `/v1/batches/${id}`), 200);
      expectDescribed('POST /v1/batches/{id}/cancel', await post(id, 'cancel'), 409);
      const retry = await post(id, 'retry_failed');
      expectDescribed('POST /v1/batches/{id}/retry_failed', retry, status === 'completed' ? 200 : 409);
    }
    const told = await baton.api.request('GET', `/v1/batches/${String(failed.body['id'])}/deliveries`);
    expectDescribed('GET /v1/batches/{id}/deliveries', told, 200);
    expectDescribed('GET /v1/batches', await baton.api.request('GET', '/v1/batches'), 200);
    expectDescribed('GET /v1/files', await baton.api.request('GET', '/v1/files'), 200);
    expectDescribed('GET /v1/files/{id}', await baton.api.request('GET', `/v1/files/${fileId}`), 200);
    expectDescribed('DELETE /v1/files/{id}', await baton.api.request('DELETE', `/v1/files/${fileId}`), 200);
  });
  it('of webhook endpoints are as described', async () => {
    const root = '/v1/webhook_endpoints';
    const url = 'https://93.184.216.34/hook';
    const make = await baton.api.request('POST', root, { name: 'n', url, event_types: ['job.failed'] });
    expectDescribed(`POST ${root}`, make, 200);
    const id = String(make.body['id']);
    const post = async (deed: string, status: number, body: object = {}): Promise<void> => {
      const reply = await baton.api.request('POST', `${root}/${id}/${deed}`, body);
      expectDescribed(`POST ${root}/{id}/${deed}`, reply, status);
    };
    expectDescribed(
      `POST ${root}/{id}`,
      await baton.api.request('POST', `${root}/${id}`, { name: 'm' }),
      200,
    );
    await post('rotate_secret', 200);
    await post('disable', 200);
    await post('recover', 409, { since: 0 });
    await post('enable', 200);
    await post('recover', 200, { since: 0 });
    const wrong = { name: 'n', url: 'https://10.0.0.1/', event_types: ['job.failed'] };
    expectDescribed(`POST ${root}`, await baton.api.request('POST', root, wrong), 400);
    expectDescribed(`GET ${root}`, await baton.api.request('GET', root), 200);
    expectDescribed(`GET ${root}/{id}`, await baton.api.request('GET', `${root}/${id}`), 200);
    const deliveries = await baton.api.request('GET', `${root}/${id}/deliveries`);
    expectDescribed(`GET ${root}/{id}/deliveries`, deliveries, 200);
    const resend = await baton.api.request('POST', '/v1/webhook_deliveries/whd_x/resend');
    expectDescribed('POST /v1/webhook_deliveries/{id}/resend', resend, 404);
    expectDescribed(`DELETE ${root}/{id}`, await baton.api.request('DELETE', `${root}/${id}`), 200);
  });
});

function isObjectSchema(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    value.type === 'object' &&
    'properties' in value &&
    !('additionalProperties' in value)
  );
}

test('the counters of /metrics move with a job', async () => {
  const names = [
    'baton_jobs_submitted_total{endpoint="/v1/chat/completions"}',
    'baton_jobs_ended_total{status="completed"}',
    'baton_job_duration_seconds_count{status="completed"}',
    'baton_attempts_total{provider="sim",outcome="failed",class="malformed"}',
    'baton_attempts_total{provider="sim",outcome="succeeded",class=""}',
    'baton_fallbacks_total',
    'baton_http_requests_total{method="POST",route="/v1/jobs",status="202"}',
  ];
  const read = async (): Promise<number[]> => {
    const { text } = await baton.api.request('GET', '/metrics');
    return names.map((name) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')[1] ?? 0,
      ),
    );
  };
  const before = await read();
  // A class that nothing else here fails with: what the tests before have left running counts too.
  await baton.api.run({ models: ['sim/malformed', 'sim/echo'] });
  expect(await read()).toEqual(before.map((count) => count + 1));
  const { headers } = await baton.api.request('GET', '/metrics');
  expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
});

describe('health', () => {
  let redis: RunningRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => {
    await redis.kill();
    await killOwners();
  });

  it('tells a Redis that is away (degraded) from a PostgreSQL that is away (503), and heals', async () => {
    const dataDir = `${await newFolder()}/data`;
    const postgres = new Owner(dataDir);
    const probed = await BatonProcess.start({
      env: { DATABASE_URL: await postgres.until('ready'), REDIS_URL: redis.url },
    });
    const ready = async (): Promise<[number, Record<string, unknown>]> => {
      const { status, body } = await probed.api.request('GET', '/readyz');
      return [status, body];
    };
    expect(await ready()).toEqual([200, { status: 'ok', checks: { database: 'ok', queue: 'ok' } }]);

    const { port } = redis;
    await redis.kill();
    await eventually(async () => (await ready())[1]['status'] === 'degraded');
    expect(await ready()).toEqual([
      200,
      { status: 'degraded', checks: { database: 'ok', queue: expect.stringMatching(/^(failed|timeout)$/) } },
    ]);
    expect((await probed.api.request('POST', '/v1/jobs', { request: { model: 'sim/echo' } })).status).toBe(
      202,
    );
    redis = await startRedis({ port });
    await eventually(async () => (await ready())[1]['status'] === 'ok');

    await postgres.kill();
    await eventually(async () => (await ready())[0] === 503);
    expect((await ready())[1]).toMatchObject({ status: 'unavailable', checks: { queue: 'ok' } });
    const refused = await probed.api.request('POST', '/v1/jobs', { request: { model: 'sim/echo' } });
    expect(refused.status).toBe(503);
    expect(refused.body.error).toMatchObject({ code: 'database_unavailable' });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await probed.api.request('GET', '/livez')).body).toEqual({ status: 'ok' });

    const again = new Owner(dataDir);
    await again.until('ready');
    await eventually(async () => (await ready())[1]['status'] === 'ok');
    expect((await probed.api.run({ model: 'sim/echo' })).status).toBe('completed');
    expect(await probed.term()).toBe(0);
    await again.stop();
  });
});
