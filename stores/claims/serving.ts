import type { Instant } from '../../schemas/instant.ts';
import type { ClaimValue, RecordRef } from '../../schemas/observation.ts';
import type { GoldenProfile } from '../../schemas/profile.ts';

/** A profile with what whoever serves it must know beside its golden values. */
export interface ServedProfile {
  /** As `Claims.current` gives it: a merged one has no fields and says `mergedInto`. */
  profile: GoldenProfile;
  /** Ids that lead here since they were merged. */
  aliases: string[];
  /** When a read last returned each of `profile.records` as it is, in their order; no part of the golden values (I1). */
  confirmedAt: Instant[];
  /** Fields that hold what was only supposed. */
  unconfirmed: string[];
}

/** What somebody says that a record holds since `at`, and nobody has read there: a part of its fields. */
export interface Supposed {
  ref: RecordRef;
  at: Instant;
  fields: Record<string, ClaimValue>;
}

export interface Serving {
  /**
   * Exactly these; unknown ids are left out. `supposed`: resolved as if records of theirs held this too, by the ordinary rules; the
   * store stays as it is (I1).
   */
  served(ids: readonly string[], supposed?: readonly Supposed[]): Promise<ServedProfile[]>;
  /**
   * Ids of profiles of this entity, some record of which has said in some version that it refers to one of `to`, newest first.
   * More than those that say so now: whoever asks looks at their golden values.
   */
  referring(entity: string, to: readonly RecordRef[], limit: number): Promise<string[]>;
}
