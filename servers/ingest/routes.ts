import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { InboxEvent } from '../../schemas/inbox.ts';
import type { TakenRecord } from '../../sources/source.ts';
import { Problem } from '../problem.ts';
import type { Services } from '../services.ts';
import { rawBody, takeRawBodies } from '../webhooks/raw-bodies.ts';
import type { Receiver } from '../webhooks/receivers.ts';
import { readRecords, type Line } from './records.ts';

const IDEMPOTENCY_KEY_CHARACTERS_MAX = 200;

interface Route {
  Params: { connection: string; object: string };
}

interface Result {
  index: number;
  status: 'accepted' | 'repeated' | 'refused';
  field?: string | null;
  reason?: string;
}

/**
 * `POST /v1/ingest/{connection}/{object}`: whole records of tools that cannot sign, with an API key. Each gets a result of its own;
 * what is accepted is durable before the answer (I2). One record told twice, by content and Idempotency-Key, is repeated and kept once.
 */
export async function ingestRoutes(
  app: FastifyInstance,
  { services, receivers }: { services: Services; receivers: ReadonlyMap<string, Receiver> },
): Promise<void> {
  takeRawBodies(app);
  app.post<Route>(
    '/v1/ingest/:connection/:object',
    { onRequest: app.requires('ingest') },
    async (request, reply) => {
      const { connection, object } = request.params;
      const receiver = receivers.get(connection);
      const take = receiver?.kind.records?.(receiver.pushed, object);
      if (receiver === undefined || take === undefined) {
        throw new Problem(404, 'There is no such connection and object that takes records.');
      }
      receiver.charge();
      const keyed = keyedBy(request);
      const lines = readRecords(rawBody(request.body), request.headers['content-type'] ?? '');
      const taken = lines.map((line) => takeLine(line, (record) => take(record, keyed)));
      return await keep(services, connection, taken, reply);
    },
  );
}

function keyedBy({ headers, key }: FastifyRequest): string {
  const written = headers['idempotency-key'];
  if (written === undefined) return '';
  if (typeof written === 'string' && written !== '' && written.length <= IDEMPOTENCY_KEY_CHARACTERS_MAX) {
    return `${key?.name ?? ''} ${written}`;
  }
  throw new Problem(400, `Idempotency-Key has 1 to ${IDEMPOTENCY_KEY_CHARACTERS_MAX} characters.`);
}

function takeLine(line: Line, take: (record: unknown) => TakenRecord): TakenRecord {
  return line === undefined ? { ok: false, field: null, reason: 'is no JSON' } : take(line.value);
}

async function keep(
  { inbox }: Services,
  connection: string,
  taken: readonly TakenRecord[],
  reply: FastifyReply,
): Promise<unknown> {
  const events = taken.flatMap((one): InboxEvent[] => (one.ok ? [one.event] : []));
  const { accepted, repeated, repeats } = await inbox.accept(connection, events);
  let next = 0;
  const results = taken.map((one, index): Result => {
    if (!one.ok) return { index, status: 'refused', field: one.field, reason: one.reason };
    const status = repeats[next] === true ? 'repeated' : 'accepted';
    next += 1;
    return { index, status };
  });
  const refused = taken.length - events.length;
  reply.code(refused === 0 ? 200 : events.length === 0 ? 422 : 207);
  return { accepted, repeated, refused, results };
}
