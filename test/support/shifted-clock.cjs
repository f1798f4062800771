/**
 * Loaded before anything else (`node --require`), it gives a process a wall clock that is wrong by `CLOCK_SHIFT_MS`, and by the
 * opposite from the first SIGUSR2 on: a clock that jumps while it runs. `Date` is all that Node knows of the wall clock.
 */
const RealDate = Date;
let shiftMs = Number(process.env.CLOCK_SHIFT_MS);

globalThis.Date = class Date extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + shiftMs);
    else super(...args);
  }

  static now() {
    return RealDate.now() + shiftMs;
  }
};

process.on('SIGUSR2', () => (shiftMs = -shiftMs));
