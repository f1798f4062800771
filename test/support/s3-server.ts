import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Config } from '../../src/config/config.js';

const BUCKET = 'files';
/** The one account that the server has. */
const KEY = 'S3RVER';

/** A server that speaks S3 over HTTP, with one empty bucket. */
export class S3Server {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    readonly config: S3Config,
  ) {}

  static async start(): Promise<S3Server> {
    const folder = await mkdtemp(join(tmpdir(), 'baton-s3-'));
    const child = spawn(process.execPath, [join(__dirname, 's3-server-main.cjs'), folder, BUCKET], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // A run of tests that is cut off has no teardown.
    process.once('exit', () => child.kill('SIGKILL'));
    const [port] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
    return new S3Server(child, folder, {
      bucket: BUCKET,
      endpoint: `http://127.0.0.1:${port.trim()}`,
      region: 'us-east-1',
      prefix: '',
      accessKeyId: KEY,
      secretAccessKey: KEY,
    });
  }

  /** As the environment of a Baton says it. */
  get env(): Record<string, string> {
    const { bucket, endpoint, accessKeyId, secretAccessKey } = this.config;
    return {
      S3_BUCKET: bucket,
      S3_ENDPOINT: endpoint ?? '',
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    };
  }

  /** The names of all files that it keeps, objects and parts of unfinished uploads alike. */
  async kept(): Promise<string[]> {
    const entries = await readdir(join(this.folder, BUCKET), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGKILL');
      await once(this.child, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}
