import { bellOf } from './job-bell.js';

const rung = (priority: number, place: number, isLine = false) =>
  bellOf({ id: 'a', dispatchNo: 3, priority, isLine, place });

it('a job goes before one of a lower priority, however many of its source are rung', () => {
  const ranks = [rung(1, 0), rung(1, 1e9), rung(2, 0), rung(2, 1e9), rung(3, 0), rung(3, 1e9)].map(
    (bell) => bell.rank,
  );
  expect(ranks).toEqual([...ranks].sort((a, b) => Number(a) - Number(b)));
  expect(new Set(ranks).size).toBe(6);
});

it('of two of one priority the one whose source has less in the window goes first', () => {
  expect(Number(rung(2, 3).rank)).toBeLessThan(Number(rung(2, 4).rank));
});

it('a rank is one that the queue can hold', () => {
  expect(rung(1, 0).rank).toBe(1);
  expect(Number(rung(3, 1e9).rank)).toBeLessThan(2_097_152);
});

it('lines are heard in a queue of their own', () => {
  expect([rung(1, 0).queue, rung(1, 0, true).queue]).toEqual(['run-job', 'run-line']);
});
