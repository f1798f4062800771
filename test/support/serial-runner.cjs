const { default: TestRunner } = require('jest-runner');

/** Runs its files one after the other, with nothing beside them: what they measure is not another test's work. */
class SerialRunner extends TestRunner {
  isSerial = true;
}

module.exports = SerialRunner;
