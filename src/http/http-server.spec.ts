import { connect } from 'node:net';
import { Body, Controller, Get, HttpCode, Module, Post, Put } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { IsObject, IsOptional, IsString } from 'class-validator';
import { ConnectionLine } from '../storage/connection-line.js';
import { createLogger, NestLogger } from '../telemetry/logger.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { ApiError } from './api-error.js';
import { HttpModule } from './http.module.js';
import { configureHttp, createHttpAdapter } from './http-server.js';
import { setupOpenApi } from './openapi.js';
import { RawJson } from './raw-json.js';
import { ReadinessService } from './readiness.service.js';
import { checked } from './validation.js';

class ThingBody {
  @IsObject()
  request: Record<string, unknown>;

  @IsOptional()
  @IsString()
  webhook_url?: string;
}

const RAW = '{ "answer" : 1.0,\n"b":"\\u00e9" }';

@Controller('v1/things')
class ThingsController {
  @Post()
  @HttpCode(202)
  take(@Body() body: unknown) {
    return { taken: Object.keys(checked(ThingBody, body).request) };
  }

  @Post(':id/cancel')
  cancel() {
    return { cancelled: true };
  }

  @Get('raw')
  raw() {
    return { body: new RawJson(RAW) };
  }

  @Put('conflict')
  conflict() {
    throw new ApiError('job_not_cancellable', 'The job has ended.');
  }

  @Get('defect')
  defect() {
    throw new TypeError('canary of the inside');
  }

  @Get('outage')
  outage() {
    throw Object.assign(new Error('canary of the inside'), { code: '57P01' });
  }
}

@Module({ imports: [TelemetryModule, HttpModule], controllers: [ThingsController] })
class TestModule {}

const ID = /^req_[0-9A-HJKMNP-TV-Z]{26}$/;
const MIB = 1024 * 1024;
let app: NestFastifyApplication;
let port: number;
let log: string[];

beforeAll(async () => {
  log = [];
  const logger = createLogger('debug', { write: (line) => log.push(line) });
  app = await NestFactory.create<NestFastifyApplication>(TestModule, createHttpAdapter(logger), {
    logger: new NestLogger(logger),
  });
  configureHttp(app, { line: new ConnectionLine(), maxRequestsInFlight: 64 });
  await setupOpenApi(app);
  await app.listen(0, '127.0.0.1');
  port = Number(new URL(await app.getUrl()).port);
});

afterAll(() => app.close());

/** Sends bytes and reads until the server closes, or until one whole reply with a length is there. */
function exchange(
  head: string,
  body: string | Buffer = '',
): Promise<{ status: number; headers: Map<string, string>; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    const answer = () => {
      const [top = '', ...rest] = text.split('\r\n\r\n');
      const [statusLine = '', ...lines] = top.split('\r\n');
      const headers = new Map(
        lines.map((line) => [
          line.slice(0, line.indexOf(':')).toLowerCase(),
          line.slice(line.indexOf(':') + 1).trim(),
        ]),
      );
      return { status: Number(statusLine.split(' ')[1]), headers, body: rest.join('\r\n\r\n') };
    };
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => {
      text += String(chunk);
      const { headers, body: received } = answer();
      if (Buffer.byteLength(received) >= Number(headers.get('content-length') ?? Infinity)) socket.destroy();
    });
    // The server may close while the rest of a large body is on its way.
    socket.on('error', (error) => (text === '' ? reject(error) : undefined));
    socket.on('close', () => resolve(answer()));
    socket.write(head);
    socket.write(body);
  });
}

const post = (path: string, payload: string | Buffer | undefined, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url: path,
    payload,
    headers: { 'content-type': 'application/json', ...headers },
  });

describe('a good request', () => {
  test('is answered with a request id of ours and the safe headers', async () => {
    const reply = await post('/v1/things', '{"request":{"model":"a/b"}}', {
      'x-request-id': 'req_of_the_client',
    });
    expect(reply.statusCode).toBe(202);
    expect(reply.json()).toEqual({ taken: ['model'] });
    expect(reply.headers['x-request-id']).toMatch(ID);
    expect(reply.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-type': 'application/json; charset=utf-8',
    });
    expect(reply.headers).not.toHaveProperty('x-powered-by');
    expect(reply.headers).not.toHaveProperty('access-control-allow-origin');
    expect(log.at(-1)).toContain('"clientRequestId":"req_of_the_client"');
  });

  test('may end without a body where none is needed, whatever its type', async () => {
    expect((await post('/v1/things/x/cancel', undefined)).json()).toEqual({ cancelled: true });
    expect((await app.inject({ method: 'POST', url: '/v1/things/x/cancel' })).json()).toEqual({
      cancelled: true,
    });
  });

  test('gets JSON text back byte for byte', async () => {
    expect((await app.inject('/v1/things/raw')).body).toBe(`{"body":${RAW}}`);
  });
});

