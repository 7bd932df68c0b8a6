import type { FastifyInstance } from 'fastify';
import { changeRequestSchema, type ApiChange } from '../../schemas/api/change.ts';
import { Problem } from '../problem.ts';
import { keyOf, parsed } from '../profiles/requests.ts';
import type { ApiKey } from '../keys.ts';
import { claimsOf, type Services } from '../services.ts';
import { apiChange } from './answer.ts';
import { propose, type Asked } from './propose.ts';
import { ChangeRuns } from './runs.ts';

const CHANGE_ID = /^ch_[0-9a-f]{32}$/;

/** Changes of profiles: see docs/write-back.md. Those that wait for a worker are started again for as long as the app runs. */
export function changeRoutes(app: FastifyInstance, services: Services): void {
  const runs = new ChangeRuns(services);
  app.addHook('onReady', async () => runs.start());
  app.addHook('onClose', async () => runs.stop());

  app.patch<{ Params: { id: string } }>(
    '/v1/profiles/:id',
    { onRequest: app.requires('write') },
    async (request, reply) => {
      const change = await makeChange(services, runs, {
        profile: request.params.id,
        request: parsed(changeRequestSchema, request.body),
        key: keyOf(request),
        version: versionOf(request.headers['if-match']),
        once: onceOf(request.headers['idempotency-key']),
      }).catch((error: unknown) => {
        if (error instanceof Problem && typeof error.more['location'] === 'string') {
          reply.header('location', error.more['location']);
        }
        throw error;
      });
      reply.header('location', `/v1/changes/${change.change_id}`);
      return await reply.code(change.state === 'pending' ? 202 : 200).send(change);
    },
  );

  app.get<{ Params: { id: string } }>(
    '/v1/changes/:id',
    { onRequest: app.requires('read') },
    async (request) => await readChange(services, request.params.id, keyOf(request)),
  );
}

/** Adds the change and has it written. Problems as `propose` has them. */
export async function makeChange(
  services: Services,
  runs: Pick<ChangeRuns, 'begin'>,
  asked: Asked,
): Promise<ApiChange> {
  const claims = await claimsOf(services);
  const { id, state, version } = await propose(services, claims, asked);
  if (state === 'pending') runs.begin(id);
  const change = await claims.change(id);
  if (change === null) throw new Problem(410, 'This profile has been erased.');
  return apiChange(change, version);
}

/** Problems 403, 404. */
export async function readChange(services: Services, id: string, { entities }: ApiKey): Promise<ApiChange> {
  const claims = await claimsOf(services);
  const change = CHANGE_ID.test(id) ? await claims.change(id) : null;
  if (change === null) throw new Problem(404, 'There is no change with this id.');
  if (entities !== undefined && !entities.includes(change.entity)) {
    throw new Problem(403, `This key may not see profiles of ${change.entity}.`);
  }
  return apiChange(change);
}

/** `"412"`, or an ETag of a read, which begins with the version; `*` and nothing: whatever holds now. */
function versionOf(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  const [, version] = /^(?:W\/)?"(\d{1,15})(?:-[^"]*)?"$/.exec(header.trim()) ?? [];
  if (version !== undefined) return Number(version);
  throw new Problem(400, 'If-Match: is no version such as "412".');
}

function onceOf(header: unknown): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && /^[\x21-\x7e]{1,200}$/.test(header)) return header;
  throw new Problem(400, 'Idempotency-Key: is no key of 1 to 200 printable characters.');
}
