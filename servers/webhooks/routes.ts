import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../problem.ts';
import type { Services } from '../services.ts';
import { rawBody, takeRawBodies } from './raw-bodies.ts';
import type { Receiver } from './receivers.ts';

interface Route {
  Params: { connection: string; '*'?: string };
}

/**
 * `POST /webhooks/{connection}`, and below it for senders that sign nothing. The order is one of safety: size while the body
 * streams, then its raw bytes, time, signature with every active secret, the durable write, and only then 2xx (I2). Whatever is
 * wrong on our side is 503 with Retry-After: senders come back after it, and some never after 401.
 */
export async function webhookRoutes(
  app: FastifyInstance,
  { services, receivers }: { services: Services; receivers: ReadonlyMap<string, Receiver> },
): Promise<void> {
  takeRawBodies(app);
  const answer = async (request: FastifyRequest<Route>, reply: FastifyReply): Promise<unknown> => {
    const receiver = receivers.get(request.params.connection);
    if (receiver === undefined) throw unknown();
    const { name } = receiver.connection;
    const found = receiver.receive({
      method: request.method,
      url: `${publicUrl(app, services)}${request.raw.url ?? ''}`,
      rest: request.params['*'] ?? '',
      headers: single(request.headers),
      body: rawBody(request.body),
      nowMs: services.now(),
    });
    if (!found.ok) {
      request.outcome = `${name}: ${found.reason}`;
      throw new Problem(found.status, found.status === 401 ? 'The request proves no sender.' : found.reason);
    }
    receiver.charge();
    const { accepted, repeated } = await services.inbox.accept(name, found.events);
    request.outcome = found.leftOut > 0 ? `${name}: some left out` : name;
    if (found.reply !== undefined) return reply.type(found.reply.contentType).send(found.reply.body);
    return { accepted, repeated, leftOut: found.leftOut };
  };
  const known = (request: FastifyRequest<Route>, _reply: FastifyReply, done: (error?: Error) => void) =>
    done(receivers.has(request.params.connection) ? undefined : unknown());
  app.post<Route>('/webhooks/:connection', { onRequest: known }, answer);
  app.post<Route>('/webhooks/:connection/*', { onRequest: known }, answer);
}

function unknown(): Problem {
  return new Problem(404, 'There is no such connection, or it takes no webhooks.');
}

/** As the sender signed it. */
function publicUrl(app: FastifyInstance, { serve: { webhooks } }: Services): string {
  if (webhooks.publicUrl !== undefined) return webhooks.publicUrl.replace(/\/+$/, '');
  const address = app.server.address();
  const port = address === null || typeof address === 'string' ? webhooks.port : address.port;
  return `http://${webhooks.host}:${port}`;
}

function single(headers: IncomingHttpHeaders): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}
