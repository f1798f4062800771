/** Which addresses a stranger may make us call. PURE: no name is resolved and nothing is dialled here. */
import ipaddr from 'ipaddr.js';
import { isIP } from 'node:net';

type Address = ReturnType<typeof ipaddr.process>;

/** A range of addresses, as {@link parseRange} reads it. */
export type AddressRange = ReturnType<typeof ipaddr.parseCIDR>;

/**
 * Reads a CIDR range such as `10.0.0.0/8` or `fd00::/8`; a single address is a range of one.
 * @throws Error if it is neither.
 */
export function parseRange(text: string): AddressRange {
  if (text.includes('/')) return ipaddr.parseCIDR(text);
  const address = ipaddr.process(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

/** True if the address lies in one of the ranges. An IPv4 address inside IPv6 (`::ffff:10.0.0.1`) counts as the IPv4 one. */
export function isInRanges(address: string, ranges: readonly AddressRange[]): boolean {
  const parsed = parseAddress(address);
  return parsed !== null && matches(parsed, ranges);
}

/**
 * True only for an address of the public internet. Everything that is not surely so is false: loopback, private, link-local,
 * carrier-grade NAT, documentation, multicast, tunnels that hide an IPv4 address (6to4, Teredo, NAT64, IPv4-compatible), clouds'
 * metadata services, and text that is no address at all.
 */
export function isPublicAddress(address: string): boolean {
  const parsed = parseAddress(address);
  if (parsed === null || parsed.range() !== 'unicast' || matches(parsed, NEVER_PUBLIC)) return false;
  // ipaddr.js says `unicast` of whatever it has no name for (`::7f00:1`), but only 2000::/3 has been given out (RFC 4291, 2.4).
  return parsed.kind() === 'ipv4' || matches(parsed, GLOBAL_IPV6);
}

const GLOBAL_IPV6 = [parseRange('2000::/3')];

/** Stated although ipaddr.js knows most of them: a newer version of it may not. */
const NEVER_PUBLIC = [
  '0.0.0.0/8',
  '100.64.0.0/10', // carrier-grade NAT; Alibaba Cloud's metadata is 100.100.100.200
  '168.63.129.16/32', // Azure's metadata and DNS, on a public address
  '192.0.0.0/24', // Oracle Cloud's metadata is 192.0.0.192
  '192.88.99.0/24',
  '198.18.0.0/15',
  '240.0.0.0/4',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
].map(parseRange);

/** Null for anything but a plain address: Node's own strict check first, because ipaddr.js also reads `0177.1` and the like. */
function parseAddress(text: string): Address | null {
  return isIP(text) === 0 || text.includes('%') ? null : ipaddr.process(text);
}

function matches(address: Address, ranges: readonly AddressRange[]): boolean {
  return ranges.some((range) => address.kind() === range[0].kind() && address.match(range));
}
