import type { Instant } from '../../schemas/instant.ts';
import type { ClaimKind, ClaimValue, RecordRef } from '../../schemas/observation.ts';

/** One version of a record as the fold takes it: an opened `observe` or `tombstone` event. */
export interface Version {
  /** The observation's id: last in the total order. */
  id: string;
  seq: number;
  stamp: Instant;
  version: string;
  firstSeen: Instant;
  confirmedAt: Instant;
  deleted: boolean;
  fields: Readonly<Record<string, ClaimValue>>;
  times?: Readonly<Record<string, Instant>>;
  inferred?: Readonly<Record<string, number>>;
}

/** Takes back one run of equal values of one field: later versions that still carry the run stay retracted. */
export interface Retraction {
  field: string;
  /** Canonical JSON of the value that is taken back. */
  value: string;
  /** Effective time at which the retracted run starts. */
  runStart: Instant;
  /** Pinned: new values of this record do not count either, until it is released. */
  hold: boolean;
}

/** What one record says now about one field. */
export interface FieldClaim {
  value: ClaimValue;
  /** Effective time of the first version in the newest unbroken run of equal values, or the source's own time for the field. */
  changedAt: Instant;
  /** Version that started the run. */
  claim: string;
  seq: number;
  kind: ClaimKind;
  confidence: number;
}

/** A record after its versions were folded: at most one claim per field. `version` breaks ties between equal times. */
export interface RecordState {
  ref: RecordRef;
  /** By its newest version. The claims are what it said last then; no golden value is made of them. */
  deleted: boolean;
  /** Some version of it was deleted: what counts where a deletion is for ever. */
  everDeleted: boolean;
  /** Effective time of the newest version. */
  stamp: Instant;
  version: string;
  claims: Readonly<Record<string, FieldClaim>>;
  /** What the newest version says where that was taken back: shown by `explain`, never golden. */
  retracted: Readonly<Record<string, FieldClaim>>;
  /** The newest version's source time was ahead of the allowed skew and has been clamped. */
  clamped: boolean;
}

/** A value above all rules: an operator's until it is released, a pending change's until it is settled. */
export interface Override {
  field: string;
  value: ClaimValue;
  id: string;
  seq: number;
  at: Instant;
  /** The change that waits for its systems of record; absent: an operator's word. */
  pending?: string;
}
