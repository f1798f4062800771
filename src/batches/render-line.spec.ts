import type { EndedLine } from '../jobs/batch-jobs.service.js';
import { isOutput, jobIdOf, renderLine, renderReject } from './render-line.js';

const JOB = '01920000-0000-7000-8000-000000000001';
const LINE: EndedLine = {
  jobId: JOB,
  customId: 'a"b',
  line: 3,
  status: 'completed',
  endedAt: '2026-01-01 00:00:00.123456+00',
  servedBy: 'sim/echo',
  attemptCount: 2,
  costMicros: 1_500,
  errorCode: null,
  errorMessage: null,
  responseStatus: 200,
  responseRequestId: 'req_1',
  body: '{"n": 1.0, "big": 12345678901234567890}',
  sameAs: null,
};

const parsed = (line: Partial<EndedLine>) =>
  JSON.parse(renderLine({ ...LINE, ...line })) as Record<string, unknown>;

describe('a line of a result file', () => {
  it('has the answer as it came, on one line', () => {
    const text = renderLine({ ...LINE, body: '{\n  "n": 1.0,\r\n  "s": "a\\nb"\n}' });
    expect(text.split('\n')).toHaveLength(2);
    expect(text).toContain('{   "n": 1.0,   "s": "a\\nb" }');
    expect(renderLine(LINE)).toContain('"body":{"n": 1.0, "big": 12345678901234567890}}');
    expect(parsed({})).toMatchObject({
      id: expect.stringMatching(/^batch_req_[0-9A-Z]{26}$/),
      custom_id: 'a"b',
      response: { status_code: 200, request_id: 'req_1' },
      error: null,
      baton: { line: 3, served_by: 'sim/echo', attempts: 2, cost_usd: 0.0015, shared_with: null },
    });
  });

  it.each<[string, Partial<EndedLine>, object]>([
    [
      'an error by HTTP is a response',
      {
        status: 'failed',
        responseStatus: 429,
        body: '{"error":{}}',
        errorCode: 'rate_limited',
        errorMessage: 'x',
      },
      { response: { status_code: 429, body: { error: {} } }, error: null },
    ],
    [
      'a failure without one is an error',
      { status: 'failed', responseStatus: null, body: null, errorCode: 'timeout', errorMessage: 'too slow' },
      { response: null, error: { code: 'timeout', message: 'too slow' } },
    ],
    [
      'an expired line is batch_expired',
      { status: 'expired', responseStatus: null, body: null, errorCode: 'expired', errorMessage: 'x' },
      { response: null, error: { code: 'batch_expired' } },
    ],
    [
      'a cancelled line is batch_cancelled',
      { status: 'cancelled', responseStatus: null, body: null },
      { response: null, error: { code: 'batch_cancelled' } },
    ],
    [
      'a line of a batch that was stopped says why',
      {
        status: 'cancelled',
        responseStatus: null,
        body: null,
        errorCode: 'max_cost_exceeded',
        errorMessage: 'y',
      },
      { response: null, error: { code: 'max_cost_exceeded', message: 'y' } },
    ],
  ])('%s', (_what, line, expected) => {
    expect(parsed(line)).toMatchObject(expected);
    expect(isOutput({ ...LINE, ...line })).toBe(false);
  });

  it('leads back to its job by its id', () => {
    const { id, baton } = parsed({}) as { id: string; baton: { job_id: string } };
    expect(jobIdOf(id)).toBe(baton.job_id);
    expect(isOutput(LINE)).toBe(true);
  });

  it('tells of a line that was turned away', () => {
    const reject = { line: 9, customId: null, code: 'invalid_json', message: 'It is no JSON.', param: null };
    expect(JSON.parse(renderReject(JOB, reject))).toMatchObject({
      id: expect.stringMatching(/^batch_req_[0-9A-Z]{26}_9$/),
      custom_id: null,
      response: null,
      error: { code: 'invalid_json', message: 'Line 9: It is no JSON.' },
      baton: { job_id: null, line: 9 },
    });
  });
});
