import { ConnectionLine } from './connection-line.js';

/** A connection that is given out, or not, when the test says so. */
function pending() {
  let give: (connection: string) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const promise = new Promise<string>((resolve, reject) => {
    give = resolve;
    fail = reject;
  });
  return { promise, give, fail };
}

it('knows how long the first in line has waited, and tells of it when he is served', async () => {
  const line = new ConnectionLine();
  const waits: number[] = [];
  line.onServed((seconds) => waits.push(seconds));
  expect(line.longestWaitMs).toBe(0);
  const [first, second] = [pending(), pending()];
  const one = line.wait(() => first.promise, true);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const two = line.wait(() => second.promise, true);
  const firstMs = line.longestWaitMs;
  expect(firstMs).toBeGreaterThan(25);
  const secondCameMs = performance.now();
  first.give('a');
  expect(await one).toBe('a');
  // Now the second is the first, who came 30 ms after.
  expect(line.longestWaitMs).toBeLessThan(firstMs + performance.now() - secondCameMs - 20);
  second.give('b');
  await two;
  expect(line.longestWaitMs).toBe(0);
  expect(waits[0]).toBeGreaterThan(0.025);
  expect(waits).toHaveLength(2);
});

it('takes the database for away when nobody was served since the one who failed came, until somebody is', async () => {
  const line = new ConnectionLine();
  await expect(line.wait(() => Promise.reject(new Error('refused')), true)).rejects.toThrow('refused');
  expect(line.isDatabaseAway).toBe(true);
  await line.wait(() => Promise.resolve('a'), true);
  expect(line.isDatabaseAway).toBe(false);
});

it('takes no database for away in which others were served while one waited too long', async () => {
  const line = new ConnectionLine();
  const slow = pending();
  const waiting = line.wait(() => slow.promise, true);
  await line.wait(() => Promise.resolve('a'), true);
  slow.fail(new Error('timeout'));
  await expect(waiting).rejects.toThrow('timeout');
  expect(line.isDatabaseAway).toBe(false);
});
