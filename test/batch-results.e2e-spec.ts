/** What can be watched of a batch while it runs: its results so far, its events; and equal lines that share one answer. */
import { setTimeout as delay } from 'node:timers/promises';
import { BatchClient, type BatchReply, chat, chats, idsOf, type ResultLine } from './support/batch-client.js';
import { EventStream } from './support/event-stream.js';
import { ScriptedUpstream } from './support/scripted-upstream.js';
import { type JobReply, TestBaton } from './support/test-baton.js';
import { after, answer, fail, hang } from './support/upstream-behaviours.js';

let upstream: ScriptedUpstream;
let baton: TestBaton;
let batches: BatchClient;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  baton = await TestBaton.start({
    env: { WORKER_CONCURRENCY: '10' },
    file: {
      providers: { a: { base_url: upstream.url, api_key: 'key-of-a', protect: false } },
      models: { 'a/same': { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } },
    },
  });
  batches = new BatchClient(baton);
  upstream.script('bad', fail(400, 'No.'));
});

afterAll(async () => {
  await baton.stop();
  await upstream.close();
});

/** A batch that ended with lines of three kinds. */
async function mixed(): Promise<BatchReply> {
  upstream.script('stuck', hang());
  const requests = [
    ...chats(30, 'sim/echo'),
    ...['b-0', 'b-1', 'b-2'].map((id) => chat(id, 'a/bad')),
    ...['s-0', 's-1'].map((id) => chat(id, 'a/stuck')),
  ];
  const { id } = await batches.create({ requests });
  await batches.until(id, ({ request_counts: counts }) => counts.completed + counts.failed === 33);
  await batches.post(`${id}/cancel`);
  return batches.ended(id);
}

describe('the results of a batch', () => {
  it('are there while it runs, and going on behind the last one that was seen misses none', async () => {
    upstream.script('slow', after(60, answer()));
    const { id } = await batches.create({ requests: chats(80, 'a/slow') });
    const seen: ResultLine[] = [];
    let cuts = 0;
    for (let isOver = false; !isOver;) {
      const batch = await batches.get(id);
      isOver = batch.status === 'completed';
      expect([isOver, batch.output_file_id === null]).toEqual([isOver, !isOver]);
      const last = seen.at(-1)?.id;
      seen.push(...(await batches.results(id, last === undefined ? '' : `after=${last}`)));
      if (seen.length > 0 && seen.length < 80) cuts += 1;
      await delay(100);
    }
    expect(cuts).toBeGreaterThan(1);
    expect(idsOf(seen)).toEqual(idsOf(chats(80, '')));
    const { output } = await batches.files(await batches.get(id));
    expect(seen).toEqual(output);
  });

  it('are the same lines as in the files, whatever became of them', async () => {
    const batch = await mixed();
    const { output, errors } = await batches.files(batch);
    const all = await batches.results(batch.id);
    expect(all).toHaveLength(35);
    expect(new Map(all.map((line) => [line.id, line]))).toEqual(
      new Map([...output, ...errors].map((line) => [line.id, line])),
    );
    const byStatus = async (status: string) => idsOf(await batches.results(batch.id, `status=${status}`));
    expect(await byStatus('completed')).toEqual(idsOf(chats(30, '')));
    expect(await byStatus('failed')).toEqual(['b-0', 'b-1', 'b-2']);
    expect(await byStatus('cancelled')).toEqual(['s-0', 's-1']);
    expect(await byStatus('expired')).toEqual([]);
  });

  it('come in the order of the input if that is asked for, and can be gone on with', async () => {
    const batch = await mixed();
    const lines = await batches.results(batch.id, 'order=input');
    expect(lines.map((line) => line.baton.line)).toEqual(Array.from({ length: 35 }, (_, index) => index + 1));
    const middle = lines[16]?.id ?? '';
    expect(await batches.results(batch.id, `order=input&after=${middle}`)).toEqual(lines.slice(17));
    expect(await batches.results(batch.id, `order=input&after=${lines.at(-1)?.id}`)).toEqual([]);
    const completed = await batches.results(batch.id, `order=input&status=completed&after=${middle}`);
    expect(completed).toEqual(lines.slice(17, 30));
  });

  it('are JSONL, and none before the first line has ended', async () => {
    upstream.script('stuck', hang());
    const { id } = await batches.create({ requests: [chat('one', 'a/stuck')] });
    const reply = await baton.request('GET', `/v1/batches/${id}/results`);
    expect([reply.status, reply.text]).toEqual([200, '']);
    expect(reply.headers.get('content-type')).toMatch(/^application\/(jsonl|x-ndjson)/);
    await batches.post(`${id}/cancel`);
    await batches.ended(id);
  });

  it.each([
    'after=job_00000000000000000000000000',
    'after=batch_req_00000000000000000000000000',
    'after=x',
    'status=done',
    'order=desc',
    'limit=10',
  ])('refuse what is wrong in the query: %s', async (query) => {
    const { id } = await batches.run({ requests: chats(1, 'sim/echo') });
    const { status, body } = await baton.request('GET', `/v1/batches/${id}/results?${query}`);
    expect([status, body.error?.['param']]).toEqual([400, query.split('=')[0]]);
  });
});

