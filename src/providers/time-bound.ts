/** Work on what strangers wrote, stopped from outside when it takes too long: the loop of the process is everybody's. */
import { createContext, Script } from 'node:vm';
import { at } from './json.js';

const sandbox: { run: () => unknown } = { run: () => undefined };
const context = createContext(sandbox);
const script = new Script('run()');

/**
 * What `run` gives; null if it was stopped after `timeoutMs` milliseconds. Whatever `run` has built up may then be half done and
 * must be thrown away. Throws what `run` throws. Not a wall against hostile code, only against slow work.
 */
export function runWithin<Result>(timeoutMs: number, run: () => Result): { readonly result: Result } | null {
  sandbox.run = () => ({ result: run() });
  try {
    return script.runInContext(context, { timeout: timeoutMs }) as { result: Result };
  } catch (error) {
    if (at(error, 'code') === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return null;
    throw error;
  }
}
