const { mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '../..');

/** The names of the tests of a file that failed; the file itself if it could not run at all. */
function failuresOf({ testFilePath, testExecError, testResults, displayName }) {
  const file = `${displayName?.name ?? ''} ${path.relative(ROOT, testFilePath)}`.trim();
  if (testExecError) return [file];
  return testResults
    .filter(({ status }) => status === 'failed')
    .map(({ fullName, failureMessages }) => {
      const [said = ''] = failureMessages.join('\n').split('\n', 1);
      return `${file}: ${fullName}: ${said.slice(0, 200)}`;
    });
}

/** Leaves what `.ci/run` tells at its end: a run's counts, and what failed. A file that could not run counts as one failed test. */
class SummaryReporter {
  onRunComplete(_contexts, results) {
    const summary = {
      passed: results.numPassedTests,
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: results.numPendingTests + results.numTodoTests,
      failures: results.testResults.flatMap(failuresOf),
    };
    const file = path.join(ROOT, 'node_modules/.cache/jest-summary.json');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(summary));
  }
}

module.exports = SummaryReporter;
