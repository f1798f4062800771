import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Controller, HttpCode, Module, Post, Req, UnauthorizedException } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import fc from 'fast-check';
import type { FastifyRequest } from 'fastify';
import { leastOf } from '../../test/support/rounds.js';
import { ConnectionLine } from '../storage/connection-line.js';
import { createLogger, NestLogger } from '../telemetry/logger.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { ApiError } from './api-error.js';
import { configureHttp, createHttpAdapter } from './http-server.js';
import { ReadinessService } from './readiness.service.js';
import { readForm } from './read-form.js';
import { UploadRoute } from './upload-route.js';

/** Of every body but forms, and of forms that send nothing. */
const TIMEOUT_MS = 400;
/** More than any machine stands still for. */
const LONG_MS = 30_000;

/** What the last form brought: each field and file, in order; and how a file that was cut off ended. */
let seen: string[];
let stopping: AbortController;
/** How long a form may bring nothing. */
let stallMs: number;
/** Before a file is read on. */
let pause: () => Promise<void>;

@Controller('v1/forms')
class FormsController {
  @Post()
  @HttpCode(200)
  @UploadRoute()
  async take(@Req() request: FastifyRequest) {
    await readForm(
      request.raw,
      {
        field: (name, text) => {
          if (name === 'bad') throw new ApiError('invalid_value', 'bad is bad.', { param: 'bad' });
          seen.push(`${name}=${text}`);
        },
        file: async (name, filename, bytes) => {
          let length = 0;
          try {
            for await (const piece of bytes) {
              await pause();
              length += piece.length;
            }
            seen.push(`${name}:${filename}:${length}`);
          } catch (error) {
            seen.push(`cut: ${(error as Error).message}`);
            throw error;
          }
          if (name === 'unwanted') throw new ApiError('invalid_value', 'unwanted.', { param: 'unwanted' });
        },
      },
      { stallMs, signal: stopping.signal },
    );
    return { seen };
  }

  @Post('refused')
  @UploadRoute()
  refuse() {
    throw new UnauthorizedException();
  }

  @Post('json')
  @HttpCode(200)
  json() {
    return {};
  }
}

@Module({ imports: [TelemetryModule], controllers: [FormsController], providers: [ReadinessService] })
class TestModule {}

let app: NestFastifyApplication;
let port: number;

beforeAll(async () => {
  const logger = createLogger('silent');
  app = await NestFactory.create<NestFastifyApplication>(TestModule, createHttpAdapter(logger, TIMEOUT_MS), {
    logger: new NestLogger(logger),
  });
  configureHttp(app, { line: new ConnectionLine(), maxRequestsInFlight: 64 });
  await app.listen(0, '127.0.0.1');
  port = Number(new URL(await app.getUrl()).port);
});
afterAll(() => app.close());
beforeEach(() => {
  seen = [];
  stopping = new AbortController();
  stallMs = LONG_MS;
  pause = () => Promise.resolve();
});

const TYPE = 'content-type: multipart/form-data; boundary=b';
const part = (disposition: string, text: string) =>
  `--b\r\ncontent-disposition: form-data; ${disposition}\r\n\r\n${text}\r\n`;
const field = (name: string, text: string) => part(`name="${name}"`, text);
const file = (text: string, name = 'file', filename = 'a.txt') =>
  part(`name="${name}"; filename="${filename}"`, text);
const END = '--b--\r\n';

const head = (length: number | null, path = '', type = TYPE) =>
  `POST /v1/forms${path} HTTP/1.1\r\nhost: x\r\n${type}\r\n` +
  (length === null ? 'transfer-encoding: chunked\r\n\r\n' : `content-length: ${length}\r\n\r\n`);

/** Reads one reply; `status` is 0 if the connection ended without one. */
async function replyOf(socket: Socket): Promise<{ status: number; body: Record<string, unknown> }> {
  let text = '';
  socket.setEncoding('utf8').on('error', () => undefined);
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    socket.on('data', (chunk) => {
      text += String(chunk);
      const [top = '', body] = text.split('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(top)?.[1]);
      if (body !== undefined && Buffer.byteLength(body) >= length) resolve();
    });
  });
  const [top = '', body = ''] = text.split('\r\n\r\n');
  return {
    status: Number(top.split(' ')[1] ?? 0),
    body: JSON.parse(body || '{}') as Record<string, unknown>,
  };
}

