import { ReadinessService } from './readiness.service.js';

const good = () => Promise.resolve();
const bad = () => Promise.reject(new Error('secret inside'));

test.each<[string, () => Promise<void>, () => Promise<void>, string]>([
  ['both work', good, good, 'ok'],
  ['the one that is not required fails', good, bad, 'degraded'],
  ['the required one fails', bad, good, 'unavailable'],
  [
    'a check throws at once',
    () => {
      throw new Error('secret inside');
    },
    good,
    'unavailable',
  ],
])('%s', async (_, database, queue, status) => {
  const readiness = new ReadinessService();
  readiness.register('database', database, { required: true });
  readiness.register('queue', queue, { required: false });
  const answer = await readiness.read();
  expect(answer.status).toBe(status);
  expect(Object.keys(answer.checks)).toEqual(['database', 'queue']);
  expect(JSON.stringify(answer)).not.toContain('secret');
});

test('a check that hangs is given up after a second', async () => {
  const readiness = new ReadinessService();
  readiness.register('database', () => new Promise(() => {}), { required: true });
  expect(await readiness.read()).toEqual({ status: 'unavailable', checks: { database: 'timeout' } });
});

test('a process that stops is not ready, whatever works', async () => {
  const readiness = new ReadinessService();
  readiness.register('database', good, { required: true });
  readiness.onModuleDestroy();
  expect(await readiness.read()).toEqual({ status: 'shutting_down', checks: {} });
});
