/**
 * A process that owns an embedded PostgreSQL, as Baton does, for tests that kill it. It says what happens in lines of
 * JSON on standard output, and stops the server when its standard input ends.
 */
const { startEmbeddedPostgres } = require('../../dist/storage/embedded-postgres.js');

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

process.on('SIGINT', () => say({ interrupted: true }));

async function main() {
  try {
    const server = await startEmbeddedPostgres({
      dataDir: process.argv[2],
      log: (message) => say({ log: message }),
      onExit: (exit) => say({ exit }),
    });
    say({ ready: server.connectionString });
    process.stdin.resume().once('end', () => void server.stop().then(() => say({ stopped: true })));
  } catch (error) {
    say({ refused: error.message, name: error.name });
    process.exitCode = 1;
    process.stdin.destroy();
  }
}

void main();
