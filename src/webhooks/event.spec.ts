import { newUuid, toPublicId } from '../storage/ids.js';
import { laneOf, toBody } from './event.js';

describe('toBody', () => {
  const id = newUuid();
  const event = { id, type: 'job.completed', createdAt: new Date(1_790_000_000_789) };

  it('is the envelope that OpenAI and Standard Webhooks both know', () => {
    expect(toBody({ ...event, data: '{"id":"job_1","status":"completed"}' }, null).toString()).toBe(
      `{"id":"${toPublicId('evt', id)}","object":"event","type":"job.completed","created_at":1790000000,` +
        '"timestamp":"2026-09-21T14:13:20.789Z","data":{"id":"job_1","status":"completed"}}',
    );
  });

  it.each(['{}', '{"2":1,"1":2}', '{"a":"\\u0000\\u2028 é 😀"}', '{"n":1e400,"big":12345678901234567890}'])(
    'keeps the data %s byte for byte',
    (data) => {
      expect(
        toBody({ ...event, data }, null)
          .toString()
          .endsWith(`"data":${data}}`),
      ).toBe(true);
    },
  );
});

describe('a result', () => {
  const event = { id: newUuid(), type: 'job.completed', createdAt: new Date(0), data: '{"id":"job_1"}' };

  it('is sent along byte for byte', () => {
    const body = toBody(event, { type: 'inline', json: '{"2":1, "1":1e400}' });
    expect(body.toString()).toMatch(/"data":\{"id":"job_1","result":\{"2":1, "1":1e400\}\}\}$/);
  });

  it('that is too large is named', () => {
    const body = toBody(event, { type: 'elsewhere', path: '/v1/jobs/job_1' });
    expect(JSON.parse(body.toString())).toMatchObject({
      data: { id: 'job_1', result_url: '/v1/jobs/job_1' },
    });
  });
});

describe('laneOf', () => {
  it.each([
    ['https://Hooks.Example.com/a?b=c#d', 'p https://hooks.example.com/a'],
    ['https://user:secret@hooks.example.com:443/x', 'p https://hooks.example.com/x'],
    ['http://127.0.0.1:8080/', 'p http://127.0.0.1:8080/'],
    ['http://[::1]:9/', 'p http://[::1]:9/'],
    ['not a url', 'p not a url'],
  ])('of %s is %s', (url, lane) => {
    expect(laneOf('p', url)).toBe(lane);
  });
});
