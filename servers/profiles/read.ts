import { parseModel, textOf, type Model } from './model.ts';
import { denialsOf } from '../../rules/consent.ts';
import type { ProfileQuery } from '../../schemas/api/request.ts';
import { Problem } from '../problem.ts';
import { agesOf, answerText, tagOf, type Ages, type View } from './answer.ts';
import { WHY } from './live.ts';
import { maySee, type Sight } from './mask.ts';
import type { Found } from './reader.ts';
import type { ProfileService } from './service.ts';

/** After a 503 for want of fresh values: by then the next poll or webhook may have come. */
const RETRY_MS = 5_000;

export type Read =
  | { kind: 'answer'; text: string; tag: string }
  | { kind: 'same'; tag: string }
  | { kind: 'moved'; target: string };

/** The model behind an id that this key may see; an alias is told apart. Problems 403, 404, 410. */
export function seenModel(found: Found, sight: Pick<Sight, 'entities'>): Model | { target: string } {
  if (found.kind === 'alias') return { target: found.target };
  if (found.kind === 'erased') throw new Problem(410, 'This profile has been erased.');
  if (found.kind === 'unknown') throw new Problem(404, 'There is no profile with this id.');
  if (!maySee(sight, found.model.entity)) {
    throw new Problem(403, `This key may not see profiles of ${found.model.entity}.`);
  }
  return found.model;
}

/** One profile as it was asked for. `tags`: of If-None-Match. */
export async function readProfile(
  service: ProfileService,
  id: string,
  sight: Sight,
  query: ProfileQuery,
  tags: string | undefined,
): Promise<Read> {
  if (query.as_of !== undefined) return await readThen(service, id, sight, query.as_of);
  const found = seenModel(await service.reader.read(id), sight);
  if ('target' in found) return { kind: 'moved', target: found.target };
  const model = await service.supposing(found);
  const view = await viewOf(service, model, sight);
  const ages = agesOf(model, view);
  if (isEnough(model, view, ages, query)) return answerOf(model, view, ages, null, tags);
  return await readLive(service, model, sight, query, tags);
}

export async function viewOf(service: ProfileService, model: Model, sight: Sight): Promise<View> {
  const { freshness } = service;
  if (!freshness.knows(model.records)) await freshness.know(model.records);
  return { sight, freshness, nowMs: service.now(), unread: service.unread.namesOf(model.records) };
}

export function answerOf(
  model: Model,
  view: View,
  ages: Ages,
  stale: string | null,
  tags: string | undefined,
): Read {
  const tag = tagOf(model, view, ages.sources.state);
  // What was left out or is older than asked for is no property of the version.
  const isPlain = stale === null && ages.outdated.length === 0;
  if (isPlain && tags !== undefined && isNamed(tags, tag)) return { kind: 'same', tag };
  return { kind: 'answer', text: answerText(model, view, ages, stale), tag };
}

function isNamed(tags: string, tag: string): boolean {
  return tags === '*' || tags.split(',').some((one) => one.trim() === tag);
}

function isEnough(model: Model, view: View, ages: Ages, { max_age, require }: ProfileQuery): boolean {
  if (ages.outdated.length > 0) return false;
  if (max_age !== undefined && (ages.oldestMs ?? 0) > max_age) return false;
  return require === undefined || isFresh(model, view, ages);
}

/** No value is older than its field allows, no change waits to be read, and each record was seen within the limit of its object. */
function isFresh({ records }: Model, { freshness, nowMs, unread }: View, ages: Ages): boolean {
  if (ages.anyStale || unread.length > 0) return false;
  return records.every(({ source, object, deleted, confirmedMs }) => {
    const warnMs = freshness?.warnMs(source, object) ?? null;
    if (deleted || warnMs === null) return true;
    return nowMs - Math.max(confirmedMs, freshness?.watermark(source, object) ?? 0) <= warnMs;
  });
}

/** The sources are asked first; what they do not answer in time is marked, refused or left out. */
async function readLive(
  service: ProfileService,
  old: Model,
  sight: Sight,
  query: ProfileQuery,
  tags: string | undefined,
): Promise<Read> {
  const asked = await service.live.ask(old);
  const found = seenModel(
    asked === 'read' ? await service.reader.reload(old.profile) : { kind: 'profile', model: old },
    sight,
  );
  if ('target' in found) return { kind: 'moved', target: found.target };
  const model = asked === 'read' ? await service.supposing(found) : found;
  const view = await viewOf(service, model, sight);
  const ages = agesOf(model, view);
  if (isEnough(model, view, ages, query)) return answerOf(model, view, ages, null, tags);
  if (query.require === 'fresh') {
    throw new Problem(503, `The values at hand are older than asked for: ${WHY[asked]}.`, {
      more: { stale_reason: WHY[asked] },
      retryAfterMs: RETRY_MS,
    });
  }
  const isTooOld = query.max_age !== undefined && (ages.oldestMs ?? 0) > query.max_age;
  return answerOf(model, view, ages, isTooOld ? WHY[asked] : null, tags);
}

/** From the log, with the rules of then; nobody knows how fresh it was. */
async function readThen(service: ProfileService, id: string, sight: Sight, asOf: string): Promise<Read> {
  const claims = await service.claims();
  const profile = await claims.profile(id, { asOf });
  if (profile === null) throw new Problem(404, 'Nothing was known of this profile then.');
  if (!maySee(sight, profile.entity))
    throw new Problem(403, `This key may not see profiles of ${profile.entity}.`);
  const served = { profile, aliases: [], confirmedAt: [], unconfirmed: [] };
  // I5: who has denied something since is not shown as if nothing had been said.
  const denied = await denialsOf(claims, (await claims.profile(id)) ?? profile, service.entities);
  const model = parseModel(textOf(served, service.entities.get(profile.entity), denied));
  if (model === null) throw new Problem(404, 'Nothing was known of this profile then.');
  const view: View = { sight, freshness: null, nowMs: Date.parse(asOf), unread: [] };
  // Live fields are about now; of the past they are what was known.
  const fields = model.fields.map((piece) => ({ ...piece, liveMs: null }));
  const then = { ...model, fields };
  return answerOf(then, view, agesOf(then, view), null, undefined);
}
