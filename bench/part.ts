/** The parts of a measurement run in processes of their own, so that the CPU of each can be told. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { CleanUp } from './clean-up.js';

/** What a part does when asked. Input and result travel as JSON. */
type Command = (...input: never[]) => Promise<unknown>;
type Commands<C> = { readonly [K in keyof C]: Command };

interface Question {
  readonly command: string;
  readonly input: readonly never[];
}
type Reply = { readonly value?: unknown; readonly error?: string };

/** A process of the benchmark's own, seen from the one that asks. */
export class Part<C extends Commands<C>> {
  private readonly gone = new AbortController();

  private constructor(
    private readonly child: ChildProcess,
    readonly pid: number,
  ) {
    const endWithUs = (): void => void child.kill('SIGKILL');
    process.once('exit', endWithUs);
    child.once('exit', () => {
      process.removeListener('exit', endWithUs);
      this.gone.abort();
    });
  }

  /** Starts the process that runs `file`, which must call {@link answer}; `cleanUp` ends it. Throws if it can't be started. */
  static start<C extends Commands<C>>(file: string, cleanUp: CleanUp): Part<C> {
    const child = fork(join(__dirname, file), { execArgv: ['--require', join(__dirname, 'typescript.cjs')] });
    if (child.pid === undefined) throw new Error(`${file} did not start`);
    const part = new Part<C>(child, child.pid);
    cleanUp.later(() => part.stop());
    return part;
  }

  /** Asks for one thing and waits for what comes of it; one question at a time. Throws what the part threw. */
  async ask<K extends keyof C & string>(
    command: K,
    ...input: Parameters<C[K]>
  ): Promise<Awaited<ReturnType<C[K]>>> {
    const replied = once(this.child, 'message', { signal: this.gone.signal }) as Promise<[Reply]>;
    this.child.send({ command, input });
    const [reply] = await replied;
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply.value as Awaited<ReturnType<C[K]>>;
  }

  private async stop(): Promise<void> {
    if (this.gone.signal.aborted) return;
    const left = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await left;
  }
}

/** Makes this process a part that does these things when it is asked; it ends when nobody is left who could ask. */
export function answer<C extends Commands<C>>(commands: C): void {
  process.once('disconnect', () => process.exit(0));
  process.on('message', ({ command, input }: Question) => {
    const work = commands[command as keyof C];
    void Promise.resolve(work(...input)).then(
      (value) => process.send?.({ value }),
      (error: Error) => process.send?.({ error: error.stack ?? error.message }),
    );
  });
}
