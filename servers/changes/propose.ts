import { createHash, randomUUID } from 'node:crypto';
import { entitiesOf, type ProfilesConfig } from '../../config/profiles.ts';
import { writeTargets } from '../../config/write-back.ts';
import { phoneNormaliser } from '../../mapping/normalise.ts';
import type { WriteTarget } from '../../mapping/targets.ts';
import { checked } from '../../mapping/unmap.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import type { ChangeRequest } from '../../schemas/api/change.ts';
import type { ChangeKind } from '../../schemas/change.ts';
import type { Entity } from '../../schemas/entities/entity.ts';
import type { ClaimValue } from '../../schemas/observation.ts';
import type { GoldenProfile } from '../../schemas/profile.ts';
import type { Claims, Proposal, Proposed } from '../../stores/claims/claims.ts';
import type { ApiKey } from '../keys.ts';
import { Problem } from '../problem.ts';
import type { Services } from '../services.ts';

/** A change as it arrived, its form already checked. */
export interface Asked {
  profile: string;
  request: ChangeRequest;
  key: ApiKey;
  /** Of `If-Match`; undefined: whatever holds now. */
  version: number | undefined;
  /** Of `Idempotency-Key`; undefined: every request is a new change. */
  once: string | undefined;
}

/** Checks values and systems of record, and adds the change. Problems 403, 404, 409, 410, 412, 422. */
export async function propose(
  services: Services,
  claims: Claims,
  asked: Asked,
): Promise<Proposed & { id: string }> {
  const { request, key } = asked;
  const { golden, proposal } = await checkedProposal(services, claims, asked);
  const { id } = proposal;
  const at = new Date(services.now()).toISOString();
  const reason = request.model === undefined ? request.reason : `${request.reason} (model ${request.model})`;
  const cause = { via: 'api' as const, run: `change/${id}`, actor: key.name, reason, at };
  try {
    return { id, ...(await claims.propose(golden.profile, proposal, cause)) };
  } catch (error) {
    throw problemOf(error);
  }
}

/** All that can be checked before the change is added; that compares versions. Problems 403, 404, 409, 410, 422. */
export async function checkedProposal(
  services: Services,
  claims: Claims,
  asked: Asked,
): Promise<{ golden: GoldenProfile; proposal: Proposal }> {
  const { profiles: config } = services.loaded.config;
  if (config === undefined) throw new Problem(404, 'There are no profiles here.');
  const golden = await currentOf(claims, asked);
  const kind = kindOf(asked);
  const entity = entitiesOf(config).get(golden.entity);
  if (entity === undefined)
    throw new Problem(409, `${golden.entity} is no entity of the configuration any more.`);
  const values = checkedValues(config, entity, asked);
  const id = changeIdOf(asked);
  const isKnown = asked.once !== undefined && (await claims.change(id)) !== null;
  const targets =
    isKnown || kind !== 'explicit' ? [] : targetsIn(services, config, golden, Object.keys(values));
  const { request, version } = asked;
  const proposal: Proposal = {
    ...{ id, kind, values, targets, asked: digestOf(asked) },
    ...(version === undefined ? {} : { version }),
    ...(request.if_match === undefined ? {} : { claims: request.if_match }),
    ...(request.confidence === undefined ? {} : { confidence: request.confidence }),
    ...(request.model === undefined ? {} : { model: request.model }),
  };
  return { golden, proposal };
}

async function currentOf(claims: Claims, { profile, key }: Asked): Promise<GoldenProfile> {
  const golden = await claims.profile(profile);
  if (golden === null) throw new Problem(404, 'There is no profile with this id.');
  if (key.entities !== undefined && !key.entities.includes(golden.entity)) {
    throw new Problem(403, `This key may not see profiles of ${golden.entity}.`);
  }
  if (golden.profile !== profile) {
    const location = `/v1/profiles/${golden.profile}`;
    throw new Problem(308, 'This profile was merged into another one.', { more: { location } });
  }
  if (golden.records.length === 0) throw new Problem(410, 'This profile has been erased.');
  return golden;
}

function kindOf({ request, key }: Asked): ChangeKind {
  if (request.kind === 'inferred') {
    if (request.override === true) throw new Problem(400, 'override: a model does not override.');
    if (request.confidence === undefined || request.model === undefined) {
      throw new Problem(400, 'confidence, model: an inferred value needs both.');
    }
    return 'inferred';
  }
  if (request.override !== true) return 'explicit';
  if (!key.scopes.includes('admin')) throw new Problem(403, 'This key lacks the scope admin.');
  return 'override';
}

/** I5: a mistake names the field and what is expected, never the value. */
function checkedValues(
  config: ProfilesConfig,
  entity: Entity,
  { request, key }: Asked,
): Record<string, ClaimValue> {
  const phone = phoneNormaliser(config.region);
  const values: Record<string, ClaimValue> = {};
  const mistakes: { field: string; reason: string }[] = [];
  for (const [field, given] of Object.entries(request.fields)) {
    const about = Object.hasOwn(entity.fields, field) ? entity.fields[field] : undefined;
    if (about === undefined) {
      mistakes.push({ field, reason: `is no field of ${entity.name}` });
      continue;
    }
    if (!key.sees.includes(about.classification)) {
      throw new Problem(403, `This key may not see ${field}, so it may not change it.`);
    }
    const value = checked(about, given, phone);
    if (value.ok) values[field] = value.value;
    else mistakes.push({ field, reason: value.reason });
  }
  if (mistakes.length === 0) return values;
  const [{ field, reason } = { field: '', reason: '' }] = mistakes;
  throw new Problem(422, `${field} ${reason}.`, { more: { mistakes } });
}

function targetsIn(
  { loaded }: Services,
  config: ProfilesConfig,
  profile: GoldenProfile,
  fields: readonly string[],
): WriteTarget[] {
  const { targets, refused } = writeTargets(loaded.config, config, profile, fields);
  const [first] = refused;
  if (first === undefined) return targets;
  throw new Problem(409, `${first.field} ${first.reason}.`, { more: { mistakes: refused } });
}

/** The same key, profile and caller: the same change, whatever happened to its answer. */
function changeIdOf({ key, profile, once }: Asked): string {
  if (once === undefined) return `ch_${randomUUID().replaceAll('-', '')}`;
  const digest = createHash('sha256').update([key.name, profile, once].join('\0')).digest('hex');
  return `ch_${digest.slice(0, 32)}`;
}

/** Kept sealed with the change: a key that comes with another body is a mistake of the caller. */
function digestOf({ request, version }: Asked): string {
  return createHash('sha256')
    .update(JSON.stringify([request, version ?? null]))
    .digest('base64url');
}

function problemOf(error: unknown): unknown {
  if (!(error instanceof HeadwaterError)) return error;
  const { code, details, message } = error;
  if (code === 'VERSION_CONFLICT') return new Problem(412, `${message}.`, { more: { code, ...details } });
  if (code === 'INPUT_INVALID' && details['field'] === 'id') {
    return new Problem(422, 'This Idempotency-Key came with another change before.', { more: { code } });
  }
  return error;
}
