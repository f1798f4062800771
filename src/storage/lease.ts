/**
 * How work is held: jobs, deliveries and steps of batches alike, by the database's clock. A claim holds for so long, and is renewed
 * by whoever lives: of a process that is gone, another one takes over after this time.
 */
export const LEASE_SECONDS = 10;
/** Three renewals may fail before a lease runs out. */
export const RENEW_EVERY_MS = 3_000;
/** After an outage of the database all leases have run out although their holders live: nobody takes over for this long. */
export const RENEWAL_GRACE_MS = 2 * RENEW_EVERY_MS;
