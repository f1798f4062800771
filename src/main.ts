import 'reflect-metadata';
import { startBaton } from './baton.js';
import { bannerOf } from './banner.js';
import { readConfig } from './config/read-config.js';
import { problemsOfPolicies } from './policies/written-policies.js';
import { createLogger } from './telemetry/logger.js';

/** The exit code of a wrong configuration (sysexits' EX_CONFIG). */
const EXIT_CONFIG = 78;
/** What the stores may take to close, after the running calls' grace. */
const STOP_TIMEOUT_MS = 30_000;

async function main(): Promise<void> {
  const { config, problems: ofConfig, warnings, written } = readConfig(process.env, process.cwd());
  const problems = [...ofConfig, ...(await problemsOfPolicies(written))];
  if (!config || problems.length > 0) {
    process.stderr.write(`Baton can't start: ${problems.length} mistake(s) in its configuration.\n`);
    for (const problem of problems) process.stderr.write(`  - ${problem}\n`);
    process.exit(EXIT_CONFIG);
  }
  // A disk that is full, or a reader that is gone, must not end what runs.
  process.stdout.on('error', () => undefined);
  const logger = createLogger(config.logLevel);
  for (const warning of warnings) logger.warn(warning);
  process.on('unhandledRejection', (error) =>
    logger.error({ err: error }, 'An unhandled rejection: a defect'),
  );

  let isStopping = false;
  const starting = startBaton(config, logger, (why) => {
    if (isStopping) return;
    logger.fatal(`${why}; Baton stops. Start it again: nothing accepted is lost.`);
    process.exit(1);
  });
  const onSignal = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    logger.info(`${signal}: stopping; running calls have ${config.shutdownGraceMs} ms`);
    setTimeout(() => {
      logger.error('Could not stop in time: what still ran is taken up again at the next start');
      process.exit(1);
    }, config.shutdownGraceMs + STOP_TIMEOUT_MS).unref();
    void starting
      .then((baton) => baton.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error({ err: error }, 'Could not stop cleanly');
          process.exit(1);
        },
      );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  const baton = await starting;
  if (!isStopping) process.stdout.write(bannerOf(config, baton));
}

main().catch((error: unknown) => {
  process.stderr.write(`Baton can't start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
