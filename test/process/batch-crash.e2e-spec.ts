/**
 * The worker is killed while it reads a batch's input, runs its lines and writes its output: no line is lost, doubled or told
 * twice. `CRASH_SEED` repeats the moments of an earlier run.
 */
import { randomInt } from 'node:crypto';
import { BatchClient, type BatchReply } from '../support/batch-client.js';
import { BatchLines } from '../support/batch-lines.js';
import { BatonProcess, cleanUpBatons } from '../support/baton-process.js';
import { type RunningRedis, startRedis } from '../support/redis-server.js';
import { drawFrom } from '../support/simulated-world.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

jest.setTimeout(240_000);

const KEY = 'a-key-for-the-tests';
const seed = Number(process.env['CRASH_SEED'] ?? randomInt(1_000_000));

let database: TestDatabase;
let redis: RunningRedis;
let api: BatonProcess;
let client: BatchClient;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  api = await start('api');
  client = new BatchClient(api.api);
});
afterAll(async () => {
  await cleanUpBatons();
  await Promise.all([database.drop(), redis.kill()]);
});

async function start(roles: string): Promise<BatonProcess> {
  return BatonProcess.start({
    env: {
      ROLES: roles,
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      BATON_ADMIN_KEY: KEY,
      LOG_LEVEL: 'fatal',
    },
  });
}

/** Kills so many workers, each when it has brought the batch so far and a little further; the share comes from `draw`. */
async function killAlong(
  batchId: string,
  kills: number,
  draw: () => number,
  shareOf: (batch: BatchReply) => number,
): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    const worker = await start('worker');
    const share = (kill + draw()) / (kills + 1);
    const batch = await client.until(batchId, (each) => shareOf(each) > share, 60_000);
    await worker.kill9();
    // Else nothing was cut off, and the test would say nothing.
    expect(shareOf(batch)).toBeLessThan(1);
  }
}

it(`an input that is read through crashes is read whole, each line once (CRASH_SEED=${seed})`, async () => {
  const requests = 20_000;
  const input = new BatchLines({ seed, requests, textBytes: 1_500, badShare: 0.01, blankShare: 0.01 });
  const made = await client.create({
    input_file_id: await client.upload(await input.bytes()),
    accept_invalid_lines: true,
  });
  // Nothing runs, so what stands there at the end is what was read.
  await client.post(`${made.id}/pause`);
  await killAlong(made.id, 2, drawFrom(seed), (batch) => batch.request_counts.total / requests);
  const worker = await start('worker');
  const batch = await client.until(made.id, ({ status }) => status === 'in_progress', 120_000);
  await client.post(`${made.id}/cancel`);
  const ended = await client.ended(made.id, 120_000);
  await worker.term();

  expect(batch.request_counts).toMatchObject({ total: requests, failed: input.bad.length });
  const { output, errors } = await client.files(ended);
  expect(output).toEqual([]);
  const lines = errors.map((each) => each.baton.line).sort((a, b) => a - b);
  expect(lines).toEqual([...input.good, ...input.bad].map((each) => each.line).sort((a, b) => a - b));
  const told = errors.filter((each) => each.error?.code !== 'batch_cancelled');
  expect(told.map((each) => [each.baton.line, each.error?.code])).toEqual(
    input.bad.map((each) => [each.line, each.code]),
  );
});

it(`a batch that runs through crashes gives each line one answer (CRASH_SEED=${seed})`, async () => {
  const requests = 1_200;
  const input = new BatchLines({ seed: seed + 1, requests, badShare: 0.01 });
  const made = await client.create({
    input_file_id: await client.upload(await input.bytes()),
    accept_invalid_lines: true,
  });
  await killAlong(made.id, 2, drawFrom(seed), (each) => each.request_counts.completed / input.good.length);
  const worker = await start('worker');
  const batch = await client.ended(made.id, 120_000);
  await worker.term();

  expect(batch).toMatchObject({
    status: 'completed',
    request_counts: {
      total: requests,
      completed: input.good.length,
      failed: input.bad.length,
      in_progress: 0,
    },
  });
  const { output, errors } = await client.files(batch);
  const customIds = output.map((each) => String(each.custom_id)).sort();
  expect(customIds).toEqual(input.good.map((each) => each.customId).sort());
  expect(errors.map((each) => each.baton.line)).toEqual(input.bad.map((each) => each.line));
  // What a second reader is told, line by line, is the same.
  expect(await client.results(batch.id)).toEqual(output);
});
