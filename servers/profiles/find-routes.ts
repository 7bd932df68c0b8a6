import type { FastifyInstance } from 'fastify';
import { normaliseDomain, normaliseEmail, phoneNormaliser } from '../../mapping/normalise.ts';
import type { Entity, EntityField } from '../../schemas/entities/entity.ts';
import {
  lookupSchema,
  relatedQuerySchema,
  type Lookup,
  type RelatedQuery,
} from '../../schemas/api/request.ts';
import type { Services } from '../services.ts';
import { Problem } from '../problem.ts';
import { agesOf, answerText } from './answer.ts';
import { maySee, sightOf, type Sight } from './mask.ts';
import type { Model } from './model.ts';
import { seenModel, viewOf } from './read.ts';
import { keyOf, moved, parsed, queryText, sendJson } from './requests.ts';
import type { ProfileService } from './service.ts';

const MATCHES_MAX = 20;
const RELATED_DEFAULT = 20;
/** What once referred to a profile may not do so any more; a few more are looked at. */
const LOOKED_AT = 2;
const CONSENT = 'consent';

type Normalise = (text: string) => string | null;

export function findRoutes(app: FastifyInstance, service: ProfileService, services: Services): void {
  const onRequest = app.requires('read');
  const lookUp = lookUpOf(service, services);

  // A POST, because an address in a URL ends up in logs (I5).
  app.post('/v1/profiles/lookup', { onRequest }, async (request, reply) => {
    const lookup = parsed(lookupSchema, request.body);
    return await sendJson(reply, await lookUp(lookup, sightOf(keyOf(request))));
  });

  app.get<{ Params: { id: string } }>('/v1/profiles/:id/related', { onRequest }, async (request, reply) => {
    const query = parsed(relatedQuerySchema, request.query);
    const read = await readRelated(service, request.params.id, sightOf(keyOf(request)), query);
    if (read.kind === 'moved') {
      const location = moved(read.target, `/related${queryText(request.raw.url ?? '')}`);
      reply.header('location', location);
      throw new Problem(308, 'This profile was merged into another one.', { more: { location } });
    }
    return await sendJson(reply, read.text);
  });
}

/** Finds profiles by an identifier; the answer is that of `apiLookupSchema`, as JSON. Problems 400, 403. */
export function lookUpOf(
  service: ProfileService,
  { loaded }: Pick<Services, 'loaded'>,
): (lookup: Lookup, sight: Sight) => Promise<string> {
  const normal: Record<NonNullable<EntityField['normal']>, Normalise> = {
    email: normaliseEmail,
    phone: phoneNormaliser(loaded.config.profiles?.region ?? 'US'),
    domain: normaliseDomain,
  };
  return async (lookup, sight) => {
    const ids = await found(service, lookup, sight, normal);
    const texts = await answersOf(service, ids.slice(0, MATCHES_MAX), sight);
    return `{"matches":[${texts.map(({ text }) => text).join(',')}],"more":${ids.length > MATCHES_MAX}}`;
  };
}

/** What refers to a profile; the text is that of `apiRelatedSchema`. Problems 400, 403, 404, 410. */
export async function readRelated(
  service: ProfileService,
  id: string,
  sight: Sight,
  { kinds, limit = RELATED_DEFAULT }: RelatedQuery,
): Promise<{ kind: 'answer'; text: string } | { kind: 'moved'; target: string }> {
  const model = seenModel(await service.reader.read(id), sight);
  if ('target' in model) return { kind: 'moved', target: model.target };
  const parts: string[] = [];
  for (const kind of kindsFor(service.entities, model.entity, kinds, sight)) {
    const texts = await relatedOf(service, model, kind, limit, sight);
    parts.push(`${JSON.stringify(kind.name)}:[${texts.join(',')}]`);
  }
  return { kind: 'answer', text: `{"profile_id":"${model.profile}","related":{${parts.join(',')}}}` };
}