describe('the events of a batch', () => {
  it('tell of its progress, end with its end, and then the stream ends', async () => {
    upstream.script('slow', after(100, answer()));
    const { id } = await batches.create({ requests: chats(60, 'a/slow') });
    const stream = await EventStream.open(baton, `/v1/batches/${id}/events`);
    expect(stream.contentType).toMatch(/^text\/event-stream/);
    const events = await stream.rest();
    const names = events.map((event) => event.name);
    expect(names.at(-1)).toBe('batch.completed');
    expect(new Set(names.slice(0, -1))).toEqual(new Set(['batch.progress']));
    const told = events.map((event) => event.data as unknown as BatchReply);
    expect(new Set(told.map((batch) => batch.id))).toEqual(new Set([id]));
    const completed = told.map((batch) => batch.request_counts.completed);
    expect(completed).toEqual([...completed].sort((a, b) => a - b));
    expect(new Set(completed).size).toBeGreaterThan(2);
    expect(told.at(-1)).toEqual(await batches.get(id));
    expect(new Set(events.map((event) => event.id)).size).toBe(events.length);
  });

  it('go on behind the last one that was seen', async () => {
    upstream.script('slow', after(100, answer()));
    const { id } = await batches.create({ requests: chats(60, 'a/slow') });
    const first = await EventStream.open(baton, `/v1/batches/${id}/events`);
    const [, seen] = [await first.next(), await first.next()];
    first.close();
    const second = await EventStream.open(baton, `/v1/batches/${id}/events`, seen.id);
    const rest = await second.rest();
    expect(rest.map((event) => event.id)).not.toContain(seen.id);
    expect(rest.at(-1)?.name).toBe('batch.completed');
    const last = rest.at(-1)?.id ?? '';
    expect(await (await EventStream.open(baton, `/v1/batches/${id}/events`, last)).rest()).toEqual([]);
    const late = await (await EventStream.open(baton, `/v1/batches/${id}/events`)).rest();
    expect(late.map((event) => event.name)).toEqual(['batch.completed']);
  });

  it('tell every other end as well', async () => {
    const failed = await batches.run({ requests: [{ custom_id: 'x' }] });
    const [event] = await (await EventStream.open(baton, `/v1/batches/${failed.id}/events`)).rest();
    expect(event).toMatchObject({ name: 'batch.failed', data: { id: failed.id, errors: { total: 1 } } });
    upstream.script('stuck', hang());
    const { id } = await batches.create({ requests: chats(2, 'a/stuck') });
    const stream = await EventStream.open(baton, `/v1/batches/${id}/events`);
    await batches.post(`${id}/cancel`);
    expect((await stream.rest()).at(-1)).toMatchObject({
      name: 'batch.cancelled',
      data: { status: 'cancelled' },
    });
  });

  it('tell that it is paused, and that it is not any more', async () => {
    upstream.script('slow', after(100, answer()));
    const { id } = await batches.create({ requests: chats(60, 'a/slow') });
    const stream = await EventStream.open(baton, `/v1/batches/${id}/events`);
    await batches.post(`${id}/pause`);
    const isPaused = (data: Record<string, unknown>) => data['paused_at'] !== null;
    for (let event = await stream.next(); !isPaused(event.data);) event = await stream.next();
    await batches.post(`${id}/resume`);
    const rest = await stream.rest();
    expect(rest.some((event) => event.name === 'batch.progress' && !isPaused(event.data))).toBe(true);
    expect(rest.at(-1)?.name).toBe('batch.completed');
  });
});

