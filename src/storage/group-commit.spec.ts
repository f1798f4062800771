import { setImmediate as turn } from 'node:timers/promises';
import { type Company, GroupCommit } from './group-commit.js';

/** A store whose writes end when they are told to. */
class Store {
  readonly writes: { readonly items: readonly number[]; readonly company: Company }[] = [];
  private readonly ends: ((error?: Error) => void)[] = [];

  constructor(private readonly answer = (item: number, _company: Company): number | null => item * 10) {}

  readonly write = async (items: readonly number[], company: Company): Promise<(number | null)[]> => {
    this.writes.push({ items, company });
    await new Promise<void>((resolve, reject) =>
      this.ends.push((error) => (error ? reject(error) : resolve())),
    );
    return items.map((item) => this.answer(item, company));
  };

  /** Ends the write that has lasted longest. */
  async end(error?: Error): Promise<void> {
    await turn();
    this.ends.shift()?.(error);
    await turn();
  }
}

it('writes who comes alone at once, and together who comes meanwhile', async () => {
  const store = new Store();
  const group = new GroupCommit(store.write);
  const first = group.put(1);
  await turn();
  const others = [group.put(2), group.put(3)];
  await turn();
  expect(store.writes).toEqual([{ items: [1], company: 'together' }]);
  await store.end();
  await expect(first).resolves.toBe(10);
  await turn();
  expect(store.writes.slice(1)).toEqual([{ items: [2, 3], company: 'together' }]);
  await store.end();
  await expect(Promise.all(others)).resolves.toEqual([20, 30]);
});

it('writes together who comes in the same turn', async () => {
  const store = new Store();
  const group = new GroupCommit(store.write);
  const all = Promise.all([1, 2, 3].map((item) => group.put(item)));
  await store.end();
  await expect(all).resolves.toEqual([10, 20, 30]);
  expect(store.writes).toHaveLength(1);
});

it('writes no more than a hundred together', async () => {
  const store = new Store();
  const group = new GroupCommit(store.write);
  const all = Promise.all(Array.from({ length: 230 }, (_, item) => group.put(item)));
  for (let write = 0; write < 3; write += 1) await store.end();
  expect((await all)[229]).toBe(2_290);
  expect(store.writes.map(({ items }) => items.length)).toEqual([100, 100, 30]);
});

it('writes alone what was left out, and holds nobody up for it', async () => {
  const store = new Store((item, company) => (item === 2 && company === 'together' ? null : item * 10));
  const group = new GroupCommit(store.write);
  const [one, two] = [group.put(1), group.put(2)];
  await store.end();
  await expect(one).resolves.toBe(10);
  const three = group.put(3);
  await turn();
  expect(store.writes.slice(1)).toEqual([
    { items: [2], company: 'alone' },
    { items: [3], company: 'together' },
  ]);
  await store.end();
  await store.end();
  await expect(Promise.all([two, three])).resolves.toEqual([20, 30]);
});

it('writes no more than four of those who were left out at the same time, each as soon as there is room', async () => {
  const store = new Store((item, company) => (company === 'together' ? null : item * 10));
  const group = new GroupCommit(store.write);
  const all = Promise.all([1, 2, 3, 4, 5, 6].map((item) => group.put(item)));
  await store.end();
  const alone = (): readonly number[] => store.writes.slice(1).flatMap(({ items }) => items);
  expect(alone()).toEqual([1, 2, 3, 4]);
  await store.end();
  expect(alone()).toEqual([1, 2, 3, 4, 5]);
  for (let write = 0; write < 5; write += 1) await store.end();
  await expect(all).resolves.toEqual([10, 20, 30, 40, 50, 60]);
});

it('answers null for what is left out alone as well', async () => {
  const store = new Store((item) => (item === 2 ? null : item * 10));
  const group = new GroupCommit(store.write);
  const both = Promise.all([group.put(1), group.put(2)]);
  await store.end();
  await store.end();
  await expect(both).resolves.toEqual([10, null]);
});

it('fails one for what is wrong with it, and none of those who were with it', async () => {
  const store = new Store((item) => {
    if (item === 2) throw new Error('2 is wrong');
    return item * 10;
  });
  const group = new GroupCommit(store.write);
  const all = Promise.allSettled([1, 2, 3].map((item) => group.put(item)));
  for (let write = 0; write < 4; write += 1) await store.end();
  const results = await all;
  expect(
    results.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason))),
  ).toEqual([10, 'Error: 2 is wrong', 30]);
});

it('tells all of them of an outage, and asks again for nobody; the next ones are written', async () => {
  const store = new Store();
  const group = new GroupCommit(store.write);
  const all = Promise.allSettled([1, 2].map((item) => group.put(item)));
  await store.end(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
  expect((await all).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(store.writes).toHaveLength(1);
  const next = group.put(3);
  await store.end();
  await expect(next).resolves.toBe(30);
});

it('writes what is large by itself, beside the others', async () => {
  const store = new Store();
  const group = new GroupCommit(store.write, (item) => item > 100);
  const all = Promise.all([group.put(1), group.put(101), group.put(2)]);
  await turn();
  expect(store.writes).toEqual([
    { items: [101], company: 'alone' },
    { items: [1, 2], company: 'together' },
  ]);
  await store.end();
  await store.end();
  await expect(all).resolves.toEqual([10, 1_010, 20]);
});