async function send(body: string, options: { path?: string; type?: string } = {}) {
  const socket = connect(port, '127.0.0.1');
  socket.write(head(Buffer.byteLength(body), options.path, options.type) + body);
  const reply = await replyOf(socket);
  socket.destroy();
  return reply;
}

const MIB = 1024 * 1024;

test.each<[string, string, string[]]>([
  ['a file first', file('abc') + field('purpose', 'batch') + END, ['file:a.txt:3', 'purpose=batch']],
  ['a file last', field('purpose', 'batch') + file('abc') + END, ['purpose=batch', 'file:a.txt:3']],
  ['an empty file', file('') + END, ['file:a.txt:0']],
  ['no field at all', END, []],
  ['fields alone', field('a', '') + field('b[c]', 'ü') + END, ['a=', 'b[c]=ü']],
  ['bytes that look like a boundary', file('\r\n--\r\n--c\r\n-b--') + END, ['file:a.txt:15']],
  ['a path for a name', file('x', 'file', '../../etc/passwd') + END, ['file:passwd:1']],
  ['a name beyond ASCII', file('x', 'file', 'ключ 😀.txt') + END, ['file:ключ 😀.txt:1']],
  ['something before and after', `before\r\n${file('x')}${END}after`, ['file:a.txt:1']],
  ['a large file', file('x'.repeat(5 * MIB)) + END, [`file:a.txt:${5 * MIB}`]],
])('%s is read', async (_name, body, expected) => {
  expect(await send(body)).toEqual({ status: 200, body: { seen: expect.arrayContaining(expected) } });
  expect(seen).toHaveLength(expected.length);
});

test.each<[string, string, number, string, string | null]>([
  ['an end that is missing', file('abc'), 400, 'invalid_form', null],
  ['an end in the middle of a file', file('abc').slice(0, -3), 400, 'invalid_form', null],
  ['an end in the middle of a head', '--b\r\ncontent-disp', 400, 'invalid_form', null],
  ['nothing', '', 400, 'invalid_form', null],
  ['no form', '{"purpose":"batch"}', 400, 'invalid_form', null],
  ['another boundary', file('abc').replace('--b', '--c'), 400, 'invalid_form', null],
  ['two files', file('abc') + file('def') + END, 400, 'invalid_value', 'file'],
  ['too many fields', field('a', 'b').repeat(21) + END, 400, 'invalid_form', null],
  ['a field that is too long', field('a', 'b'.repeat(17 * 1024)) + END, 400, 'invalid_form', null],
  ['a field that is refused', field('bad', '') + file('x'.repeat(MIB)) + END, 400, 'invalid_value', 'bad'],
  ['a field that is refused at the end', file('x') + field('bad', '') + END, 400, 'invalid_value', 'bad'],
  ['a file that is refused', file('x', 'unwanted') + END, 400, 'invalid_value', 'unwanted'],
])('%s is told', async (_name, body, status, code, param) => {
  expect(await send(body)).toMatchObject({ status, body: { error: { code, param } } });
});

test.each<[string, string, number, string]>([
  ['JSON', 'content-type: application/json', 415, 'unsupported_media_type'],
  ['another form', 'content-type: application/x-www-form-urlencoded', 415, 'unsupported_media_type'],
  ['no type', 'x: y', 415, 'unsupported_media_type'],
  ['no boundary', 'content-type: multipart/form-data', 400, 'invalid_form'],
])('%s is told', async (_name, type, status, code) => {
  expect(await send('{"a":1}', { type })).toMatchObject({
    status,
    body: { error: { code, message: expect.stringMatching(/multipart|boundary/) } },
  });
});

test('a form is for upload routes alone', async () => {
  expect(await send(file('x') + END, { path: '/json' })).toMatchObject({
    status: 415,
    body: { error: { code: 'unsupported_media_type' } },
  });
});

test('whatever is sent, in whatever pieces, is answered', async () => {
  const good = field('purpose', 'batch') + file('abc\r\n--b\r\n\r\n') + END;
  const near = fc
    .array(fc.constantFrom('--b', '\r\n', '--', 'content-disposition: form-data; name="file"; filename="a"', ':', '"', 'x'))
    .map((words) => words.join(''));
  const body = fc.oneof(near, fc.string({ unit: 'binary' }), fc.nat(good.length).map((end) => good.slice(0, end)));
  await fc.assert(
    fc.asyncProperty(body, fc.array(fc.nat(good.length), { maxLength: 3 }), async (text, cuts) => {
      const bytes = Buffer.from(text);
      const socket = connect(port, '127.0.0.1').setNoDelay();
      socket.write(head(bytes.length));
      let at = 0;
      for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
        socket.write(bytes.subarray(at, Math.max(at, cut)));
        at = Math.max(at, cut);
        await new Promise((next) => setImmediate(next));
      }
      const { status } = await replyOf(socket);
      socket.destroy();
      expect([200, 400]).toContain(status);
    }),
    { numRuns: 200 },
  );
}); // prettier-ignore

