import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { entitiesOf } from '../../config/profiles.ts';
import { eventPositionSchema, eventsQuerySchema } from '../../schemas/api/events.ts';
import type { Interest } from '../../rules/notice.ts';
import type { ApiKey } from '../keys.ts';
import { Problem } from '../problem.ts';
import { maySee, type Sight } from '../profiles/mask.ts';
import { keyOf, parsed } from '../profiles/requests.ts';
import { claimsOf, type Services } from '../services.ts';
import { EventStream, type StreamLimits } from './stream.ts';
import { Tail } from './tail.ts';

const CLIENTS_MAX = 200;
const COME_BACK_MS = 10_000;

/** `GET /v1/events`: changes of profiles as server-sent events, for as long as the client stays. See docs/notifications.md. */
export function eventRoutes(
  app: FastifyInstance,
  services: Services,
  limits: StreamLimits & { clientsMax?: number } = {},
): void {
  const entities = entitiesOf(services.loaded.config.profiles ?? { entities: [] });
  const tail = new Tail(() => claimsOf(services), entities, services.log);
  const streams = new Set<EventStream>();
  let opening = 0;
  // Before connections are waited for: these would never end by themselves.
  app.addHook('preClose', async () => {
    for (const stream of streams) stream.end();
    await tail.stop();
  });
  app.get('/v1/events', { onRequest: app.requires('read') }, async (request, reply) => {
    const { after, ...query } = parsed(eventsQuerySchema, request.query);
    const key = keyOf(request);
    if (query.entity !== undefined && !maySee(key, query.entity))
      throw new Problem(403, 'This key does not see this entity.');
    if (streams.size + opening >= (limits.clientsMax ?? CLIENTS_MAX))
      throw new Problem(503, 'As many listen already as may.', { retryAfterMs: COME_BACK_MS });
    const asked = lastEventId(request.headers['last-event-id']) ?? after;
    opening += 1;
    const newest = await tail.newest().finally(() => (opening -= 1));
    // An id beyond the end is of a store that is gone: what the client holds is as good as nothing.
    const isReset = asked !== undefined && asked > newest;
    const start = asked === undefined || isReset ? newest : asked;
    reply.hijack();
    reply.raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-request-id': request.id,
    });
    const interest: Interest = { ...query, where: {}, sees: key.sees };
    const stream = new EventStream(
      reply.raw,
      tail,
      { interest, sight: sightOf(key), position: start },
      limits,
    );
    streams.add(stream);
    reply.raw.on('close', () => streams.delete(stream));
    stream.begin(isReset);
    // The client comes back with the id of what it had: nothing is lost.
    await stream.run().catch(() => reply.raw.destroy());
  });
}

function lastEventId(header: string | string[] | undefined): number | undefined {
  if (header === undefined || header === '') return undefined;
  return parsed(z.object({ 'Last-Event-ID': eventPositionSchema }), { 'Last-Event-ID': header })[
    'Last-Event-ID'
  ];
}

/** Fields are chosen by the interest. */
function sightOf({ sees, entities, consents }: ApiKey): Sight {
  return { sees, entities, consents, fields: null, id: '' };
}
