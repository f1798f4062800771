import { setImmediate as pause } from 'node:timers/promises';
import { Turns } from './turns.js';

test('no more than a few work at once, the others in their order, whether a work fails or not', async () => {
  const turns = new Turns(2, 3);
  const [ends, seen]: [(() => void)[], string[]] = [[], []];
  const take = (name: string) =>
    turns
      .take(async () => {
        seen.push(`${name} begins`);
        await new Promise<void>((resolve) => ends.push(resolve));
        if (name === 'b') throw new Error(`${name} fails`);
        return `${name} ends`;
      })
      .catch((error: unknown) => (error as Error).message)
      .then((said) => seen.push(said));

  const all = ['a', 'b', 'c', 'd'].map(take);
  await pause();
  expect([seen.splice(0), turns.isFull]).toEqual([['a begins', 'b begins'], false]);
  all.push(take('e'));
  expect(turns.isFull).toBe(true);
  ends[1]?.();
  await pause();
  expect([seen.splice(0).toSorted(), turns.isFull]).toEqual([['b fails', 'c begins'], false]);
  for (const at of [0, 2, 3, 4]) {
    ends[at]?.();
    await pause();
  }
  await Promise.all(all);
  expect(seen).toEqual(
    expect.arrayContaining(['a ends', 'd begins', 'c ends', 'e begins', 'd ends', 'e ends']),
  );
  expect(await turns.take(() => Promise.resolve('again'))).toBe('again');
});
