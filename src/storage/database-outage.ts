/** Errors of the network and of name resolution on the way to the database. */
const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/**
 * SQLSTATEs of a server that is away, starting, stopping, or full: connection exceptions (08), insufficient resources (53),
 * operator intervention (57), read-only after a failover (25006) (https://www.postgresql.org/docs/current/errcodes-appendix.html).
 */
const OUTAGE_STATE = /^(08|53|57)[0-9A-Z]{3}$|^25006$/;

/** The driver and its pool throw these without any code; the last is a database closed for upkeep, of SQLSTATE 55000 as much else. */
const OUTAGE_MESSAGE =
  /is not currently accepting connections$|^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end)/;

/** Whether the error says that the database is away, starting, stopping or full: the same may work later. */
export function isDatabaseOutage(error: unknown): boolean {
  const { code, syscall, message } = fieldsOf(error);
  if (typeof code === 'string') {
    // Files may be missing as well; a missing socket is met while connecting.
    if (code === 'ENOENT') return syscall === 'connect';
    if (NETWORK_CODES.has(code) || OUTAGE_STATE.test(code)) return true;
  }
  return typeof message === 'string' && OUTAGE_MESSAGE.test(message);
}

/** By shape: errors of the system may come from another realm. */
function fieldsOf(error: unknown): Partial<Record<string, unknown>> {
  return typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {};
}
