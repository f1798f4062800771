/** The receivers that docs/webhooks.md shows, run as they stand there, and told by a real Baton. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import type { BatonClient } from '../support/baton-client.js';
import { BatonProcess, cleanUpBatons } from '../support/baton-process.js';
import { eventually } from '../support/embedded-postgres-owner.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

/** Inside the project, so that what a receiver imports is found. */
const FOLDER = join(__dirname, '../../node_modules/.cache/webhook-receivers');
const hasPython = spawnSync('python3', ['--version']).status === 0;

let database: TestDatabase;
let api: BatonClient;
const children: ChildProcess[] = [];

beforeAll(async () => {
  await mkdir(FOLDER, { recursive: true });
  database = await createTestDatabase();
  const env = { DATABASE_URL: database.url, EGRESS_ALLOW_CIDRS: '127.0.0.0/8', LOG_LEVEL: 'fatal' };
  ({ api } = await BatonProcess.start({ env }));
}, 60_000);

afterAll(async () => {
  for (const child of children) child.kill();
  await cleanUpBatons();
  await database.drop();
  await rm(FOLDER, { recursive: true, force: true });
});

/** The code block behind a mark of the page. */
async function codeOf(mark: string): Promise<string> {
  const page = await readFile(join(__dirname, '../../docs/webhooks.md'), 'utf8');
  const code = page.split(`<!-- ${mark} -->`)[1]?.split('```')[1];
  if (code === undefined) throw new Error(`docs/webhooks.md has no code behind ${mark}`);
  return code.slice(code.indexOf('\n') + 1);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a receiver; answers its URL, and what it has printed so far. */
async function start(
  command: string,
  file: string,
  secret: string,
): Promise<{ url: string; said: () => string }> {
  const port = await freePort();
  const env = { ...process.env, PORT: String(port), BATON_WEBHOOK_SECRET: secret };
  const child = spawn(command, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const url = `http://127.0.0.1:${port}/`;
  await eventually(async () => {
    const reply = await fetch(url, { method: 'POST', body: '{}' }).catch(() => null);
    return reply?.status === 401;
  });
  return { url, said: () => text };
}

const RECEIVERS: [string, () => Promise<[string, string]>][] = [
  [
    'TypeScript',
    async () => {
      const parser = { syntax: 'typescript' } as const;
      const { code } = transformSync(await codeOf('receiver.ts'), {
        jsc: { parser, target: 'es2022' },
        module: { type: 'commonjs' },
      });
      const file = join(FOLDER, 'receiver.cjs');
      await writeFile(file, code);
      return [process.execPath, file];
    },
  ],
  [
    'Python',
    async () => {
      const file = join(FOLDER, 'receiver.py');
      await writeFile(file, await codeOf('receiver.py'));
      return ['python3', file];
    },
  ],
];
const present = RECEIVERS.filter(([language]) => language !== 'Python' || hasPython);

it.each(present)(
  'the receiver in %s takes what Baton sends, once, and nothing else',
  async (_language, write) => {
    const [command, file] = await write();
    const { body } = await api.request('GET', '/v1/webhook_secret');
    const { url, said } = await start(command, file, String(body['secret']));
    // While the secret is rotated, one that has the old one goes on.
    expect((await api.request('POST', '/v1/webhook_secret/rotate')).status).toBe(200);
    const job = await api.run({ model: 'sim/echo' }, { webhook_url: url, metadata: { note: 'é 😀 \u2028' } });
    const line = `job.completed ${job.id}\n`;
    await eventually(() => said() === line);
    const deliveries = async () => (await api.request('GET', `/v1/jobs/${job.id}/deliveries`)).body['data'];
    await eventually(async () => ((await deliveries()) as { status: string }[])[0]?.status === 'succeeded');

    const [{ id }] = (await deliveries()) as [{ id: string }];
    expect((await api.request('POST', `/v1/webhook_deliveries/${id}/resend`)).status).toBe(200);
    await eventually(async () => ((await deliveries()) as { try_count: number }[])[0]?.try_count === 2);
    await eventually(async () => ((await deliveries()) as { status: string }[])[0]?.status === 'succeeded');
    expect(said()).toBe(line);

    const now = String(Math.floor(Date.now() / 1000));
    const forged = {
      'webhook-id': 'evt_1',
      'webhook-timestamp': now,
      'webhook-signature': 'v1,AAAA v1,BBBB',
    };
    expect((await fetch(url, { method: 'POST', body: '{"id":"evt_1"}', headers: forged })).status).toBe(401);
  },
);
