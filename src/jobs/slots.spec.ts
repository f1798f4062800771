import { setImmediate as pause } from 'node:timers/promises';
import { linesAmong, messagesFor, Slots } from './slots.js';

/** Longer than any test. */
const PATIENT_MS = 60_000;

/** Work that lasts until it is told to end. */
function stage(slots: Slots) {
  const running = new Map<string, () => void>();
  return {
    running,
    begin: (name: string, isLine: boolean): void => {
      void slots.take(isLine, PATIENT_MS).then((leave) => {
        if (leave === null) return;
        running.set(name, () => {
          running.delete(name);
          leave();
        });
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

it('sends away who found no slot in time, and holds none for him', async () => {
  const slots = new Slots(2);
  const leave = await slots.take(true, 20);
  expect(leave).not.toBeNull();
  const [line, next] = [slots.take(true, 20), slots.take(true, PATIENT_MS)];
  await expect(line).resolves.toBeNull();
  leave?.();
  await expect(next).resolves.toEqual(expect.any(Function));
  await expect(slots.take(false, 20)).resolves.toEqual(expect.any(Function));
});

it.each([
  [1, 2, 2],
  [10, 2, 2],
  [20, 2, 4],
  [50, 5, 10],
  [100, 10, 10],
  [5_000, 16, 10],
])('with %i slots a process has %i messages of jobs and %i of lines in its hands', (slots, jobs, lines) => {
  expect(messagesFor(slots)).toEqual({ jobs, lines });
});
