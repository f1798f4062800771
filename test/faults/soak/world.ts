/** All that takes part in a soak, started on loopback and ended by who started it. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CleanUp } from '../../../bench/clean-up.js';
import { cleanUpBatons } from '../../support/baton-process.js';
import { Fleet } from '../../support/fleet.js';
import { type MessageStore, OwnPostgres, OwnRedis } from '../../support/own-stores.js';
import type { Form } from './forms.js';
import { MODELS, SoakUpstream } from './upstream.js';

export interface World {
  /** Where what the processes said is kept when something was wrong. */
  readonly folder: string;
  readonly messages: MessageStore;
  readonly postgres: OwnPostgres;
  readonly upstream: SoakUpstream;
  readonly fleet: Fleet;
  readonly key: string;
}

/** Starts everything; `cleanUp` ends it, and removes the files unless `keepsFiles` says otherwise then. */
export async function startWorld(
  form: Form,
  draw: () => number,
  cleanUp: CleanUp,
  keepsFiles: () => boolean,
): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-soak-'));
  // PostgreSQL may run as another user, who must get through to its files.
  await chmod(folder, 0o711);
  cleanUp.later(async () => keepsFiles() || rm(folder, { recursive: true, force: true }));
  const messages = await OwnRedis.start();
  cleanUp.later(() => messages.stop());
  const postgres = await OwnPostgres.start(folder);
  cleanUp.later(() => postgres.stop());
  const upstream = await SoakUpstream.start(draw);
  cleanUp.later(() => upstream.stop());
  const key = randomBytes(24).toString('hex');
  cleanUp.later(cleanUpBatons);
  const fleet = await Fleet.start({
    folder,
    apis: form.apis,
    workers: form.workers,
    file: configOf(upstream.origin),
    env: {
      BATON_ADMIN_KEY: key,
      ENCRYPTION_KEYS: randomBytes(32).toString('hex'),
      DATABASE_URL: postgres.url,
      REDIS_URL: messages.url,
      EGRESS_ALLOW_CIDRS: '127.0.0.0/8',
      WORKER_CONCURRENCY: String(form.concurrency),
      LOG_LEVEL: 'warn',
    },
  });
  cleanUp.later(() => fleet.stop());
  return { folder, messages, postgres, upstream, fleet, key };
}

function configOf(origin: string): object {
  const models = MODELS.map((model, index) => [
    `up/${model}`,
    { input_usd_per_mtok: 0.5 * (index + 1), output_usd_per_mtok: 2 * (index + 1) },
  ]);
  return {
    // A model that keeps failing is called all the same: what is looked at is who was called, and what was written down.
    providers: { up: { base_url: `${origin}/v1`, api_key: 'a-key-for-the-soak', protect: false } },
    models: Object.fromEntries(models),
    policies: { soak: { steps: MODELS.map((model) => ({ model: `up/${model}` })) } },
  };
}
