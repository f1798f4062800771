import { RoomBell } from './room-bell.js';

/** A bell; how many wait at each model; and who was called, in order. */
function start(waiting: Record<string, number>) {
  const bell = new RoomBell();
  const called: string[] = [];
  bell.onRoom((model, room) => {
    called.push(`${room} of ${model}`);
    const came = Math.min(room, waiting[model] ?? 0);
    waiting[model] = (waiting[model] ?? 0) - came;
    return Promise.resolve(came);
  });
  const park = (model: string, since = bell.now()) => bell.park({ model, since });
  const ring = async (models: string[], places = 1, room = Infinity) => {
    bell.ring(
      models.map((model) => ({ model, room })),
      places,
    );
    await settled();
  };
  return { bell, called, park, ring };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('nobody is called because he waits', async () => {
  const { park, called } = start({ 'p/a': 100 });
  for (let n = 0; n < 100; n += 1) park('p/a');
  await settled();
  expect(called).toEqual([]);
});

test('as many are called as there are places, and no more than the model has room for', async () => {
  const { park, ring, called } = start({ 'p/a': 100 });
  park('p/a');
  await ring(['p/a'], 1);
  await ring(['p/a'], 5, 3);
  await ring(['p/a'], 5, 0);
  await ring(['p/a'], Infinity);
  expect(called).toEqual(['1 of p/a', '3 of p/a', '50 of p/a']);
});

test('where nobody is found nobody is called again, until somebody waits', async () => {
  const { park, ring, called } = start({});
  park('p/a');
  await ring(['p/a']);
  await ring(['p/a']);
  park('p/a');
  await ring(['p/a']);
  expect(called).toEqual(['1 of p/a', '1 of p/a']);
});

test('who asked before room was made that nobody was there to have is called, and nobody after him', async () => {
  const { bell, park, ring, called } = start({ 'p/a': 3 });
  const before = bell.now();
  await ring(['p/a']);
  const after = bell.now();
  park('p/a', after);
  expect(called).toEqual([]);
  park('p/a', before);
  park('p/a', before);
  await settled();
  expect(called).toEqual(['1 of p/a']);
});

test('a place that several models may have goes to one of them, in turn', async () => {
  const { park, ring, called } = start({ 'p/a': 2, 'p/b': 2 });
  park('p/a');
  park('p/b');
  for (let n = 0; n < 3; n += 1) await ring(['p/a', 'p/b']);
  expect(called).toEqual(['1 of p/a', '1 of p/b', '1 of p/a']);
});

test('what nobody of one model takes another one gets', async () => {
  const { park, ring, called } = start({ 'p/a': 0, 'p/b': 2 });
  park('p/a');
  park('p/b');
  await ring(['p/a', 'p/b']);
  expect(called).toEqual(['1 of p/a', '1 of p/b']);
});

test('who begins to wait while others are looked for is not missed', async () => {
  const bell = new RoomBell();
  const came = [0, 1];
  bell.onRoom(async () => {
    const answer = came.shift() ?? 0;
    if (answer === 0) bell.park({ model: 'p/a', since: bell.now() });
    return Promise.resolve(answer);
  });
  bell.park({ model: 'p/a', since: bell.now() });
  bell.ring([{ model: 'p/a', room: 1 }], 1);
  await settled();
  expect(came).toEqual([]);
});
