/** The numbers by which limits are kept: the same in memory and in Redis. */

/** What `rpm` and `tpm` are counted by. */
export const MINUTE_MS = 60_000;

/**
 * How much of a minute's limit may be used at once after a rest; what is used comes back evenly. Some providers count as we do
 * (Anthropic), others by the minute or by parts of it (OpenAI). With a whole minute's worth, twice the limit could pass
 * within a minute; with none, five jobs that come together on an idle key would wait for each other. With ten
 * seconds' worth the worst minute is a sixth above the limit.
 */
export const BURST_MS = 10_000;

/** Places further away are not handed out: a line that seems so long is mostly of those who went elsewhere. */
export const LONGEST_LINE_MS = 300_000;

/** How long calls last, before one has been seen to end. */
export const FIRST_HOLD_MS = 1_000;
/** The weight of the newest call in the mean of how long they last. */
export const HOLD_WEIGHT = 0.2;
