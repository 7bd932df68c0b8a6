import type { Instant } from '../../schemas/instant.ts';
import type { RecordRef } from '../../schemas/observation.ts';
import type { GoldenProfile } from '../../schemas/profile.ts';

/** A profile with what whoever serves it must know beside its golden values. */
export interface ServedProfile {
  /** As `Claims.current` gives it: a merged one has no fields and says `mergedInto`. */
  profile: GoldenProfile;
  /** Ids that lead here since they were merged. */
  aliases: string[];
  /** When a read last returned each of `profile.records` as it is, in their order; no part of the golden values (I1). */
  confirmedAt: Instant[];
}

export interface Serving {
  /** Exactly these; unknown ids are left out. */
  served(ids: readonly string[]): Promise<ServedProfile[]>;
  /**
   * Ids of profiles of this entity, some record of which has said in some version that it refers to one of `to`, newest first.
   * More than those that say so now: whoever asks looks at their golden values.
   */
  referring(entity: string, to: readonly RecordRef[], limit: number): Promise<string[]>;
}
