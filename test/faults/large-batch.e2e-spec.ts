/** A batch as large as one may be: fifty thousand lines in 200 MB, one in a hundred of them bad. Nothing is lost, and nothing comes twice. */
import { BatchClient, type BatchReply, type ResultLine } from '../support/batch-client.js';
import { BatchLines } from '../support/batch-lines.js';
import { BatonProcess, cleanUpBatons } from '../support/baton-process.js';
import { scaled } from '../support/fault-scale.js';
import { type RunningRedis, startRedis } from '../support/redis-server.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

/** All that a batch may have, in the long run. */
const REQUESTS = scaled(5_000, 50_000);
const FILE_BYTES = (200 * 2 ** 20 * REQUESTS) / 50_000;
const READ_TIMEOUT_MS = 180_000;
const RUN_TIMEOUT_MS = 1_200_000;

const input = new BatchLines({
  seed: 50,
  requests: REQUESTS,
  badShare: 0.01,
  textBytes: 3500,
  blankShare: 0.01,
});

let database: TestDatabase;
let redis: RunningRedis;
let baton: BatonProcess;
let client: BatchClient;
let inputFileId: string;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  const env = {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    WORKER_CONCURRENCY: '50',
    LOG_LEVEL: 'fatal',
  };
  baton = await BatonProcess.start({ env });
  client = new BatchClient(baton.api);
  inputFileId = await client.upload(input);
}, READ_TIMEOUT_MS);

afterAll(async () => {
  await cleanUpBatons();
  await Promise.all([database.drop(), redis.kill()]);
});

/** Which bad lines a batch tells of; there are fewer than it shows. */
function toldOf(batch: BatchReply): unknown[] {
  return (batch.errors?.data ?? []).map(({ line, code, param }) => ({ line, code, param }));
}

const badLines = input.bad.map(({ line, code, param }) => ({ line, code, param }));

it('is as large as it is meant to be', async () => {
  const { body } = await baton.api.request('GET', `/v1/files/${inputFileId}`);
  expect(body['bytes']).toBeGreaterThan(0.9 * FILE_BYTES);
  expect(body['bytes']).toBeLessThanOrEqual(FILE_BYTES);
  expect(input.bad.length).toBeGreaterThan(REQUESTS / 125);
  expect(input.bad.length + input.good.length).toBe(REQUESTS);
});

it(
  'fails with every bad line told, and nothing of it runs',
  async () => {
    const batch = await client.run({ input_file_id: inputFileId }, READ_TIMEOUT_MS);
    expect([batch.status, batch.errors?.total]).toEqual(['failed', input.bad.length]);
    expect(toldOf(batch)).toEqual(badLines);
    expect(batch.usage.total_tokens).toBe(0);
    const { body } = await baton.api.request('GET', `/v1/jobs?batch_id=${batch.id}`);
    expect(body['data']).toEqual([]);
  },
  READ_TIMEOUT_MS,
);

it(
  'runs its good lines if it accepts bad ones, and answers every line exactly once',
  async () => {
    const fields = { input_file_id: inputFileId, accept_invalid_lines: true };
    const batch = await client.run(fields, RUN_TIMEOUT_MS);
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: {
        total: REQUESTS,
        completed: input.good.length,
        failed: input.bad.length,
        in_progress: 0,
        cancelled: 0,
        expired: 0,
      },
    });
    expect(toldOf(batch)).toEqual(badLines);

    const open = new Map(input.good.map(({ line, customId }) => [customId, line]));
    const wrong: ResultLine[] = [];
    const outputLines = await client.eachLine(`/v1/files/${batch.output_file_id}/content`, (line) => {
      const isRight = open.get(line.custom_id ?? '') === line.baton.line && isEcho(line);
      if (!isRight && wrong.length < 5) wrong.push(line);
      open.delete(line.custom_id ?? '');
    });
    expect([wrong, open.size, outputLines]).toEqual([[], 0, input.good.length]);

    const errors = await client.lines(batch.error_file_id);
    errors.sort((a, b) => a.baton.line - b.baton.line);
    expect(
      errors.map(({ custom_id: customId, error, baton: { line } }) => [line, customId, error?.code]),
    ).toEqual(input.bad.map(({ line, customId, code }) => [line, customId, code]));
  },
  RUN_TIMEOUT_MS + READ_TIMEOUT_MS,
);

/** Whether a line has the answer to its own request. */
function isEcho({ custom_id: customId, response }: ResultLine): boolean {
  const index = Number(customId?.split('-')[1]);
  return (
    response?.status_code === 200 && JSON.stringify(response.body).includes(input.textOf(index).trimEnd())
  );
}
