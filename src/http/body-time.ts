import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { answerBrokenHttp } from './broken-http.js';
import { takesUpload } from './upload-route.js';

/**
 * Bounds the time that bodies may take. That of an upload is watched by who reads it; any other has `timeoutMs` to arrive, and is
 * answered 408 after that. Who is answered before the end of a body may go on sending it for as long, for nothing: many
 * clients look at the answer only after their last byte, and would see a broken connection instead of what is wrong.
 */
export function boundBodies(server: FastifyInstance, timeoutMs: number): void {
  server.addHook('onRequest', (request, reply, done) => {
    if (hasBody(request) && !takesUpload(request)) {
      const timer = setTimeout(() => endLateRequest(request.raw), timeoutMs).unref();
      reply.raw.once('close', () => clearTimeout(timer));
    }
    done();
  });
  const late = new Map<IncomingMessage, NodeJS.Timeout>();
  server.addHook('onResponse', (request, _reply, done) => {
    const { raw } = request;
    if (hasBody(request) && raw.complete === false && !raw.destroyed) {
      late.set(raw, setTimeout(() => raw.destroy(), timeoutMs).unref());
      const end = (): void => {
        clearTimeout(late.get(raw));
        late.delete(raw);
      };
      raw.once('end', end).once('close', end).resume();
    }
    done();
  });
  // A process that stops waits for none of them.
  server.addHook('preClose', (done) => {
    for (const raw of late.keys()) raw.destroy();
    done();
  });
}

/** Whether a request says that it has a body. */
export function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** As Node itself answers a request that does not arrive in time. */
function endLateRequest(request: IncomingMessage): void {
  if (request.complete) return;
  const { socket } = request;
  answerBrokenHttp(Object.assign(new Error('Too late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket);
  socket.destroySoon();
}
