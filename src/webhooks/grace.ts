/** How long a rotated secret signs beside the new one, in seconds. */
export const GRACE = { normal: 24 * 3600, longest: 7 * 24 * 3600 } as const;
