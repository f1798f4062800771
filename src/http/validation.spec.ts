import { leastCpuMs } from '../../test/support/wall.js';
import { Type } from 'class-transformer';
import {
  IsArray,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { ApiError } from './api-error.js';
import { IsMetadata } from './metadata.js';
import { checked, checkedDeep } from './validation.js';

class JobBody {
  @IsObject()
  request: Record<string, unknown>;

  @IsOptional()
  @IsString()
  webhook_url?: string;

  @IsOptional()
  @IsIn(['high', 'normal', 'low'])
  priority?: string;

  @IsOptional()
  @IsInt()
  @Min(60)
  @Max(86400)
  expires_in?: number;

  @IsOptional()
  @IsMetadata()
  metadata?: Record<string, string>;
}

class Step {
  @IsString()
  model: string;

  @IsOptional()
  @IsInt()
  retries?: number;
}

class Chain {
  @IsArray()
  @ValidateNested({ each: true })
  @Type(() => Step)
  steps: Step[];
}

function errorOf(run: () => unknown): ApiError {
  try {
    run();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('checked', () => {
  test('gives an instance, with opaque values as they are', () => {
    const request = { model: 'a/b', anything: { constructor: 1 } };
    const body = checked(JobBody, { request, metadata: { order: '17' } });
    expect(body).toBeInstanceOf(JobBody);
    expect(body.request).toBe(request);
    expect(body.metadata).toEqual({ order: '17' });
  });

  test.each<[unknown, string, string | null, RegExp]>([
    [undefined, 'invalid_json', null, /no body/],
    [null, 'invalid_body', null, /JSON object/],
    [[{}], 'invalid_body', null, /JSON object/],
    ['text', 'invalid_body', null, /JSON object/],
    [{}, 'missing_field', 'request', /^request is missing: it must be an object\.$/],
    [{ request: 'x' }, 'invalid_value', 'request', /^request must be an object\.$/],
    [{ request: null }, 'invalid_value', 'request', /^request must be an object\.$/],
    [{ request: {}, priority: 'urgent' }, 'invalid_value', 'priority', /must be one of .*high, normal, low/],
    [
      { request: {}, expires_in: '5' },
      'invalid_value',
      'expires_in',
      /^expires_in must be an integer number\.$/,
    ],
    [
      { request: {}, expires_in: 5 },
      'invalid_value',
      'expires_in',
      /^expires_in must not be less than 60\.$/,
    ],
    [{ request: {}, metadata: { a: 1 } }, 'invalid_value', 'metadata', /'a' is a number, write it in quotes/],
    [
      { request: {}, webhok_url: 'x' },
      'unknown_field',
      'webhok_url',
      /^Unknown field 'webhok_url'\. Did you mean 'webhook_url'\? Known fields: request, webhook_url, priority, expires_in, metadata\.$/,
    ],
    [{ requst: {} }, 'unknown_field', 'requst', /Did you mean 'request'\?.*request is missing/],
    [{ request: {}, model: 'x' }, 'unknown_field', 'model', /^Unknown field 'model'\. Known fields: /],
    [{ request: {}, constructor: {} }, 'unknown_field', 'constructor', /^Unknown field 'constructor'/],
    [
      { request: 1, priority: 2, webhook_url: 3 },
      'invalid_value',
      'request',
      /request .*webhook_url .*priority /,
    ],
  ])('%j is %s', (body, code, param, message) => {
    const error = errorOf(() => checked(JobBody, body));
    expect(error).toMatchObject({ code, param });
    expect(error.message).toMatch(message);
  });

  test('a large opaque value and many unknown names are answered at once', () => {
    const large = { list: Array.from({ length: 50_000 }, (_, index) => ({ index })) };
    const wrong = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`webhook_ur${index}`, 1]));
    const run = () => {
      expect(checked(JobBody, { request: large }).request).toBe(large);
      expect(errorOf(() => checked(JobBody, wrong)).message.length).toBeLessThan(3000);
    };
    expect(leastCpuMs(run)).toBeLessThan(1000);
  });
});

describe('checkedDeep', () => {
  test('gives nested instances', () => {
    const chain = checkedDeep(Chain, { steps: [{ model: 'a/b' }] });
    expect(chain.steps[0]).toBeInstanceOf(Step);
  });

  test.each<[unknown, string, string, RegExp]>([
    [
      { steps: [{ model: 'a/b' }, {}] },
      'missing_field',
      'steps.1.model',
      /^steps\.1\.model is missing: it must be a string\.$/,
    ],
    [{ steps: [{ model: 5 }] }, 'invalid_value', 'steps.0.model', /^steps\.0\.model must be a string\.$/],
    [{ steps: ['a/b'] }, 'invalid_value', 'steps.0', /must be an object/],
    [{ steps: 'a/b' }, 'invalid_value', 'steps', /^steps must be/],
    [
      { steps: [{ modle: 'a/b' }] },
      'unknown_field',
      'steps.0.modle',
      /^Unknown field 'steps\.0\.modle'\. Did you mean 'steps\.0\.model'\? Known fields: model, retries\. steps\.0\.model is missing/,
    ],
    [{ stpes: [] }, 'unknown_field', 'stpes', /Did you mean 'steps'\?/],
  ])('%j is %s at %s', (body, code, param, message) => {
    const error = errorOf(() => checkedDeep(Chain, body));
    expect(error).toMatchObject({ code, param });
    expect(error.message).toMatch(message);
  });

  test('a body of too many values is refused before it is copied', () => {
    const steps = Array.from({ length: 10_000 }, () => ({ model: 'a/b' }));
    expect(errorOf(() => checkedDeep(Chain, { steps }))).toMatchObject({ code: 'invalid_body' });
  });

  test('polluting names change no prototype', () => {
    const body: unknown = JSON.parse(
      '{"steps":[{"model":"a/b","__proto__":{"polluted":true}}],"__proto__":{"polluted":true}}',
    );
    const step: object | undefined = checkedDeep(Chain, body).steps[0];
    expect(step).toEqual({ model: 'a/b' });
    expect(step).not.toHaveProperty('polluted');
    expect('polluted' in {}).toBe(false);
  });
});
