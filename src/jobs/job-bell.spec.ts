import { bellOf, groupsOf } from './job-bell.js';

const rung = (priority: number, place: number, batchId: string | null = null) =>
  bellOf({ id: 'a', dispatchNo: 3, priority, batchId, place });

it('of two of one priority the one whose source has less in the window goes first', () => {
  expect(Number(rung(2, 3).rank)).toBeLessThan(Number(rung(2, 4).rank));
});

it('one of a higher priority goes before all but the first few of a lower one', () => {
  expect(Number(rung(1, 3).rank)).toBeLessThan(Number(rung(2, 1).rank));
  expect(Number(rung(2, 3).rank)).toBeLessThan(Number(rung(3, 1).rank));
});

it('the last place of each window has the same rank: none is passed by for ever', () => {
  const last = [rung(1, 2000).rank, rung(2, 500).rank, rung(3, 125).rank];
  expect(new Set(last)).toEqual(new Set([2000]));
});

it('a rank is one that the queue can hold', () => {
  expect(rung(1, 1).rank).toBe(1);
  expect(Number(rung(3, 2000).rank)).toBeLessThan(2_097_152);
});

it('lines are heard in a queue of their own', () => {
  expect([rung(1, 1).queue, rung(1, 1, 'b').queue]).toEqual(['run-job', 'run-line']);
});

it('bells of many of a batch are rung in groups, in the order of their ranks, and never with those of another', () => {
  const line = (batchId: string, place: number, isOfMany = true) =>
    bellOf({ id: `${batchId}${place}`, dispatchNo: 1, priority: 2, batchId, place, isOfMany });
  const bells = [line('b', 2), line('a', 3), line('a', 1), line('b', 1), line('a', 2)];
  const ids = groupsOf(bells, 2).map((group) => group.map(({ id }) => id));
  expect(ids).toEqual([['a1', 'a2'], ['b1', 'b2'], ['a3']]);
  expect(groupsOf(bells, 1).map(([bell]) => bell?.id)).toEqual(['a1', 'b1', 'b2', 'a2', 'a3']);
  const few = [line('c', 1, false), line('c', 2, false)];
  expect(groupsOf(few, 2).map((group) => group.map(({ id }) => id))).toEqual([['c1'], ['c2']]);
});

it('single jobs of many share a message with those of the next ranks, whosever they are; the first ones are heard by themselves', () => {
  const job = (id: string, priority: number, place: number) =>
    bellOf({ id, dispatchNo: 1, priority, batchId: null, place, isOfMany: place > 2 });
  const bells = [1, 2, 3, 4, 5, 6].flatMap((place) => [
    job(`a${place}`, 2, place),
    job(`b${place}`, 2, place),
  ]);
  const ids = groupsOf([...bells, job('c1', 2, 1)], 4).map((group) => group.map(({ id }) => id));
  expect(ids).toEqual([
    ['a1'],
    ['b1'],
    ['c1'],
    ['a2'],
    ['b2'],
    ['a3', 'b3', 'a4', 'b4'],
    ['a5', 'b5', 'a6', 'b6'],
  ]);
});
