import { Lanes } from './lanes.js';

describe('Lanes', () => {
  it('let in as many as are wide, each lane for itself', () => {
    const lanes = new Lanes(2);
    expect([lanes.enter('a'), lanes.enter('a'), lanes.enter('a')]).toEqual([true, true, false]);
    expect([lanes.enter('b'), lanes.enter('b'), lanes.enter('b')]).toEqual([true, true, false]);
  });

  it('let in one more for each that leaves', () => {
    const lanes = new Lanes(1);
    for (let i = 0; i < 3; i++) {
      expect([lanes.enter('a'), lanes.enter('a')]).toEqual([true, false]);
      lanes.leave('a');
    }
  });

  it('let nobody leave who is not in', () => {
    const lanes = new Lanes(1);
    lanes.enter('a');
    lanes.leave('a');
    expect(() => lanes.leave('a')).toThrow('Nobody is in lane a');
  });
});