test('who is refused by a guard is told at once, and need not send the body', async () => {
  const tookMs = await leastOf(TIMEOUT_MS * 5, async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write(head(200 * MIB, '/refused') + file('abc'));
    expect((await replyOf(socket)).status).toBe(401);
    // What still comes is thrown away, for a while.
    socket.write('x'.repeat(MIB));
    const start = performance.now();
    await once(socket, 'close');
    return performance.now() - start;
  });
  expect(tookMs).toBeLessThan(TIMEOUT_MS * 5);
});

test('who is refused and sends the whole body can go on with the connection', async () => {
  const socket = connect(port, '127.0.0.1');
  const rest = 'x'.repeat(3 * MIB);
  socket.write(head(rest.length, '/refused'));
  expect((await replyOf(socket)).status).toBe(401);
  socket.removeAllListeners('data');
  socket.write(rest + head(END.length) + END);
  expect((await replyOf(socket)).status).toBe(200);
  socket.destroy();
});

test('a form may take longer than other bodies, as long as something comes', async () => {
  // Less than all of its pieces take together, and far more than the pause between two of them.
  stallMs = TIMEOUT_MS * 6;
  const socket = connect(port, '127.0.0.1');
  const parts = [...Array<string>(8).fill('x'.repeat(10)), `\r\n${END}`];
  const start = file('').slice(0, -2);
  socket.write(head(Buffer.byteLength(start + parts.join(''))) + start);
  for (const each of parts) {
    await new Promise((next) => setTimeout(next, TIMEOUT_MS));
    socket.write(each);
  }
  expect(await replyOf(socket)).toMatchObject({ status: 200, body: { seen: ['file:a.txt:80'] } });
  socket.destroy();
});

test('a form of which nothing more comes is told and ended', async () => {
  stallMs = TIMEOUT_MS;
  const socket = connect(port, '127.0.0.1');
  socket.write(head(1000) + file('abc'));
  expect(await replyOf(socket)).toMatchObject({ status: 408, body: { error: { code: 'request_timeout' } } });
  await once(socket, 'close');
  expect(seen).toEqual([expect.stringMatching(/^cut: Nothing more of the form came/)]);
});

test('a form waits for who reads it, however slow', async () => {
  stallMs = TIMEOUT_MS;
  let reads = 0;
  pause = async () => {
    reads += 1;
    if (reads === 2) await new Promise((next) => setTimeout(next, TIMEOUT_MS * 2));
  };
  expect(await send(file('x'.repeat(3 * MIB)) + END)).toMatchObject({ status: 200 });
});

/** Begins a form that does not end; resolves when its file is being read. */
async function begun(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve) => {
    pause = () => Promise.resolve(resolve());
    socket.write(head(1000) + file('abc'));
  });
  return socket;
}

test('a client that goes away in the middle is noticed', async () => {
  (await begun()).destroy();
  while (seen.length === 0) await new Promise((next) => setTimeout(next, 10));
  expect(seen).toEqual(['cut: The connection broke before the end.']);
});

test('a form is cut when its time is up', async () => {
  const socket = await begun();
  stopping.abort(new ApiError('shutting_down', 'Bye.'));
  expect((await replyOf(socket)).status).toBe(503);
  socket.destroy();
});

test('any other body has its time, and is told and ended after it', async () => {
  for (const sent of ['', '{"a":']) {
    const tookMs = await leastOf(TIMEOUT_MS * 5, async () => {
      const socket = connect(port, '127.0.0.1');
      const start = performance.now();
      socket.write(head(1000, '/json', 'content-type: application/json') + sent);
      expect(await replyOf(socket)).toMatchObject({
        status: 408,
        body: { error: { code: 'request_timeout' } },
      });
      await once(socket, 'close');
      return performance.now() - start;
    });
    expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS - 5);
    expect(tookMs).toBeLessThan(TIMEOUT_MS * 5);
  }
});
