import type { FastifyInstance } from 'fastify';
import { BODY_BYTES_MAX } from '../app.ts';
import { Problem } from '../problem.ts';

/** Bodies that are read at once, together: whoever sends many large ones at a time cannot fill our memory. */
const ARRIVING_BYTES_MAX = 64 * 1_048_576;

/** Bodies of these routes come as the bytes that were sent, whatever their type says, and in a bounded amount at once. */
export function takeRawBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  let arriving = 0;
  app.addHook('onRequest', (request, reply, done) => {
    const announced = Number(request.headers['content-length'] ?? BODY_BYTES_MAX);
    if (announced > BODY_BYTES_MAX) {
      done(new Problem(413, `A body has at most ${BODY_BYTES_MAX} bytes.`));
      return;
    }
    if (arriving + announced > ARRIVING_BYTES_MAX) {
      done(new Problem(503, 'Too much arrives at once; come back in a moment.', { retryAfterMs: 1_000 }));
      return;
    }
    arriving += announced;
    reply.raw.once('close', () => (arriving -= announced));
    done();
  });
}

/** Without a body: none. */
export function rawBody(body: unknown): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}
