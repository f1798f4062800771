/** How a socket of the egress room comes to be: every address is checked before it is dialled, and the checked one is dialled. */
import { lookup as systemLookup, Resolver } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { callbackify } from 'node:util';
import { buildConnector } from 'undici';

/** Gives all addresses of a host name; rejects with a system error (`ENOTFOUND`) if there are none. */
export type HostResolver = (hostname: string) => Promise<readonly string[]>;

/** Asks the system's resolver, as Node itself does. */
export const resolveHost: HostResolver = async (hostname) => {
  const found = await systemLookup(hostname, { all: true });
  return found.map((entry) => entry.address);
};

/** How long one server of names may take for one question of {@link resolveInDns}, and how often it is asked. */
const DNS_TIMEOUT_MS = 2_000;
const DNS_TRIES = 2;

/**
 * Asks DNS itself, for names that strangers give. The system's resolver takes one of Node's few threads for as long as a name server
 * keeps it waiting: two names whose servers never answer would stop the look-ups of everybody else. So names in `/etc/hosts` and
 * search domains do not count here.
 */
export const resolveInDns: HostResolver = async (hostname) => {
  // RFC 6761, 6.3: no server is asked for these.
  if (/^(.+\.)?localhost\.?$/i.test(hostname)) return ['127.0.0.1', '::1'];
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
  const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (found.length > 0) return found;
  const reasons = answers.flatMap((answer) =>
    answer.status === 'rejected' ? [answer.reason as unknown] : [],
  );
  const codes = reasons.map((reason) => (reason as { code?: unknown }).code);
  // That neither question has an answer is an answer; everything else may be another time.
  const isNowhere = codes.every((code) => code === 'ENOTFOUND' || code === 'ENODATA');
  const message = isNowhere ? 'does not exist' : `could not be resolved (${codes.join(', ')})`;
  throw Object.assign(new Error(`${hostname} ${message}`), { code: isNowhere ? 'ENOTFOUND' : 'EAI_AGAIN' });
};

/** Says why an address may not be dialled with that protocol (`https:` or `http:`); null if it may. */
export type AddressGuard = (address: string, protocol: string) => string | null;

/** An address that policy forbids. Its message is fit for a caller to read. */
export class RefusedAddressError extends Error {
  readonly code = 'REFUSED_ADDRESS';
}

/** The longest that name resolution, TCP and TLS together may take, whatever the request's own deadline. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * A connector for an undici Agent. The guard sees each address literal and **every** address of a name: one forbidden
 * address refuses the name, and the socket can go only to an address that was checked (a second resolution could answer
 * differently). `closing` destroys every socket, also one that is still being connected, which closing the Agent leaves
 * alone for up to ten seconds.
 */
export function guardedConnector(
  resolve: HostResolver,
  guard: AddressGuard,
  closing: AbortSignal,
): buildConnector.connector {
  const build = (protocol: string) => {
    const lookup = guardedLookup(resolve, guard, protocol);
    const options = { timeout: CONNECT_TIMEOUT_MS, lookup, signal: closing };
    return buildConnector(options);
  };
  const connectors = { 'https:': build('https:'), 'http:': build('http:') };
  return (options, callback) => {
    // Node does not look up an address literal, so the lookup below never sees one.
    const refusal = isIP(options.hostname) === 0 ? null : guard(options.hostname, options.protocol);
    if (refusal !== null) {
      callback(new RefusedAddressError(refusal), null);
      return;
    }
    connectors[options.protocol === 'http:' ? 'http:' : 'https:'](options, callback);
  };
}

function guardedLookup(resolve: HostResolver, guard: AddressGuard, protocol: string): LookupFunction {
  return (hostname, options, callback) => {
    const answer = async () => {
      const addresses = await resolve(hostname);
      for (const address of addresses) {
        const refusal = guard(address, protocol);
        if (refusal !== null) throw new RefusedAddressError(`${hostname}: ${refusal}`);
      }
      const found = addresses.map((address) => ({ address, family: isIP(address) }));
      if (found[0] === undefined)
        throw Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' });
      return { first: found[0], found };
    };
    callbackify(answer)((error, answered) => {
      if (error) callback(error, '');
      else if (options.all) callback(null, answered.found);
      else callback(null, answered.first.address, answered.first.family);
    });
  };
}
