/** F17: a batch with bad lines of every kind; its worker is killed at random moments from its first line to its last. */
import { setTimeout as delay } from 'node:timers/promises';
import { BatchClient } from '../support/batch-client.js';
import { BatchLines } from '../support/batch-lines.js';
import { draw, inTheLongRun, seed } from '../support/fault-scale.js';
import { FaultWorld } from '../support/fault-world.js';

const LINES = 50_000;
const KILLS = 20;
jest.setTimeout(240_000 + KILLS * 30_000);

let world: FaultWorld;

beforeAll(async () => {
  world = await FaultWorld.start();
});
afterAll(() => world.stop());

inTheLongRun(
  `F17: ${LINES} lines, one in a hundred bad, read and run through ${KILLS} kills, each have one answer (FAULTS_SEED=${seed})`,
  async () => {
    const input = new BatchLines({
      seed,
      requests: LINES,
      badShare: 0.01,
      blankShare: 0.01,
      byteOrderMark: true,
      lineEnd: '\r\n',
      endsLast: false,
    });
    const api = await world.add('api');
    const client = new BatchClient(api.api);
    const made = await client.create({
      input_file_id: await client.upload(input),
      accept_invalid_lines: true,
    });
    let worker = await world.add('worker');
    for (let kill = 0; kill < KILLS; kill++) {
      await delay(draw() * 6_000);
      worker = await world.replace(worker, 'worker');
    }
    const batch = await client.ended(made.id, 240_000);
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: {
        total: LINES,
        completed: input.good.length,
        failed: input.bad.length,
        in_progress: 0,
      },
    });
    const { output, errors } = await client.files(batch);
    expect(output.map((each) => String(each.custom_id)).sort()).toEqual(
      input.good.map((each) => each.customId).sort(),
    );
    expect(new Map(errors.map((each) => [each.baton.line, each.error?.code]))).toEqual(
      new Map(input.bad.map((each) => [each.line, each.code])),
    );
    expect(errors).toHaveLength(input.bad.length);
    const figures = await world.check();
    expect(figures.batches).toBe(1);
  },
);