describe('what is wrong with a request', () => {
  test.each<[string, string | undefined, number, string, string | null]>([
    ['no body', undefined, 400, 'invalid_json', null],
    ['broken JSON', '{"request":', 400, 'invalid_json', null],
    ['an array', '[]', 400, 'invalid_body', null],
    ['a missing field', '{}', 400, 'missing_field', 'request'],
    ['an unknown field', '{"request":{},"webhok_url":"x"}', 400, 'unknown_field', 'webhok_url'],
    ['a wrong type', '{"request":{},"webhook_url":5}', 400, 'invalid_value', 'webhook_url'],
    ['a polluting key', '{"request":{"__proto__":{"polluted":1}}}', 400, 'forbidden_key', null],
    ['a depth bomb', `{"request":${'['.repeat(65)}${']'.repeat(65)}}`, 400, 'json_too_deep', null],
    ['a large body', `{"request":{"x":"${'x'.repeat(5 * MIB)}"}}`, 413, 'body_too_large', null],
  ])('%s is told in the envelope', async (_, payload, status, code, param) => {
    const reply = await post('/v1/things', payload);
    expect(reply.statusCode).toBe(status);
    expect(reply.json()).toEqual({
      error: { message: expect.stringMatching(/\S\.$/), type: 'invalid_request_error', param, code },
    });
    expect(reply.headers['x-request-id']).toMatch(ID);
    expect('polluted' in {}).toBe(false);
  });

  test.each<[string, object, number, string, RegExp]>([
    [
      'a form',
      {
        method: 'POST',
        url: '/v1/things',
        payload: 'a=b',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      },
      415,
      'unsupported_media_type',
      /application\/json/,
    ],
    [
      'a text',
      { method: 'POST', url: '/v1/things', payload: '{}', headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported_media_type',
      /application\/json/,
    ],
    [
      'an unknown path',
      { method: 'GET', url: '/v1/thing?secret=1' },
      404,
      'route_not_found',
      /GET \/v1\/thing\. Did you mean \/v1\/things\?$/,
    ],
    [
      'a path without version',
      { method: 'GET', url: '/things/raw' },
      404,
      'route_not_found',
      /Did you mean \/v1\/things\/raw\?/,
    ],
    ['a wrong method', { method: 'DELETE', url: '/v1/things' }, 405, 'method_not_allowed', /Use POST\./],
    ['a bad URL', { method: 'GET', url: '/v1/%zz' }, 400, 'malformed_request', /URL/],
  ])('%s is told in the envelope', async (_, request, status, code, message) => {
    const reply = await app.inject(request);
    expect(reply.statusCode).toBe(status);
    expect(reply.json()).toMatchObject({ error: { code, message: expect.stringMatching(message) } });
    expect(reply.headers['x-request-id']).toMatch(ID);
  });

  test('a wrong method names the right ones', async () => {
    expect((await app.inject({ method: 'PATCH', url: '/v1/things/raw' })).headers['allow']).toBe('GET, HEAD');
  });

  test('a 409 that is of no use to try again says so', async () => {
    const reply = await app.inject({ method: 'PUT', url: '/v1/things/conflict' });
    expect(reply.statusCode).toBe(409);
    expect(reply.headers['x-should-retry']).toBe('false');
  });
});

describe('what goes wrong inside', () => {
  test('a defect is logged with the request id and not told', async () => {
    const reply = await app.inject('/v1/things/defect');
    expect(reply.statusCode).toBe(500);
    expect(reply.json()).toMatchObject({ error: { type: 'server_error', code: 'internal_error' } });
    expect(reply.body).not.toContain('canary');
    const line = log.find(
      (each) => each.includes('canary') && each.includes(String(reply.headers['x-request-id'])),
    );
    expect(line).toContain('"level":"error"');
  });

  test('an outage of the database is a 503 with Retry-After', async () => {
    const reply = await app.inject('/v1/things/outage');
    expect(reply.statusCode).toBe(503);
    expect(reply.headers['retry-after']).toBe('1');
    expect(reply.json()).toMatchObject({ error: { code: 'database_unavailable' } });
  });
});

describe('bytes on the wire', () => {
  const json = (length: number | string) => `content-type: application/json\r\ncontent-length: ${length}\r\n`;
  const bomb = `{"request":${'['.repeat(4 * MIB - 20)}`;

  test.each<[string, string, string, number, string]>([
    [
      'a length that is no number',
      `POST /v1/things HTTP/1.1\r\nhost: x\r\n${json('abc')}\r\n`,
      '',
      400,
      'malformed_request',
    ],
    [
      'two lengths',
      `POST /v1/things HTTP/1.1\r\nhost: x\r\n${json(2)}content-length: 3\r\n\r\n`,
      '{}',
      400,
      'malformed_request',
    ],
    [
      'a length and chunks',
      `POST /v1/things HTTP/1.1\r\nhost: x\r\n${json(2)}transfer-encoding: chunked\r\n\r\n`,
      '{}',
      400,
      'malformed_request',
    ],
    ['no HTTP at all', 'hello\r\n\r\n', '', 400, 'malformed_request'],
    ['an unknown method', 'BREW /v1/things HTTP/1.1\r\nhost: x\r\n\r\n', '', 400, 'malformed_request'],
    ['a rare method', 'PURGE /v1/things HTTP/1.1\r\nhost: x\r\n\r\n', '', 405, 'method_not_allowed'],
    [
      'a URL that cannot be decoded',
      'GET /v1/things/%ff%zz HTTP/1.1\r\nhost: x\r\n\r\n',
      '',
      400,
      'malformed_request',
    ],
    [
      'a path part that is too long',
      `POST /v1/things/${'x'.repeat(300)}/cancel HTTP/1.1\r\nhost: x\r\n\r\n`,
      '',
      400,
      'malformed_request',
    ],
    [
      'too many headers',
      `GET /v1/things HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
      '',
      431,
      'headers_too_large',
    ],
    ['no host', 'GET /nowhere HTTP/1.1\r\n\r\n', '', 404, 'route_not_found'],
    [
      'an unknown expectation',
      'GET /nowhere HTTP/1.1\r\nhost: x\r\nexpect: tea\r\n\r\n',
      '',
      404,
      'route_not_found',
    ],
    [
      '5 MB',
      `POST /v1/things HTTP/1.1\r\nhost: x\r\n${json(5 * MIB)}\r\n`,
      'x'.repeat(5 * MIB),
      413,
      'body_too_large',
    ],
    [
      'a depth bomb of 4 MiB',
      `POST /v1/things HTTP/1.1\r\nhost: x\r\n${json(bomb.length)}\r\n`,
      bomb,
      400,
      'json_too_deep',
    ],
    [
      'a depth bomb of 5 MB in chunks',
      'POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
      `${(5 * MIB).toString(16)}\r\n${'['.repeat(5 * MIB)}\r\n0\r\n\r\n`,
      413,
      'body_too_large',
    ],
    [
      'a polluting key',
      `POST /v1/things HTTP/1.1\r\nhost: x\r\n${json(33)}\r\n`,
      '{"request":{"__proto__":{"p":1}}}',
      400,
      'forbidden_key',
    ],
  ])(
    '%s is answered in the envelope, with an id, and the process lives',
    async (_, head, body, status, code) => {
      const reply = await exchange(head, body);
      expect({ status: reply.status, body: JSON.parse(reply.body) as unknown }).toMatchObject({
        status,
        body: { error: { code } },
      });
      expect(reply.headers.get('x-request-id')).toMatch(ID);
      expect((await exchange('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n')).status).toBe(200);
    },
  );

  test.each<[string, string]>([
    ['a depth bomb', bomb],
    ['a good body of 4 MiB', `{"request":{"x":"${'x'.repeat(4 * MIB - 30)}"}}`],
  ])('%s is answered within 200 ms of its last byte', async (_, body) => {
    const times: number[] = [];
    for (let i = 0; i < 8; i++) {
      const start = performance.now();
      await exchange(`POST /v1/things HTTP/1.1\r\nhost: x\r\n${json(Buffer.byteLength(body))}\r\n`, body);
      times.push(performance.now() - start);
    }
    expect(Math.min(...times)).toBeLessThan(200);
  });
});

describe('operations', () => {
  test('health, metrics, the docs and the description need no key', async () => {
    expect((await app.inject('/livez')).json()).toEqual({ status: 'ok' });
    expect((await app.inject('/readyz')).json()).toEqual({ status: 'ok', checks: {} });
    const metrics = await app.inject('/metrics');
    expect(metrics.headers['content-type']).toMatch(/^text\/plain/);
    expect(metrics.body).toContain(
      'baton_http_requests_total{method="GET",route="/v1/things/raw",status="200"} 1',
    );
    expect(metrics.body).not.toContain('/v1/thing?');
    expect((await app.inject('/docs')).headers['content-type']).toMatch(/^text\/html/);
    expect((await app.inject('/openapi.json')).json()).toMatchObject({
      info: { title: 'Baton' },
      paths: { '/v1/things': {} },
    });
  });

  // The last one: the app does not come back from it.
  test('a process that stops refuses everything but health', async () => {
    app.get(ReadinessService).shuttingDown();
    const reply = await exchange('GET /v1/things/raw HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(reply.status).toBe(503);
    expect(JSON.parse(reply.body)).toMatchObject({ error: { code: 'shutting_down' } });
    expect(reply.headers.get('connection')).toBe('close');
    expect(reply.headers.get('x-request-id')).toMatch(ID);
    expect((await app.inject('/livez')).statusCode).toBe(200);
    expect((await app.inject('/readyz')).statusCode).toBe(503);
  });
});
