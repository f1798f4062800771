/** A thousand jobs at once, down a chain whose head often fails: nothing is lost, nothing is done twice, and the books agree. */
import { setTimeout as delay } from 'node:timers/promises';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import { answer, fail, flaky } from './support/upstream-behaviours.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

declare const QUEUE_BACKEND: 'redis' | 'postgres';

const JOBS = 1000;
const CLIENTS = 25;
const WITH_WEBHOOK = 100;
const FAILING = 0.3;
const TIMEOUT_MS = 120_000;

let primary: ScriptedUpstream;
let second: ScriptedUpstream;
let receiver: WebhookReceiver;
let baton: TestBaton;

beforeAll(async () => {
  primary = await ScriptedUpstream.start();
  second = await ScriptedUpstream.start();
  receiver = await WebhookReceiver.start();
  baton = await TestBaton.start({
    env: { WORKER_CONCURRENCY: '50' },
    file: {
      providers: {
        // It is called however often it fails: what is looked at is the record, not who is left alone.
        a: { base_url: primary.url, api_key: 'key-of-a', protect: false },
        b: { kind: 'openai', base_url: second.url, api_key: 'key-of-b' },
      },
    },
  });
});

afterAll(async () => {
  await baton.stop();
  await primary.close();
  await second.close();
  await receiver.close();
});

/** Does one thing for each number from 0, with so many clients at once; gives the results in order. */
async function inParallel<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const client = async () => {
    for (let index = next++; index < count; index = next++) results[index] = await work(index);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return results;
}

async function count(status: string): Promise<number> {
  const { body } = await baton.request('GET', `/v1/jobs?status=${status}&limit=1`);
  return (body['data'] as unknown[]).length;
}

async function allEnded(): Promise<void> {
  while ((await count('queued')) + (await count('in_progress')) > 0) await delay(50);
}

/** The ids of the attempts whose calls an upstream saw. */
function seenBy(upstream: ScriptedUpstream): string[] {
  return upstream.calls().map((call) => String(call.headers['x-baton-attempt-id']));
}

it(
  'A thousand jobs all complete, and the attempts in the record are exactly the calls that the upstreams counted',
  async () => {
    primary.script('primary', flaky(FAILING, fail(503, 'No capacity.')));
    second.script('second', answer());
    const startedAt = performance.now();
    const ids = await inParallel(JOBS, async (index) => {
      const hook = index < WITH_WEBHOOK ? { webhook_url: receiver.url(`/${index}`) } : {};
      return (await baton.submit({ models: ['a/primary', 'b/second'] }, hook)).id;
    });
    const acceptedAt = performance.now();
    await allEnded();
    const endedAt = performance.now();
    const perSecond = (fromMs: number, toMs: number) => Math.round((JOBS * 1000) / (toMs - fromMs));
    process.stdout.write(
      `${QUEUE_BACKEND}: ${perSecond(startedAt, acceptedAt)} jobs/s accepted, ${perSecond(startedAt, endedAt)} jobs/s ended\n`,
    );

    expect(new Set(ids).size).toBe(JOBS);
    const jobs = await inParallel(JOBS, (index) => baton.job(ids[index] ?? ''));
    expect(jobs.filter((job) => job.status !== 'completed')).toEqual([]);
    const attempts = jobs.flatMap((job) => job.attempts);
    const idsOf = (provider: string) =>
      attempts.filter((attempt) => attempt['provider'] === provider).map((attempt) => attempt.id);
    expect(seenBy(primary).toSorted()).toEqual(idsOf('a').toSorted());
    expect(seenBy(second).toSorted()).toEqual(idsOf('b').toSorted());
    expect(new Set(attempts.map((attempt) => attempt.id)).size).toBe(attempts.length);

    const fellBack = jobs.filter((job) => job.fell_back);
    expect(attempts).toHaveLength(JOBS + fellBack.length);
    expect(primary.calls()).toHaveLength(JOBS);
    expect(jobs.map(servedRight)).toEqual(jobs.map(() => true));
    // Nearly five standard deviations of a thousand draws.
    expect(Math.abs(fellBack.length / JOBS - FAILING)).toBeLessThan(0.07);

    const deliveries = await inParallel(WITH_WEBHOOK, async (index) => {
      await receiver.waitFor(`/${index}`, 1, 30_000);
      return settledDelivery(ids[index] ?? '');
    });
    expect(deliveries.map(({ status, try_count }) => `${status} after ${try_count}`)).toEqual(
      deliveries.map(() => 'succeeded after 1'),
    );
    expect(receiver.received()).toHaveLength(WITH_WEBHOOK);
    const told = receiver.received().map(({ body }) => (JSON.parse(body.toString()) as Told).data.id);
    expect(told.toSorted()).toEqual(ids.slice(0, WITH_WEBHOOK).toSorted());
  },
  TIMEOUT_MS,
);

interface Told {
  readonly data: { readonly id: string };
}

function servedRight({ served_by, fell_back, attempts, attempt_count }: JobReply): boolean {
  const outcomes = attempts.map((attempt) => `${attempt.model} ${attempt.outcome} ${attempt.class}`);
  const expected = fell_back
    ? ['a/primary failed overloaded', 'b/second succeeded null']
    : ['a/primary succeeded null'];
  const isServedBy = served_by === (fell_back ? 'b/second' : 'a/primary');
  return isServedBy && attempt_count === attempts.length && outcomes.join() === expected.join();
}

/** The one delivery of a job, once it is over. */
async function settledDelivery(jobId: string): Promise<{ status: string; try_count: number }> {
  for (;;) {
    const { body } = await baton.request('GET', `/v1/jobs/${jobId}/deliveries`);
    const [delivery, ...others] = body['data'] as { status: string; try_count: number }[];
    expect(others).toEqual([]);
    if (delivery !== undefined && delivery.status !== 'pending') return delivery;
    await delay(50);
  }
}
