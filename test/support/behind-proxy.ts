/** The run's own stores, reached through a proxy that can behave as a bad network does. */
import type { NetConnectOpts } from 'node:net';
import { TcpProxy } from './tcp-proxy.js';

export interface Proxied {
  readonly proxy: TcpProxy;
  /** The store's address through the proxy. */
  readonly url: string;
}

export async function redisBehindProxy(redisUrl: string): Promise<Proxied> {
  const { hostname, port } = new URL(redisUrl);
  const proxy = await TcpProxy.start({ host: hostname, port: Number(port) });
  return { proxy, url: `redis://127.0.0.1:${proxy.port}` };
}

/** A PostgreSQL may listen on a socket's file. */
export async function postgresBehindProxy(databaseUrl: string): Promise<Proxied> {
  const url = new URL(databaseUrl);
  const folder = url.searchParams.get('host');
  const port = url.searchParams.get('port') ?? (url.port || '5432');
  const target: NetConnectOpts =
    folder === null ? { host: url.hostname, port: Number(port) } : { path: `${folder}/.s.PGSQL.${port}` };
  const proxy = await TcpProxy.start(target);
  url.searchParams.delete('host');
  url.searchParams.delete('port');
  url.host = `127.0.0.1:${proxy.port}`;
  return { proxy, url: url.href };
}
