const UNIT_SECONDS = { m: 60, h: 3_600, d: 86_400 } as const;
const LEAST_SECONDS = 15 * UNIT_SECONDS.m;
const MOST_SECONDS = 7 * UNIT_SECONDS.d;

/** What is right where a window is wrong. */
export const WINDOW_RULE = "must be '24h', or any time from '15m' to '7d' in minutes, hours or days";

/** The seconds of a completion window such as `24h`, `15m` or `7d`; null if it is none, or not within 15 minutes to 7 days. */
export function windowSeconds(text: string): number | null {
  const [, digits = '', unit = ''] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  if (unit !== 'm' && unit !== 'h' && unit !== 'd') return null;
  const seconds = Number(digits) * UNIT_SECONDS[unit];
  return seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS ? seconds : null;
}
