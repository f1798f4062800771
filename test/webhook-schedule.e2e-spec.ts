/** The whole schedule of a delivery, three days of it, on a clock that the test moves: what is kept in the database is put into the past. */
import { sql } from 'kysely';
import { type Database, openDatabase } from '../src/storage/database.js';
import { toUuid } from '../src/storage/ids.js';
import type { WebhookDeliveryDto } from '../src/webhooks/webhooks.dto.js';
import { eventually } from './support/embedded-postgres-owner.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';
import { TestBaton } from './support/test-baton.js';
import { WebhookReceiver } from './support/webhook-receiver.js';

const SECOND = 1;
const MINUTE = 60;
const HOUR = 3600;
/** What the documentation promises between each try and the next, in seconds. */
const PROMISED = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];
/** What the test's own machine may add to a wait. */
const SLACK = 2;

let database: TestDatabase;
let db: Database;
let baton: TestBaton;
let receiver: WebhookReceiver;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, () => undefined);
  receiver = await WebhookReceiver.start();
  baton = await TestBaton.start({ database });
});

afterAll(async () => {
  await baton.stop();
  await db.destroy();
  await receiver.close();
  await database.drop();
});

/** Lets so many seconds pass for a delivery. */
async function pass(deliveryId: string, seconds: number): Promise<void> {
  const by = sql`make_interval(secs => ${seconds})`;
  await sql`update webhook_deliveries set due_at = due_at - ${by}, created_at = created_at - ${by}
    where id = ${deliveryId}`.execute(db);
  await sql`update webhook_tries set started_at = started_at - ${by} where delivery_id = ${deliveryId}`.execute(
    db,
  );
}

async function deliveryOf(jobId: string): Promise<WebhookDeliveryDto> {
  const { body } = await baton.request('GET', `/v1/jobs/${jobId}/deliveries`);
  const [delivery] = body['data'] as WebhookDeliveryDto[];
  if (!delivery) throw new Error('There is no delivery');
  return delivery;
}

/** How long the delivery waits from now on, in seconds by the database's clock, once its try number `tries` has ended. */
async function waitAfter(jobId: string, tries: number): Promise<number> {
  await eventually(async () => {
    const delivery = await deliveryOf(jobId);
    return delivery.try_count === tries && delivery.tries.at(-1)?.error !== null;
  });
  const id = toUuid('whd', (await deliveryOf(jobId)).id);
  const { rows } = await sql<{ wait: number }>`
    select extract(epoch from due_at - now())::float8 as wait from webhook_deliveries where id = ${id}`.execute(
    db,
  );
  return rows[0]?.wait ?? NaN;
}

it('is tried ten times in about seventy-five hours, each wait within a fifth of what is promised', async () => {
  receiver.script('/never', { status: 500 });
  const job = await baton.run({ model: 'sim/echo' }, { webhook_url: receiver.url('/never') });
  let total = 0;
  for (const [index, promised] of PROMISED.entries()) {
    const wait = await waitAfter(job.id, index + 1);
    expect(wait).toBeGreaterThan(promised * 0.8 - SLACK);
    expect(wait).toBeLessThanOrEqual(promised * 1.2);
    total += wait;
    const id = String(toUuid('whd', (await deliveryOf(job.id)).id));
    // Not a moment before it is due.
    if (wait > 60) {
      await pass(id, wait - 30);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(receiver.received('/never')).toHaveLength(index + 1);
      await pass(id, 30);
    } else await pass(id, wait);
    await receiver.waitFor('/never', index + 2);
  }
  await eventually(async () => (await deliveryOf(job.id)).status === 'failed');
  expect(await deliveryOf(job.id)).toMatchObject({ try_count: 10, next_try_at: null });
  expect(total / HOUR).toBeGreaterThan(75.6 * 0.8);
  expect(total / HOUR).toBeLessThan(75.6 * 1.2);
  const ids = receiver.received('/never').map((request) => request.headers['webhook-id']);
  expect([ids.length, new Set(ids).size]).toEqual([10, 1]);

  // Sent anew, it has the whole schedule before it again.
  const { id } = await deliveryOf(job.id);
  await baton.request('POST', `/v1/webhook_deliveries/${id}/resend`);
  const wait = await waitAfter(job.id, 11);
  expect(wait).toBeLessThanOrEqual(6);
  expect(receiver.received('/never')).toHaveLength(11);
}, 60_000);
