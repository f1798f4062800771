/** What all that is measured in one run shares: where its files lie, the stores, the model's server, the users. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CleanUp } from './clean-up.js';
import type { Client } from './client.js';
import { Part } from './part.js';
import { type PrivateStores, startPrivateStores } from './private-stores.js';
import type { Upstream } from './upstream.js';

/** The roles of a Baton in one process, and of one whose API and worker have a process each. */
export const TOGETHER = ['api,worker'];
export const APART = ['api', 'worker'];

/** How the Batons of a run are started. */
export interface ArenaOptions {
  /** What each Baton's processes do; the first has the API. */
  readonly roles: readonly string[];
  /** Where each Baton process leaves a CPU profile, if anywhere. */
  readonly profileFolder: string | null;
}

export interface Arena extends ArenaOptions {
  readonly folder: string;
  readonly stores: PrivateStores;
  readonly upstream: Part<Upstream>;
  readonly upstreamUrl: string;
  readonly client: Part<Client>;
  /** How many jobs a worker runs at once, bare or not. */
  readonly concurrency: number;
}

/** How many users submit at the same time. */
export const CONNECTIONS = 100;

/** Bare BullMQ is as fast with 50; Baton is faster the more come together in what it writes. */
const CONCURRENCY = 256;

/** Starts everything that is measured; `cleanUp` stops it. */
export async function startArena(options: ArenaOptions, cleanUp: CleanUp): Promise<Arena> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-bench-'));
  cleanUp.later(() => rm(folder, { recursive: true, force: true }));
  // The embedded PostgreSQL may have to run as another user, who passes through.
  await chmod(folder, 0o711);
  const stores = await startPrivateStores(folder, cleanUp);
  const upstream = Part.start<Upstream>('upstream', cleanUp);
  const client = Part.start<Client>('client', cleanUp);
  const upstreamUrl = await upstream.ask('listen');
  return { ...options, folder, stores, upstream, upstreamUrl, client, concurrency: CONCURRENCY };
}
