import { isMasked } from '../../rules/consent.ts';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import type { apiExplainSchema, apiHistorySchema } from '../../schemas/api/profile.ts';
import { historyQuerySchema } from '../../schemas/api/request.ts';
import type { Entity } from '../../schemas/entities/entity.ts';
import { Problem } from '../problem.ts';
import { sightOf, type Sight } from './mask.ts';
import type { Model } from './model.ts';
import { seenModel } from './read.ts';
import { keyOf, parsed, sendJson } from './requests.ts';
import type { ProfileService } from './service.ts';

type Explained = z.infer<typeof apiExplainSchema>;
type Told = z.infer<typeof apiHistorySchema>;
type TextOf = (ref: { source: string; object: string; record: string }) => string;

const EVENTS_DEFAULT = 100;
const text: TextOf = ({ source, object, record }) => `${source}:${object}:${record}`;

/** Why a field has its value, and what has happened to a profile. */
export function storyRoutes(app: FastifyInstance, service: ProfileService): void {
  const onRequest = app.requires('read');

  app.get<{ Params: { id: string; field: string } }>(
    '/v1/profiles/:id/explain/:field',
    { onRequest },
    async (request, reply) => {
      const { id, field } = request.params;
      const body = await explainField(service, id, field, sightOf(keyOf(request)));
      return await sendJson(reply, JSON.stringify(body));
    },
  );

  app.get<{ Params: { id: string } }>('/v1/profiles/:id/history', { onRequest }, async (request, reply) => {
    const { field, limit = EVENTS_DEFAULT } = parsed(historyQuerySchema, request.query);
    const sight = sightOf(keyOf(request));
    const model = await seen(service, sight, request.params.id);
    const entity = service.entities.get(model.entity);
    if (field !== undefined && isHidden(entity, field, model, sight)) {
      throw new Problem(403, 'This key does not see this field.', { more: { redactions: [field] } });
    }
    const claims = await service.claims();
    const events = await claims.history(model.profile, { limit, ...(field === undefined ? {} : { field }) });
    const redactions = new Set<string>();
    const body: Told = {
      profile_id: model.profile,
      redactions: [],
      events: events.map(({ seq, kind, at, stamp, ref, fields, via, actor, cause }) => {
        const shown = Object.entries(fields ?? {}).filter(([name]) => {
          if (field !== undefined && name !== field) return false;
          const hidden = isHidden(entity, name, model, sight);
          if (hidden) redactions.add(name);
          return !hidden;
        });
        return {
          seq,
          kind,
          at,
          stamp,
          record: ref === null ? null : text(ref),
          fields: fields === null ? null : Object.fromEntries(shown),
          via,
          actor,
          cause,
        };
      }),
    };
    body.redactions = [...redactions].toSorted();
    return await sendJson(reply, JSON.stringify(body));
  });
}

/** Which value holds, by which part of the rule, and what else was said. Problems 403, 404, 410. */
export async function explainField(
  service: ProfileService,
  id: string,
  field: string,
  sight: Sight,
): Promise<Explained> {
  const model = await seen(service, sight, id);
  if (isHidden(service.entities.get(model.entity), field, model, sight)) {
    throw new Problem(403, 'This key does not see this field.', { more: { redactions: [field] } });
  }
  const claims = await service.claims();
  const explained = await claims.explain(model.profile, field);
  if (explained === null || (explained.golden === null && explained.considered.length === 0)) {
    throw new Problem(404, 'Nobody has said anything about this field.');
  }
  const { golden, considered } = explained;
  return {
    profile_id: model.profile,
    field,
    decided_by: golden?.decidedBy ?? null,
    value: golden?.value ?? null,
    considered: considered.map(({ ref, claim, value, kind, confidence, changedAt, outcome, why }) => ({
      record: text(ref),
      claim,
      value,
      explicit: kind === 'explicit',
      confidence,
      changed_at: changedAt,
      outcome,
      why,
    })),
  };
}

async function seen(service: ProfileService, sight: Sight, id: string): Promise<Model> {
  const found = await service.reader.read(id);
  const model = seenModel(found, sight);
  // Reads follow aliases in the log; one step is enough for whoever asks by an old id.
  if (!('target' in model)) return model;
  const target = seenModel(await service.reader.read(model.target), sight);
  if ('target' in target) throw new Problem(404, 'There is no profile with this id.');
  return target;
}

/** By the schema and by the golden value: a field of no schema is seen by whoever sees everything. */
function isHidden(entity: Entity | undefined, name: string, model: Model, sight: Sight): boolean {
  const field = entity?.fields[name];
  const piece = model.fields.find((one) => one.name === name);
  const kind = piece?.kind ?? field?.kind ?? 'explicit';
  return isMasked({ classification: field?.classification ?? 'sensitive', kind }, sight, model.denied);
}
