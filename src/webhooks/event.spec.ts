import { newUuid, toPublicId } from '../storage/ids.js';
import { laneOf, toBody } from './event.js';

describe('toBody', () => {
  const id = newUuid();
  const event = { id, type: 'job.completed', createdAt: new Date(1_790_000_000_789) };

  it('is the envelope that OpenAI and Standard Webhooks both know', () => {
    expect(toBody({ ...event, data: '{"id":"job_1","status":"completed"}' }).toString()).toBe(
      `{"id":"${toPublicId('evt', id)}","object":"event","type":"job.completed","created_at":1790000000,` +
        '"timestamp":"2026-09-21T14:13:20.789Z","data":{"id":"job_1","status":"completed"}}',
    );
  });

  it.each(['{}', '{"2":1,"1":2}', '{"a":"\\u0000\\u2028 é 😀"}', '{"n":1e400,"big":12345678901234567890}'])(
    'keeps the data %s byte for byte',
    (data) => {
      expect(
        toBody({ ...event, data })
          .toString()
          .endsWith(`"data":${data}}`),
      ).toBe(true);
    },
  );
});

describe('laneOf', () => {
  it.each([
    ['https://Hooks.Example.com/a?b=c#d', 'https://hooks.example.com'],
    ['https://user:secret@hooks.example.com:443/x', 'https://hooks.example.com'],
    ['http://127.0.0.1:8080/', 'http://127.0.0.1:8080'],
    ['http://[::1]:9/', 'http://[::1]:9'],
    ['not a url', 'not a url'],
  ])('of %s is %s', (url, lane) => {
    expect(laneOf(url)).toBe(lane);
  });
});
