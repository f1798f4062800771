/**
 * `npm audit` of what is installed with Baton: fails on a high or critical finding. A registry that answers no audits
 * (a mirror often doesn't) is said aloud and is no finding; nothing else is forgiven.
 */
const { spawnSync } = require('node:child_process');

const { stdout, stderr } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' });

function fail(message) {
  console.error(message);
  process.exitCode = 1;
}

let report;
try {
  report = JSON.parse(stdout);
} catch {
  report = {};
}
const counts = report.metadata?.vulnerabilities;
if (counts !== undefined) {
  console.log(
    `audit: ${counts.critical} critical, ${counts.high} high, ${counts.moderate} moderate, ${counts.low} low`,
  );
  if (counts.critical + counts.high > 0) fail(JSON.stringify(report.vulnerabilities, null, 2));
} else if (
  [404, 405, 501].includes(report.statusCode) ||
  /^E(NOTFOUND|CONNREFUSED|AI_AGAIN|TIMEDOUT)$/.test(report.code ?? '')
) {
  console.warn('audit: NOT DONE, because the registry in use answers no audits');
} else {
  fail(`audit: no report\n${stdout}\n${stderr}`);
}
