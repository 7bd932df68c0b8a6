import type { Classification, Entity } from '../schemas/entities/entity.ts';
import type { Notification } from '../schemas/notification.ts';
import type { ClaimValue } from '../schemas/observation.ts';
import type { GoldenField, GoldenProfile } from '../schemas/profile.ts';

type Scalar = string | number | boolean | null;

/** What a subscriber asks for and may see. */
export interface Interest {
  entity?: string | undefined;
  profile?: string | undefined;
  /** Only changes of these are told, and only these are shown; absent: all. */
  fields?: readonly string[] | undefined;
  /** Values that a field must have: one of these. */
  where: Readonly<Record<string, readonly Scalar[]>>;
  sees: readonly Classification[];
}

export interface Seen {
  current: GoldenProfile;
  /** What was known before the changes that are to be told; null: nothing, or nobody knows. */
  before: GoldenProfile | null;
  /** Undefined: no schema classifies its fields, and they are shown to those alone who see everything. */
  entity: Entity | undefined;
  /** Whether a field is left out for another reason than its class. */
  hides?: (field: string, golden: GoldenField) => boolean;
}

export function concerns({ entity, profile }: Interest, about: { entity: string; profile: string }): boolean {
  return (
    (entity === undefined || entity === about.entity) && (profile === undefined || profile === about.profile)
  );
}

/**
 * What a subscriber hears of a profile's newest version; null: nothing that concerns it. That a profile is gone is told to
 * everyone who may have heard of it, whatever it held.
 */
export function noticeOf(interest: Interest, seen: Seen): Notification | null {
  const { current, before } = seen;
  if (!concerns(interest, current)) return null;
  const head = {
    profile: current.profile,
    entity: current.entity,
    version: current.version,
    at: current.updatedAt,
  };
  if (current.mergedInto !== null)
    return { type: 'profile.merged', ...head, merged_into: current.mergedInto, fields: {} };
  if (current.deleted && current.records.length === 0) return { type: 'profile.erased', ...head, fields: {} };
  const matches = fits(interest, current);
  const matched = before !== null && fits(interest, before);
  if (!matches && !matched) return null;
  const shown = namesOf(interest, seen);
  const known = before !== null && before.records.length > 0;
  const changed = known ? shown.filter((name) => !isSame(valueOf(before, name), valueOf(current, name))) : [];
  const flips = !known || matches !== matched || before.deleted !== current.deleted;
  if (interest.fields !== undefined && changed.length === 0 && !flips) return null;
  const told = shown.filter((name) => name in current.fields || changed.includes(name));
  return {
    type: 'profile.changed',
    ...head,
    ...(current.deleted ? { deleted: true as const } : {}),
    ...(known ? { changed } : {}),
    ...(matches ? {} : { matches: false as const }),
    fields: Object.fromEntries(told.map((name) => [name, valueOf(current, name)])),
  };
}

function fits({ where }: Interest, profile: GoldenProfile): boolean {
  return Object.entries(where).every(([field, wanted]) => {
    const value = valueOf(profile, field);
    const held = Array.isArray(value) ? value : [value];
    return wanted.some((one) => held.some((item) => item === one));
  });
}

/** Names that this subscriber asks for and may see, of both versions, sorted. */
function namesOf({ fields, sees }: Interest, { current, before, entity, hides }: Seen): string[] {
  const all = new Set([...Object.keys(current.fields), ...Object.keys(before?.fields ?? {})]);
  return [...all]
    .filter((name) => {
      if (fields !== undefined && !fields.includes(name)) return false;
      if (!sees.includes(entity?.fields[name]?.classification ?? 'sensitive')) return false;
      const golden = current.fields[name] ?? before?.fields[name];
      return golden === undefined || hides?.(name, golden) !== true;
    })
    .toSorted();
}

const valueOf = ({ fields }: GoldenProfile, name: string): ClaimValue => fields[name]?.value ?? null;

const isSame = (left: ClaimValue, right: ClaimValue): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right);
