/**
 * Egress: the only way out to the network. Bounded in time and size, follows no redirect, inflates nothing, and lets no
 * caller's URL reach a private address. It must never decide what a failure means for a job.
 */
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { setMaxListeners } from 'node:events';
import { isIP } from 'node:net';
import { Agent, type buildConnector } from 'undici';
import { APP_CONFIG, type AppConfig } from '../config/config.js';
import { guardedConnector, type AddressGuard, type HostResolver } from './connector.js';
import { exchange, type EgressPolicy, type EgressRequest, type EgressResult } from './exchange.js';
import { isInRanges, isPublicAddress, parseRange } from './safe-address.js';
import { isSafePort } from './safe-port.js';

/** The injection token of the {@link HostResolver} of each policy. */
export const HOST_RESOLVERS = Symbol('HostResolvers');

const MAX_URL_LENGTH = 2048;

/** How long {@link EgressService.checkUrl} waits for a name; a slow name is checked when it is dialled. */
const CHECK_RESOLVE_TIMEOUT_MS = 2000;

@Injectable()
export class EgressService implements OnApplicationShutdown {
  private readonly guards: Readonly<Record<EgressPolicy, AddressGuard>>;
  private readonly agents: Readonly<Record<EgressPolicy, Agent>>;

  private readonly closing = new AbortController();

  constructor(
    @Inject(APP_CONFIG) config: AppConfig,
    @Inject(HOST_RESOLVERS) private readonly resolvers: Readonly<Record<EgressPolicy, HostResolver>>,
  ) {
    // An operator's own base URLs may be anywhere (a local vLLM); a caller's may not.
    this.guards = { provider: () => null, webhook: publicOnly(config.egressAllowCidrs) };
    // Apart, so that a socket opened under one policy is never used under the other.
    this.agents = {
      provider: buildAgent(guardedConnector(resolvers.provider, this.guards.provider, this.closing.signal)),
      webhook: buildAgent(guardedConnector(resolvers.webhook, this.guards.webhook, this.closing.signal)),
    };
    // One listener a socket is no leak.
    setMaxListeners(0, this.closing.signal);
  }

  /**
   * Sends one request and reads the whole reply. Never rejects: whatever happens is a value, given at the latest at
   * `timeoutMs`. A status of 4xx, 5xx or 3xx is a reply like any other.
   */
  async send(request: EgressRequest): Promise<EgressResult> {
    const url = request.policy === 'webhook' ? parseHookUrl(request.url) : parseUrl(request.url);
    if (typeof url === 'string')
      return { ok: false, kind: 'bad_url', sent: false, message: url, durationMs: 0 };
    return exchange(this.agents[request.policy], url, request);
  }

  /**
   * Whether a webhook may go to this URL: null, or a sentence that says why not and what would be right. A name that cannot
   * be resolved just now is let through, because every address is checked again when it is dialled.
   */
  async checkUrl(text: string): Promise<string | null> {
    const url = parseHookUrl(text);
    if (typeof url === 'string') return url;
    if (url.hash !== '') return 'The URL has a fragment (#…), which is never sent: leave it out.';
    const hostname = url.hostname.replace(/^\[|\]$/g, '');
    const addresses = isIP(hostname) === 0 ? await this.tryResolve(hostname) : [hostname];
    // Without an address to judge by, http is wrong in any case: it is only ever for addresses on the operator's list.
    if (url.protocol === 'http:' && (addresses === null || addresses.length === 0)) return HTTPS_ONLY;
    if (addresses === null) return `The host name ${hostname} does not exist.`;
    for (const address of addresses) {
      const refusal = this.guards.webhook(address, url.protocol);
      if (refusal !== null) return refusal;
    }
    return null;
  }

  /** Cuts all connections. Comes last in Nest's shutdown, because jobs still run calls while modules are being destroyed. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.agents.provider.destroy(), this.agents.webhook.destroy()]);
    this.closing.abort();
  }

  /** The addresses of a name; empty if they cannot be had now; null if the name does not exist. */
  private async tryResolve(hostname: string): Promise<readonly string[] | null> {
    let timer: NodeJS.Timeout | undefined;
    const tooSlow = new Promise<readonly string[]>((resolve) => {
      timer = setTimeout(resolve, CHECK_RESOLVE_TIMEOUT_MS, []);
    });
    try {
      return await Promise.race([this.resolvers.webhook(hostname), tooSlow]);
    } catch (error) {
      return error instanceof Error && 'code' in error && error.code === 'ENOTFOUND' ? null : [];
    } finally {
      clearTimeout(timer);
    }
  }
}

const HTTPS_ONLY = 'Use https: plain http is only for addresses in EGRESS_ALLOW_CIDRS.';

function publicOnly(allowCidrs: readonly string[]): AddressGuard {
  const allowed = allowCidrs.map(parseRange);
  return (address, protocol) => {
    if (isInRanges(address, allowed)) return null;
    if (protocol !== 'https:') return HTTPS_ONLY;
    if (isPublicAddress(address)) return null;
    // Not which address: what names of the inside lead to is not a stranger's to know.
    return 'This is not a public address; an operator can open ranges with EGRESS_ALLOW_CIDRS.';
  };
}

function buildAgent(connect: buildConnector.connector): Agent {
  return new Agent({
    connect,
    // undici's own limits end a slow answer after 300 s, and the body's starts anew with each byte; ours is one wall.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Short, so that we rarely write to a connection which the server is just closing: whether such a request ran is not known.
    keepAliveTimeout: 4000,
    keepAliveMaxTimeout: 60_000,
    maxHeaderSize: 64 * 1024,
  });
}

/** As {@link parseUrl}, for a URL that a caller gave. */
function parseHookUrl(text: string): URL | string {
  const url = parseUrl(text);
  if (typeof url === 'string') return url;
  const port = url.port === '' ? null : Number(url.port);
  if (port === null || isSafePort(port)) return url;
  return `Port ${port} is not one on which webhooks are received: use 443, or one from 1024 on that no other protocol has.`;
}

/** The URL, or a sentence that says what is wrong with it. */
function parseUrl(text: string): URL | string {
  if (text.length > MAX_URL_LENGTH) return `The URL is longer than ${MAX_URL_LENGTH} characters.`;
  if (/[\p{Cc}\p{Surrogate}]/u.test(text))
    return 'The URL holds a control character or half of a surrogate pair: leave it out.';
  if (!URL.canParse(text)) return 'The URL cannot be read: write it as https://host/path.';
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return `The URL begins with ${url.protocol} but must begin with https:.`;
  if (url.username !== '' || url.password !== '')
    return 'The URL holds a user name or password: leave it out.';
  return url;
}
