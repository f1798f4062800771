import type { Parsed } from './parse-variable.js';

/** One server of a Redis. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** What there is to know of a Redis: one server, a Sentinel's master, or a Cluster. */
export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** The server; the sentinels; or some nodes of the cluster, which know the others. */
  readonly nodes: readonly RedisNode[];
  readonly username?: string;
  readonly password?: string;
  /** The number of the database; a cluster has only 0. */
  readonly db: number;
  readonly isTls: boolean;
  /** The name under which the sentinels know the master; empty for the other kinds. */
  readonly master: string;
  /** The sentinels' own password, if they have one. */
  readonly sentinelPassword?: string;
}

const FORM =
  /^(?<scheme>rediss?(?:\+(?<kind>sentinel|cluster))?):\/\/(?:(?<user>[^@/]*)@)?(?<nodes>[^/?#]*)(?<path>\/[^?#]*)?(?:\?(?<query>[^#]*))?$/;
const NODE = /^(?<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])?(?::(?<port>\d{1,5}))?$/;
const PORTS = { single: 6379, cluster: 6379, sentinel: 26_379 } as const;

const PROBLEM =
  'must be a URL such as redis://user:password@host:6379/0, redis+sentinel://host:26379,host:26379/master-name, or ' +
  'redis+cluster://host:6379,host:6379; with rediss instead of redis for TLS';

/**
 * `redis://host:6379/0`, `redis+sentinel://host:26379,host:26379/master-name/0?sentinel_password=…`, or
 * `redis+cluster://host:6379,host:6379`; user and password before the hosts, as in all URLs; `rediss` for TLS.
 */
export function parseRedisAddress(text: string): Parsed<RedisAddress> {
  const {
    scheme = '',
    kind: named,
    user,
    nodes: list = '',
    path = '',
    query,
  } = FORM.exec(text)?.groups ?? {};
  const kind = named === 'sentinel' || named === 'cluster' ? named : 'single';
  const nodes = list.split(',').map((node) => parseNode(node, PORTS[kind]));
  const parts = path.split('/').filter((part) => part !== '');
  const master = kind === 'sentinel' ? (parts.shift() ?? '') : '';
  const [db = '0', ...rest] = parts;
  const isWhole =
    scheme !== '' && rest.length === 0 && nodes.every((node) => node !== null) && /^\d{1,4}$/.test(db);
  const fits =
    (kind !== 'single' || nodes.length === 1) &&
    (kind !== 'sentinel' || master !== '') &&
    (kind !== 'cluster' || Number(db) === 0);
  const secrets = isWhole && fits ? secretsOf(user, query) : null;
  if (secrets === null) return { problem: PROBLEM };
  const known = nodes.filter((node) => node !== null);
  return {
    value: { kind, nodes: known, db: Number(db), isTls: scheme.startsWith('rediss'), master, ...secrets },
  };
}

/** `REDIS_URL` as it is written, once it is known to be right. */
export function redisUrl(text: string): Parsed<string> {
  const { problem } = parseRedisAddress(text);
  return problem === undefined ? { value: text } : { problem };
}

function parseNode(text: string, defaultPort: number): RedisNode | null {
  const { host = 'localhost', port } = NODE.exec(text)?.groups ?? {};
  if (!NODE.test(text) || Number(port ?? 0) > 65_535) return null;
  return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? defaultPort : Number(port) };
}

/** Null if an escape in them can't be read. */
function secretsOf(
  user: string | undefined,
  query: string | undefined,
): Pick<RedisAddress, 'username' | 'password' | 'sentinelPassword'> | null {
  try {
    const colon = user?.indexOf(':') ?? -1;
    const [username, password] =
      user === undefined ? ['', ''] : colon < 0 ? [user, ''] : [user.slice(0, colon), user.slice(colon + 1)];
    const sentinelPassword = new URLSearchParams(query).get('sentinel_password');
    return {
      ...(username ? { username: decodeURIComponent(username) } : {}),
      ...(password ? { password: decodeURIComponent(password) } : {}),
      ...(sentinelPassword === null ? {} : { sentinelPassword }),
    };
  } catch {
    return null;
  }
}
