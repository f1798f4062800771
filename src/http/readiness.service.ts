import { Injectable, type OnModuleDestroy } from '@nestjs/common';

/** How long one check may take. */
const CHECK_TIMEOUT_MS = 1000;

interface Check {
  readonly run: () => Promise<void>;
  readonly isRequired: boolean;
}

/** What `/readyz` answers. It is seen without a key, so it says which part fails, never why. */
export interface Readiness {
  /** `degraded`: a part that is not required fails, and requests are still served. */
  readonly status: 'ok' | 'degraded' | 'unavailable' | 'shutting_down';
  readonly checks: Readonly<Record<string, 'ok' | 'failed' | 'timeout'>>;
}

/** Knows whether this process can serve. Rooms register what they need; the start says when it ends. */
@Injectable()
export class ReadinessService implements OnModuleDestroy {
  private readonly checks = new Map<string, Check>();
  private isStopping = false;

  /** `check` resolves if the part works, and throws if not; it must end by itself sooner or later. */
  register(name: string, check: () => Promise<void>, options: { required: boolean }): void {
    this.checks.set(name, { run: check, isRequired: options.required });
  }

  /** From now on every new request is refused, but for health and metrics. */
  shuttingDown(): void {
    this.isStopping = true;
  }

  get isShuttingDown(): boolean {
    return this.isStopping;
  }

  onModuleDestroy(): void {
    this.shuttingDown();
  }

  async read(): Promise<Readiness> {
    if (this.isStopping) return { status: 'shutting_down', checks: {} };
    const results = await Promise.all(
      [...this.checks].map(async ([name, check]) => ({
        name,
        isRequired: check.isRequired,
        result: await outcomeOf(check),
      })),
    );
    const failed = results.filter(({ result }) => result !== 'ok');
    const isUnavailable = failed.some(({ isRequired }) => isRequired);
    return {
      status: isUnavailable ? 'unavailable' : failed.length > 0 ? 'degraded' : 'ok',
      checks: Object.fromEntries(results.map(({ name, result }) => [name, result])),
    };
  }
}

async function outcomeOf(check: Check): Promise<'ok' | 'failed' | 'timeout'> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<'timeout'>((resolve) => {
    timer = setTimeout(resolve, CHECK_TIMEOUT_MS, 'timeout');
  });
  try {
    return await Promise.race([check.run().then(() => 'ok' as const), timeout]);
  } catch {
    return 'failed';
  } finally {
    clearTimeout(timer);
  }
}