describe('equal lines of a batch', () => {
  const same = (customId: string) => ({ ...chat('same', 'a/same'), custom_id: customId });

  it('run once if that is asked for, and the others share the answer at no cost', async () => {
    upstream.script('same', after(50, answer('shared')));
    const requests = ['a', 'b', 'c'].map(same);
    const batch = await batches.run({ requests: [...requests, chat('other', 'a/same')], dedupe: true });
    expect(batch).toMatchObject({
      status: 'completed',
      dedupe: true,
      request_counts: { total: 4, completed: 4 },
    });
    expect(upstream.calls('same')).toHaveLength(2);
    expect(batch.cost_usd).toBeCloseTo(2 * 0.000022, 9);
    const { output } = await batches.files(batch);
    const lines = new Map(output.map((line) => [line.custom_id, line]));
    expect(idsOf(output)).toEqual(['a', 'b', 'c', 'other']);
    const first = lines.get('a');
    expect(first?.baton).toMatchObject({ cost_usd: 0.000022, attempts: 1, shared_with: null });
    for (const id of ['b', 'c']) {
      expect(lines.get(id)?.response).toEqual(first?.response);
      expect(lines.get(id)?.id).not.toBe(first?.id);
      expect(lines.get(id)?.baton).toMatchObject({
        cost_usd: 0,
        served_by: 'a/same',
        shared_with: first?.baton.job_id,
      });
    }
    const job = await baton.job(lines.get('b')?.baton.job_id ?? '');
    expect(job).toMatchObject({ status: 'completed', custom_id: 'b', cost_usd: 0 });
  });

  it('share a failure as well', async () => {
    upstream.script('same', fail(400, 'All alike.'));
    const batch = await batches.run({ requests: ['a', 'b', 'c'].map(same), dedupe: true });
    expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: 0, failed: 3 } });
    const { errors } = await batches.files(batch);
    expect(idsOf(errors)).toEqual(['a', 'b', 'c']);
    for (const line of errors) expect(line.response).toMatchObject({ status_code: 400 });
  });

  it('run each for itself if it is not', async () => {
    upstream.script('same', answer());
    const before = upstream.calls('same').length;
    const batch = await batches.run({ requests: ['a', 'b', 'c'].map(same) });
    expect(batch).toMatchObject({ dedupe: false, request_counts: { completed: 3 } });
    expect(upstream.calls('same')).toHaveLength(before + 3);
  });

  it('are all cancelled together', async () => {
    upstream.script('same', hang());
    const { id } = await batches.create({ requests: ['a', 'b', 'c'].map(same), dedupe: true });
    await batches.until(id, ({ request_counts: counts }) => counts.in_progress > 0);
    await batches.post(`${id}/cancel`);
    const batch = await batches.ended(id);
    expect(batch).toMatchObject({ status: 'cancelled', request_counts: { total: 3, cancelled: 3 } });
    expect(idsOf((await batches.files(batch)).errors)).toEqual(['a', 'b', 'c']);
    const { body } = await baton.request('GET', `/v1/jobs?batch_id=${id}&status=cancelled`);
    expect((body['data'] as JobReply[]).length).toBe(3);
  });
});
