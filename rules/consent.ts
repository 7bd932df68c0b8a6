import type { Classification, Entity } from '../schemas/entities/entity.ts';
import type { Identifier, RecordRef } from '../schemas/observation.ts';
import type { GoldenProfile } from '../schemas/profile.ts';

/** What must be known of the claims to find a person's consent. */
export interface ConsentReads {
  counts(): Promise<{ profiles: Record<string, number> }>;
  current(ids: readonly string[]): Promise<GoldenProfile[]>;
  find(entity: string, identifier: Identifier): Promise<string[]>;
  referring(entity: string, records: readonly RecordRef[], limit: number): Promise<string[]>;
  profileOf(ref: RecordRef): Promise<string | null>;
}

/** The shared schema that says what a person allows. */
const CONSENT = 'consent';
/** Consents of one person that are looked at. */
const CONSENTS_MAX = 20;
/** Without this consent nothing that was computed about a person is shown. */
const PROFILING = 'profiling';

/** Whether a field's value is kept from who sees these classes and does this with people. */
export function isMasked(
  { classification, kind }: { classification: Classification; kind: 'explicit' | 'inferred' },
  { sees, consents }: { sees: readonly Classification[]; consents: readonly string[] },
  denied: readonly string[],
): boolean {
  if (!sees.includes(classification)) return true;
  if (denied.length === 0) return false;
  if (kind === 'inferred' && denied.includes(PROFILING)) return true;
  return classification !== 'business' && consents.some((flag) => denied.includes(flag));
}

/** Which flags of a person's consent say no, however it is found: by what identifies the person, or by reference. */
export async function denialsOf(
  claims: ConsentReads,
  profile: GoldenProfile,
  entities: ReadonlyMap<string, Entity>,
): Promise<string[]> {
  const consent = entities.get(CONSENT);
  if (consent === undefined || !concerns(consent, profile.entity, entities)) return [];
  if (((await claims.counts()).profiles[CONSENT] ?? 0) === 0) return [];
  const found = await claims.current(
    (await profilesLike(claims, profile, entities.get(profile.entity), CONSENT)).slice(0, CONSENTS_MAX),
  );
  const denied = found.flatMap(({ fields, deleted }) =>
    deleted ? [] : Object.entries(fields).flatMap(([name, { value }]) => (value === false ? [name] : [])),
  );
  return [...new Set(denied)].toSorted();
}

/** Whose profiles a change of this consent is about. */
export async function concernedBy(
  claims: ConsentReads,
  consent: GoldenProfile,
  entities: ReadonlyMap<string, Entity>,
): Promise<string[]> {
  const own = entities.get(CONSENT);
  if (own === undefined) return [];
  const found = new Set<string>();
  for (const entity of entities.values()) {
    if (!concerns(own, entity.name, entities)) continue;
    for (const id of await profilesLike(claims, consent, own, entity.name)) found.add(id);
  }
  for (const field of Object.keys(own.references ?? {})) {
    const value = consent.fields[field]?.value;
    const [source, object, ...record] = typeof value === 'string' ? value.split(':') : [];
    if (source === undefined || object === undefined || record.length === 0) continue;
    const id = await claims.profileOf({ source, object, record: record.join(':') });
    if (id !== null) found.add(id);
  }
  return [...found];
}

/** A person shares identifiers with the consent, or is what the consent refers to. */
function concerns(consent: Entity, name: string, entities: ReadonlyMap<string, Entity>): boolean {
  if (name === CONSENT) return false;
  if (Object.values(consent.references ?? {}).includes(name)) return true;
  const kinds = new Set(Object.values(consent.identifiers));
  const entity = entities.get(name);
  // A company's switchboard is nobody's consent.
  return (
    entity !== undefined &&
    Object.entries(entity.identifiers).some(
      ([field, kind]) => kinds.has(kind) && entity.fields[field]?.classification === 'identifier',
    )
  );
}

/** Profiles of the entity `wanted` that share an identifier with this one, or refer to one of its records. */
async function profilesLike(
  claims: ConsentReads,
  profile: GoldenProfile,
  entity: Entity | undefined,
  wanted: string,
): Promise<string[]> {
  const found = new Set<string>();
  for (const [field, kind] of Object.entries(entity?.identifiers ?? {})) {
    const value = profile.fields[field]?.value;
    if (kind === undefined || typeof value !== 'string' || value === '') continue;
    for (const id of await claims.find(wanted, { kind, value })) found.add(id);
  }
  if (wanted === CONSENT) {
    for (const id of await claims.referring(CONSENT, profile.records, CONSENTS_MAX)) found.add(id);
  }
  return [...found];
}
