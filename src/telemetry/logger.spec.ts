import { Logger } from '@nestjs/common';
import { createLogger, NestLogger } from './logger.js';

function capture(level: 'debug' | 'info' = 'info') {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger(level, {
    write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
  });
  return { lines, logger, nest: new NestLogger(logger) };
}

test('a line is JSON with its level, time and message', () => {
  const { lines, logger } = capture();
  logger.info({ jobId: 'job_1' }, 'started');
  expect(lines).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      pid: process.pid,
      jobId: 'job_1',
      msg: 'started',
    },
  ]);
});

test('of an error only its type, message, code, stack and causes are said', () => {
  const { lines, logger } = capture();
  const cause = Object.assign(new Error('inner'), { parameters: ['a prompt'] });
  const error = Object.assign(new TypeError('outer', { cause }), {
    code: '23505',
    detail: 'Key (x)=(a prompt)',
    query: 'a prompt',
  });
  logger.error({ err: error }, 'failed');
  expect(lines[0]?.['err']).toEqual({
    type: 'TypeError',
    message: 'outer',
    code: '23505',
    stack: expect.stringContaining('TypeError: outer'),
    cause: { type: 'Error', message: 'inner', stack: expect.any(String) },
  });
  expect(JSON.stringify(lines)).not.toContain('a prompt');
});

test('an error that is its own cause ends', () => {
  const { lines, logger } = capture();
  const error = new Error('round');
  error.cause = error;
  logger.error({ err: error }, 'failed');
  expect(lines).toHaveLength(1);
});

test('of a request and a reply no header, query or body is said', () => {
  const { lines, logger } = capture();
  const req = {
    id: 'req_1',
    method: 'GET',
    url: '/v1/jobs?metadata[k]=canary',
    headers: { authorization: 'canary' },
    body: 'canary',
  };
  logger.info({ req, res: { statusCode: 200, headers: { 'set-cookie': 'canary' } } }, 'request');
  expect(lines[0]).toMatchObject({
    req: { id: 'req_1', method: 'GET', path: '/v1/jobs' },
    res: { status: 200 },
  });
  expect(JSON.stringify(lines)).not.toContain('canary');
});

test('levels below the one asked for are silent', () => {
  const { lines, nest } = capture();
  nest.debug('no', 'Context');
  nest.verbose('no', 'Context');
  nest.warn('yes', 'Context');
  expect(lines).toMatchObject([{ level: 'warn', context: 'Context', msg: 'yes' }]);
});

test('what Nest tells of each route at the start is for debugging', () => {
  const { lines, nest } = capture();
  nest.log('Mapped {/v1/jobs, POST} route', 'RouterExplorer');
  nest.error('Cannot resolve', 'RouterExplorer');
  expect(lines).toMatchObject([{ level: 'error', msg: 'Cannot resolve' }]);
});

test("Nest's ways of calling come out as fields", () => {
  const { lines, nest } = capture('debug');
  const error = new Error('broken');
  nest.log('text', { jobId: 'job_1' }, 'Jobs');
  nest.error('text', 'the stack', 'Jobs');
  nest.error(error, 'Jobs');
  nest.error('while reading', error, 'Jobs');
  nest.debug({ jobId: 'job_2' }, 'Jobs');
  expect(lines).toMatchObject([
    { level: 'info', context: 'Jobs', jobId: 'job_1', msg: 'text' },
    { level: 'error', context: 'Jobs', stack: 'the stack', msg: 'text' },
    { level: 'error', context: 'Jobs', err: { message: 'broken' }, msg: 'broken' },
    { level: 'error', context: 'Jobs', err: { message: 'broken' }, msg: 'while reading' },
    { level: 'debug', context: 'Jobs', jobId: 'job_2' },
  ]);
});

test("Nest's Logger class writes to it", () => {
  const { lines, nest } = capture();
  Logger.overrideLogger(nest);
  new Logger('Queue').error('cannot ring', new Error('down'));
  Logger.overrideLogger(false);
  expect(lines).toMatchObject([
    { level: 'error', context: 'Queue', msg: 'cannot ring', err: { message: 'down' } },
  ]);
});
