/** The peer that a user would pick: Portkey's gateway, with the same fallback. Synchronous, and nothing written down. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import type { Arena } from './arena.js';
import type { CleanUp } from './clean-up.js';
import { type Contender, expectAll, type Work } from './contender.js';
import { type Round, startMeter } from './meter.js';
import { requestBody } from './request-body.js';

const MAIN = join(dirname(require.resolve('@portkey-ai/gateway/package.json')), 'build/start-server.js');
/** With more it is slower. */
const CONNECTIONS = 50;
const MOST_START_MS = 20_000;

export class GatewayContender implements Contender {
  private constructor(
    private readonly arena: Arena,
    private readonly child: ChildProcess,
    private readonly url: string,
  ) {}

  static async start(arena: Arena, cleanUp: CleanUp): Promise<GatewayContender> {
    const port = await freePort();
    const child = spawn(process.execPath, [MAIN, `--port=${port}`, '--headless'], {
      env: { PATH: process.env['PATH'], NODE_ENV: 'production' },
      stdio: 'ignore',
    });
    cleanUp.later(async () => {
      const left = once(child, 'exit');
      child.kill('SIGKILL');
      await left;
    });
    const url = `http://127.0.0.1:${port}`;
    const endMs = performance.now() + MOST_START_MS;
    while (!(await isUp(url))) {
      if (performance.now() > endMs || child.exitCode !== null) throw new Error('The gateway did not start');
      await delay(100);
    }
    return new GatewayContender(arena, child, url);
  }

  async round({ jobs, isFlaky }: Work): Promise<Round> {
    const { arena } = this;
    const callsBefore = await arena.upstream.ask('calls');
    const meter = startMeter(arena.stores, [this.child.pid ?? 0]);
    await arena.client.ask('send', {
      url: this.url,
      path: '/v1/chat/completions',
      headers: { 'x-portkey-config': JSON.stringify(this.configOf(isFlaky)) },
      body: requestBody('instant'),
      jobs,
      connections: CONNECTIONS,
    });
    const round = meter(jobs);
    expectAll(jobs, { calls: (await arena.upstream.ask('calls')) - callsBefore });
    return round;
  }

  private configOf(isFlaky: boolean): object {
    const paths = [...(isFlaky ? ['/fails/30'] : []), ''];
    return {
      strategy: { mode: 'fallback' },
      targets: paths.map((path) => ({
        provider: 'openai',
        api_key: 'k',
        custom_host: `${this.arena.upstreamUrl}${path}/v1`,
      })),
    };
  }
}

async function isUp(url: string): Promise<boolean> {
  try {
    const reply = await request(url);
    await reply.body.dump();
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
