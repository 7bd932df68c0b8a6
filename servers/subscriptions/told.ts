import { denialsOf, isMasked } from '../../rules/consent.ts';
import { noticeOf, type Interest } from '../../rules/notice.ts';
import type { Entity } from '../../schemas/entities/entity.ts';
import type { Notification } from '../../schemas/notification.ts';
import type { GoldenProfile } from '../../schemas/profile.ts';
import type { Claims, OutboxRow } from '../../stores/claims/claims.ts';
import { maySee, type Sight } from '../profiles/mask.ts';

/** A change of a profile with all that any listener may need of it. */
export interface Told {
  position: number;
  current: GoldenProfile;
  before: GoldenProfile | null;
  entity: Entity | undefined;
  /** Flags of the person's consent that say no. */
  denied: readonly string[];
}

/**
 * What these rows tell, in their order. A version that a newer one has replaced already is left out: the newer one has a row
 * further on, so each listener hears of it exactly once.
 */
export async function toldBy(
  claims: Claims,
  entities: ReadonlyMap<string, Entity>,
  rows: readonly OutboxRow[],
): Promise<Told[]> {
  const ids = [...new Set(rows.map(({ profile }) => profile))];
  const newest = new Map((await claims.current(ids)).map((one) => [one.profile, one]));
  const told: Told[] = [];
  for (const { profile, version, position, at } of rows) {
    const current = newest.get(profile);
    if (current === undefined || current.version !== version) continue;
    const isThere = current.mergedInto === null && current.records.length > 0;
    const asOf = new Date(Date.parse(at) - 1).toISOString();
    const before = isThere ? await claims.profile(profile, { asOf }) : null;
    const denied = isThere ? await denialsOf(claims, current, entities) : [];
    told.push({ position, current, before, entity: entities.get(current.entity), denied });
  }
  return told;
}

/** What one listener hears of it, masked as its key sees; null: nothing. */
export function heard(
  { current, before, entity, denied }: Told,
  interest: Interest,
  sight: Sight,
): Notification | null {
  if (!maySee(sight, current.entity)) return null;
  const hides = (field: string, { kind }: { kind: 'explicit' | 'inferred' }): boolean =>
    isMasked({ classification: entity?.fields[field]?.classification ?? 'sensitive', kind }, sight, denied);
  return noticeOf(interest, { current, before, entity, hides });
}
