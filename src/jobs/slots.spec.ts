import { setImmediate as pause } from 'node:timers/promises';
import { linesAmong, Slots } from './slots.js';

/** Work that lasts until it is told to end. */
function stage(slots: Slots) {
  const running = new Map<string, () => void>();
  return {
    running,
    begin: (name: string, isLine: boolean): void => {
      void slots.take(isLine, async () => {
        await new Promise<void>((end) => running.set(name, end));
        running.delete(name);
      });
    },
    end: async (name: string): Promise<void> => {
      running.get(name)?.();
      await pause();
    },
    names: (): string[] => [...running.keys()],
  };
}

it.each([
  [1, 1],
  [2, 1],
  [10, 9],
  [50, 45],
  [51, 45],
])('of %i slots lines may take %i', (slots, lines) => {
  expect(linesAmong(slots)).toBe(lines);
});

it('keeps a slot free of lines, in which a single job begins at once', async () => {
  const { begin, names, end } = stage(new Slots(3));
  for (const name of ['line 1', 'line 2', 'line 3']) begin(name, true);
  begin('job 1', false);
  await pause();
  expect(names()).toEqual(['line 1', 'line 2', 'job 1']);
  await end('line 1');
  expect(names()).toEqual(['line 2', 'job 1', 'line 3']);
});

it('never runs more than there are slots, and calls those who wait in their order', async () => {
  const { begin, names, end } = stage(new Slots(3));
  for (const name of ['job 1', 'job 2', 'job 3', 'job 4']) begin(name, false);
  begin('line 1', true);
  begin('job 5', false);
  await pause();
  expect(names()).toEqual(['job 1', 'job 2', 'job 3']);
  await end('job 1');
  expect(names()).toEqual(['job 2', 'job 3', 'job 4']);
  await end('job 2');
  await end('job 3');
  expect(names()).toEqual(['job 4', 'line 1', 'job 5']);
});

it('gives a slot back when the work fails', async () => {
  const slots = new Slots(1);
  const fails = slots.take(false, () => Promise.reject(new Error('no')));
  await expect(fails).rejects.toThrow('no');
  await expect(slots.take(true, () => Promise.resolve('yes'))).resolves.toBe('yes');
});