/** Ids of every profile that is found by it, each once; those of people before those of what they allow. */
async function found(
  service: ProfileService,
  { entity, record, ...by }: Lookup,
  sight: Sight,
  normal: Record<string, Normalise>,
): Promise<string[]> {
  const claims = await service.claims();
  if (entity !== undefined) entityNamed(service.entities, entity, sight);
  if (record !== undefined) {
    const [source = '', object = '', ...rest] = record.split(':');
    const id = await claims.profileOf({ source, object, record: rest.join(':') });
    return id === null ? [] : [id];
  }
  const [kind, value] =
    by.identifier === undefined
      ? (Object.entries(by).find((entry): entry is [string, string] => typeof entry[1] === 'string') ?? [
          '',
          '',
        ])
      : [by.identifier.kind, by.identifier.value];
  const all = new Set<string>();
  for (const one of service.entities.values()) {
    if (entity === undefined ? one.name === CONSENT : one.name !== entity) continue;
    if (!maySee(sight, one.name)) continue;
    for (const wanted of writtenAlike(one, kind, value, normal)) {
      for (const id of await claims.find(one.name, { kind, value: wanted })) all.add(id);
    }
  }
  return [...all];
}

/** As the fields of this entity that are identifiers of this kind write it. */
function writtenAlike(
  entity: Entity,
  kind: string,
  value: string,
  normal: Record<string, Normalise>,
): Set<string> {
  const alike = new Set<string>();
  for (const [field, of] of Object.entries(entity.identifiers)) {
    if (of !== kind) continue;
    const how = entity.fields[field]?.normal;
    const written = how === undefined ? value.trim() : (normal[how]?.(value) ?? null);
    if (written !== null && written !== '') alike.add(written);
  }
  return alike;
}

function entityNamed(entities: ReadonlyMap<string, Entity>, name: string, sight: Sight): Entity {
  const entity = entities.get(name);
  if (entity === undefined) throw new Problem(400, 'There is no such entity.');
  if (!maySee(sight, name)) throw new Problem(403, `This key may not see profiles of ${name}.`);
  return entity;
}

/** Entities with a field that refers to this one. Problem 400 for one that cannot. */
function kindsFor(
  entities: ReadonlyMap<string, Entity>,
  to: string,
  asked: readonly string[] | undefined,
  sight: Sight,
): Entity[] {
  const refers = (entity: Entity) => Object.values(entity.references ?? {}).includes(to);
  if (asked === undefined) {
    return [...entities.values()].filter((entity) => refers(entity) && maySee(sight, entity.name));
  }
  return [...new Set(asked)].map((name) => {
    const entity = entityNamed(entities, name, sight);
    if (!refers(entity)) throw new Problem(400, `No field of ${name} refers to a profile of ${to}.`);
    return entity;
  });
}

/** Those that refer to it now: each of its records under each name that it has. */
async function relatedOf(
  service: ProfileService,
  model: Model,
  kind: Entity,
  limit: number,
  sight: Sight,
): Promise<string[]> {
  const claims = await service.claims();
  const ids = await claims.referring(kind.name, model.records, limit * LOOKED_AT);
  const fields = Object.entries(kind.references ?? {}).flatMap(([field, to]) =>
    to === model.entity ? [field] : [],
  );
  const values = fields.flatMap((field) =>
    model.records.map(
      ({ source, object, record }) =>
        `${JSON.stringify(field)}:{"value":${JSON.stringify(`${source}:${object}:${record}`)},`,
    ),
  );
  const answers = await answersOf(service, ids, sight);
  return answers
    .filter((answer) =>
      answer.model.fields.some(({ before }) => values.some((value) => before.startsWith(value))),
    )
    .slice(0, limit)
    .map(({ text }) => text);
}

/** Profiles that this key may see and that are there; the others are left out. */
async function answersOf(
  service: ProfileService,
  ids: readonly string[],
  sight: Sight,
): Promise<{ model: Model; text: string }[]> {
  const answers: { model: Model; text: string }[] = [];
  for (const one of await service.reader.readMany(ids)) {
    if (one.kind !== 'profile' || !maySee(sight, one.model.entity)) continue;
    const model = await service.supposing(one.model);
    const view = await viewOf(service, model, sight);
    answers.push({ model, text: answerText(model, view, agesOf(model, view), null) });
  }
  return answers;
}
