/** Which ports a stranger may make us call: those on which HTTP is served, none on which something else would be talked into. PURE. */

const WELL_KNOWN = [80, 443];
const FIRST_UNPRIVILEGED = 1024;
/** Ports from 1024 on that no browser dials, because other protocols live there: https://fetch.spec.whatwg.org/#port-blocking */
const OTHER_PROTOCOLS = [
  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
  10080,
];

/** Whether a webhook may go to this port. */
export function isSafePort(port: number): boolean {
  if (port < FIRST_UNPRIVILEGED) return WELL_KNOWN.includes(port);
  return !OTHER_PROTOCOLS.includes(port);
}
