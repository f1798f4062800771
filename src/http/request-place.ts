import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';

const places = new WeakMap<ServerResponse, () => void>();

/** Notes how the place of a request among those that are worked on is given back. */
export function holdPlace(reply: FastifyReply, giveBack: () => void): void {
  places.set(reply.raw, giveBack);
}

/** Says that from now on the request only waits, or streams what comes: others may be worked on meanwhile. */
export function onlyWaits(reply: FastifyReply): void {
  places.get(reply.raw)?.();
}
