/** F12: the disk of PostgreSQL is full, and that of the log; then there is room again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BatonClient } from '../support/baton-client.js';
import { newFolder } from '../support/baton-process.js';
import { inTheLongRun } from '../support/fault-scale.js';
import { FaultWorld } from '../support/fault-world.js';
import { until } from '../support/until.js';
import { after, answer } from '../support/upstream-behaviours.js';

jest.setTimeout(180_000);

const MEGABYTE = 2 ** 20;
const DISK_MB = 160;

let world: FaultWorld;

afterEach(() => world.stop());

function* zeros(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(MEGABYTE / 4);
}

inTheLongRun(
  'F12: with no room on the disk of PostgreSQL nothing is accepted, and all goes on without a restart when there is room',
  async () => {
    world = await FaultWorld.start({ diskMb: DISK_MB });
    world.upstream.script('a', after(100, answer()));
    const [api] = await world.addAll(1);
    await world.submitMany(() => [api], 20);
    const filler = join(world.dataDir, 'filler');
    await expect(pipeline(Readable.from(zeros()), createWriteStream(filler))).rejects.toThrow('ENOSPC');

    // What is left in files that have room is used up first.
    const request = { model: 'up/a', messages: [{ role: 'user', content: 'x'.repeat(500_000) }] };
    const statuses: (number | null)[] = [];
    await until(
      'no submission is accepted',
      async () => {
        const reply = await world.trySubmit(api.api, `large-${statuses.length}`, { request });
        statuses.push(reply?.status ?? null);
        return statuses.length > 20 && statuses.slice(-10).every((status) => status !== 202);
      },
      60_000,
    );
    expect(new Set(statuses.filter((status) => status !== 202))).toEqual(new Set([503]));
    const form = new FormData();
    form.append('purpose', 'batch');
    form.append('file', new Blob([Buffer.alloc(3 * MEGABYTE, '\n')]), 'input.jsonl');
    const upload = await fetch(`${api.api.url}/v1/files`, {
      method: 'POST',
      headers: { authorization: `Bearer ${api.api.key}` },
      body: form,
    });
    expect([503, 507]).toContain(upload.status);

    await rm(filler);
    const id = await world.submit(() => [api]);
    await api.api.ended(id, 60_000);
    await world.allEnded(60_000);
    await world.check();
  },
);

inTheLongRun('F12: a log that cannot be written any more stops nothing', async () => {
  world = await FaultWorld.start();
  const { baton } = await world.add('api');
  const env = {
    PATH: process.env['PATH'],
    PORT: '0',
    BATON_DATA_DIR: await newFolder(),
    DATABASE_URL: world.databaseUrl,
    REDIS_URL: world.redis.url,
    BATON_ADMIN_KEY: baton.key,
    LOG_LEVEL: 'trace',
  };
  // Every write to it fails as it does on a disk that is full (ENOSPC).
  const child = spawn(process.execPath, [join(__dirname, '../../dist/main.js')], {
    env,
    stdio: ['ignore', 'pipe', openSync('/dev/full', 'w')],
  });
  try {
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until('it is ready', () => said.includes('Baton is ready') || child.exitCode !== null, 60_000);
    const url = /Baton is ready: (\S+)/.exec(said)?.[1];
    expect([child.exitCode, url]).toEqual([null, expect.any(String)]);
    const client = new BatonClient(String(url), baton.key);
    expect((await client.run({ model: 'sim/echo' })).status).toBe('completed');
    expect(child.exitCode).toBeNull();
    child.kill('SIGTERM');
    expect((await once(child, 'exit'))[0]).toBe(0);
  } finally {
    child.kill('SIGKILL');
  }
});
