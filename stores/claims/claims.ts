import type { Change, ChangeKind, ChangeState, ChangeTarget } from '../../schemas/change.ts';
import type { ConflictRules } from '../../schemas/conflicts.ts';
import type { ProfileEvent } from '../../schemas/event.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { ClaimValue, Identifier, Observation, RecordRef, Via } from '../../schemas/observation.ts';
import type { ConsideredClaim, GoldenField, GoldenProfile } from '../../schemas/profile.ts';
import type { SinkState } from '../../schemas/sink.ts';
import type { Serving } from './serving.ts';

/** Who and what causes a change; written into each of its events. */
export interface Cause {
  via: Via;
  /** Workflow run or request. */
  run: string | null;
  actor: string | null;
  /** Why, in the operator's words; never a personal value. */
  reason: string | null;
  at: Instant;
}

export interface ObservationBatch {
  /** Applying the same id twice is a no-op; null for single records (webhooks), whose observations are idempotent anyway. */
  id: string | null;
  observations: Observation[];
  cause: Cause;
}

/** `observed + known + suppressed` = observations of the batch (I2). */
export interface ApplyReceipt {
  alreadyApplied: boolean;
  /** New events. */
  observed: number;
  /** Versions that were there already; only `confirmedAt` moved. */
  known: number;
  /** Of erased subjects. */
  suppressed: number;
  /** Profiles made, changed (golden value, links or deletion) and merged. */
  created: number;
  changed: number;
  merged: number;
  /** Cases that were put up for review. */
  reviews: number;
}

/** Something that a person decides. */
export interface Review {
  id: string;
  kind: 'tie' | 'link';
  entity: string;
  profile: string;
  /** tie: the field. */
  field: string | null;
  /** tie: the claims that are equal. link: the records on both sides with the identifier's kind. */
  candidates: { ref: RecordRef; claim: string | null; value: ClaimValue }[];
  evidence: string;
  openedAt: Instant;
  state: 'open' | 'resolved';
  /** As given to `resolveReview`; 'ended' for a tie that nobody had to decide in the end. */
  decision: string | null;
}

export interface OutboxRow {
  position: number;
  profile: string;
  entity: string;
  version: number;
  seq: number;
  at: Instant;
}

/** What a rollback takes back; every condition given must hold. */
export interface RollbackScope {
  profile?: string;
  field?: string;
  source?: string;
  run?: string;
  /** Values that began after this moment (system time) are taken back. */
  since?: Instant;
  /** Also pins against new versions until released. */
  hold: boolean;
}

/** One field that a record would no longer claim as it does; `before` and `after` are what the profile holds now and would hold. */
export interface RollbackLine {
  profile: string;
  /** The record whose value is taken back. */
  ref: RecordRef;
  field: string;
  /** Equal to `after` where another record's value stands anyway; null also where nothing is left. */
  before: ClaimValue;
  after: ClaimValue;
}

/** One golden field that would change, for previews of rules, rollbacks and links. */
export interface GoldenChange {
  profile: string;
  entity: string;
  field: string;
  before: GoldenField | null;
  after: GoldenField | null;
}

/** One profile as an erasure sees it. Holds personal values: never logged, never part of a workflow (I5). */
export interface Subject {
  entity: string;
  /** Itself first, then its aliases. */
  profiles: string[];
  /** Those that are not erased yet. */
  records: RecordRef[];
  /** Of every version, not only the newest. */
  identifiers: Identifier[];
  /** Profiles that once held one of the records. */
  formerly: string[];
  events: number;
  /** Source time of the newest version, ms. */
  newest: number;
}

/** A record that the guards of this store's configuration put elsewhere; `to` null: into a profile of its own. */
export interface LinkChange {
  entity: string;
  ref: RecordRef;
  from: string;
  to: string | null;
}

/** What one system of record is asked to hold. */
export interface ProposedTarget extends RecordRef {
  fields: readonly string[];
}

/** A change of a profile that somebody asks for; see schemas/change.ts for its kinds. */
export interface Proposal {
  /** `ch_` and 32 hexadecimal digits: asking again with the same id changes nothing more. */
  id: string;
  kind: ChangeKind;
  /** Normalised already, as mappings do. Null: shall be empty. */
  values: Readonly<Record<string, ClaimValue>>;
  /** The version that the caller has seen; VERSION_CONFLICT when the profile has another one. */
  version?: number;
  /** The claims that the caller has seen, null for a field without one; others may have moved meanwhile. */
  claims?: Readonly<Record<string, string | null>>;
  /** explicit: at least one, records of the profile that are not deleted. */
  targets: readonly ProposedTarget[];
  /** Told apart by this where the same id is asked for again; absent: by all that stands here. */
  asked?: string;
  /** inferred: how sure the model is, 0–1, and which one it is. */
  confidence?: number;
  model?: string;
}

export interface Proposed {
  /** Of the profile, with the change in it. */
  version: number;
  state: ChangeState;
  /** The same id was asked for before. */
  repeated: boolean;
}

/** A target with what its write-back has to know: values, so nothing of it leaves the process (I5). */
export interface OpenTarget extends ChangeTarget {
  /** Version of the record that the claims hold; null: none. */
  stamp: Instant | null;
  /** What the record itself says now of the fields, and said when the change was asked for. */
  now: Readonly<Record<string, ClaimValue | undefined>>;
  then: Readonly<Record<string, ClaimValue | undefined>>;
  /** The source's own former values by its own names, once they are known; to undo. */
  former: Readonly<Record<string, unknown>> | null;
  /** The source's time of the version that we wrote. */
  wrote: Instant | null;
}

export interface OpenChange extends Omit<Change, 'targets'> {
  values: Readonly<Record<string, ClaimValue>>;
  targets: OpenTarget[];
}

/** What became of one target, as far as it is known. */
export type TargetNote = Partial<
  Pick<OpenTarget, 'state' | 'code' | 'field' | 'adjusted' | 'former' | 'wrote'>
>;

/** What we have sent to a record before, and what it held when it was read back: our own echo looks like this. */
export interface Sent {
  change: string;
  field: string;
  value: ClaimValue;
  got: ClaimValue;
}

export interface Verification {
  ok: boolean;
  batches: number;
  events: number;
  head: string;
  /** First batch that does not fit its hash. */
  brokenAt: number | null;
}

/**
 * Claims, identity, event log and outbox: what every source says, never folded into one value. Golden values are resolved when
 * they are read (I1). Every method is one transaction or a bounded series of them, 20 ms at most each; all may be called by
 * several processes at once (optimistic concurrency by a profile's version). Personal values are ciphertext at rest under a key
 * per record (I5); the log only grows and is chained (I4).
 */
export interface Claims extends Serving {
  /** Adds what was observed and links it by its identifiers. Order and repetition change no golden value (I1). */
  apply(batch: ObservationBatch): Promise<ApplyReceipt>;
  /** Hashes of the raw rows the ledger holds for these records, in their order; null for one that it does not know. */
  rowHashes(source: string, object: string, records: string[]): Promise<(string | null)[]>;
  /** Only raises `confirmedAt` of records whose row is unchanged. */
  confirm(source: string, object: string, records: string[], confirmedAt: Instant): Promise<void>;

  /**
   * By public id; an alias gives the profile it was merged into. `asOf`: what was known at that system time, with the rules
   * of then.
   */
  profile(id: string, options?: { asOf?: Instant }): Promise<GoldenProfile | null>;
  /** Exactly these, as consumers of the outbox need them: a merged one has no fields and says `mergedInto`. Unknown ids are left out. */
  current(ids: readonly string[]): Promise<GoldenProfile[]>;
  profileOf(ref: RecordRef): Promise<string | null>;
  /** Normalised identifier → profiles of that entity. */
  find(entity: string, identifier: { kind: string; value: string }): Promise<string[]>;
  profiles(filter: { entity?: string; after?: string; limit: number }): Promise<GoldenProfile[]>;
  /** Profiles in which sources contest a field, newest change first. */
  contested(filter: { entity?: string; limit: number }): Promise<GoldenProfile[]>;
  explain(
    profile: string,
    field: string,
  ): Promise<{ golden: GoldenField | null; considered: ConsideredClaim[] } | null>;
  /** Oldest first; opened. */
  history(profile: string, options?: { field?: string; limit?: number }): Promise<ProfileEvent[]>;
  counts(): Promise<{
    profiles: Record<string, number>;
    records: number;
    events: number;
    openReviews: number;
  }>;

  rules(entity: string): Promise<{ rules: ConflictRules; hash: string; since: Instant } | null>;
  /** What other rules would change, in pages; nothing is written. */
  previewRules(rules: ConflictRules, options: { limit: number }): AsyncIterable<GoldenChange[]>;
  /** Applying is an event; every profile that it changes gets an outbox row, in bounded transactions that resume. */
  applyRules(rules: ConflictRules, cause: Cause): Promise<{ changed: number }>;

  previewRollback(scope: RollbackScope, options: { limit: number }): Promise<RollbackLine[]>;
  rollback(scope: RollbackScope, cause: Cause): Promise<{ retracted: number; profiles: number }>;
  /** Ends retractions, holds and overrides of a field. */
  release(profile: string, field: string, cause: Cause): Promise<number>;
  override(profile: string, field: string, value: ClaimValue, cause: Cause): Promise<void>;

  /**
   * Adds a change that somebody asks for. explicit: it stands above all rules, marked as pending, until `settleChange`; one that
   * every target and the profile hold already is confirmed at once. At most one change of a field is open. VERSION_CONFLICT when
   * the caller has seen something else; INPUT_INVALID for an unknown profile, or an id that was used for another change.
   */
  propose(profile: string, proposal: Proposal, cause: Cause): Promise<Proposed>;
  /** Null: no such change, or its customer was erased. */
  change(id: string): Promise<Change | null>;
  /** The same with its values. */
  openChange(id: string): Promise<OpenChange | null>;
  /** Ids of changes that wait for their systems, oldest first. */
  pendingChanges(limit: number): Promise<{ id: string; at: Instant }[]>;
  noteTarget(id: string, target: number, note: TargetNote, cause: Cause): Promise<void>;
  /** What was sent to this record lately, newest first. */
  sentTo(ref: RecordRef): Promise<Sent[]>;
  /** Ends the pending values. confirmed: what was read back holds them. Only the first answer counts; returns it. */
  settleChange(
    id: string,
    outcome: 'confirmed' | 'refused',
    why: { code: string; field: string | null } | null,
    cause: Cause,
  ): Promise<ChangeState | null>;

  link(a: RecordRef, b: RecordRef, cause: Cause): Promise<void>;
  /** Never link these two again; splits a profile that holds both. */
  unlink(a: RecordRef, b: RecordRef, cause: Cause): Promise<void>;
  /** Which records the guards that the store was opened with would put elsewhere, in pages; nothing is written. */
  previewLinks(entity?: string): AsyncIterable<LinkChange[]>;
  /** Decides every link anew by these guards, in bounded transactions; asking again goes on where it stopped. */
  applyLinks(cause: Cause, entity?: string): Promise<{ moved: number }>;
  reviews(filter: { state?: 'open' | 'resolved'; limit: number }): Promise<Review[]>;
  /** tie: the claim that wins. link: 'link' or 'apart'. */
  resolveReview(id: string, decision: string, cause: Cause): Promise<void>;

  /** Rows above the position, ascending. */
  outbox(after: number, limit: number): Promise<OutboxRow[]>;
  /** Of the last row that was ever written; 0: none. */
  outboxEnd(): Promise<number>;
  cursor(consumer: string): Promise<number>;
  /** Never back. A name with a slash is a mark of its consumer's own, and no position of the outbox. */
  moveCursor(consumer: string, position: number): Promise<void>;
  /**
   * Looks at so many rows of the outbox and removes those that every consumer has passed and that a newer row of their profile
   * replaces: whoever begins at 0 still hears of every profile. The next call goes on behind them. The number removed.
   */
  prune(rowsMax: number): Promise<number>;
  /** Log entries above the seq, ascending; for the warehouse's `profile_events`. */
  events(afterSeq: number, limit: number): Promise<ProfileEvent[]>;

  /** What an erasure of this profile takes, with the values that find it elsewhere; null: no such profile. */
  subject(profile: string): Promise<Subject | null>;
  /**
   * Keeps records, and whoever has an identifier that only these subjects have, out from now on; nothing is removed yet.
   * Repeating it changes nothing.
   */
  suppress(
    records: readonly RecordRef[],
    subjects: readonly Pick<Subject, 'entity' | 'records' | 'identifiers'>[],
    cause: Cause,
  ): Promise<void>;
  /**
   * Shreds the keys of every record of the profile and its aliases, suppresses them, writes tombstones to the outbox.
   * `records`: only these records stay out; the same person in a new record may come back.
   */
  erase(
    profile: string,
    cause: Cause,
    keepOut?: 'subject' | 'records',
  ): Promise<{ records: RecordRef[]; profiles: string[] }>;
  /** Whether anything is kept out at all: without, nobody need be compared. */
  suppressing(): Promise<boolean>;
  /** Which of these records may not land. */
  suppressed(source: string, object: string, records: string[]): Promise<boolean[]>;
  /** Which of these normalised identifiers are those of erased subjects. */
  suppressedIdentifiers(entity: string, identifiers: readonly Identifier[]): Promise<boolean[]>;

  verify(): Promise<Verification>;
  /** As a sink of windows: its own epoch and seq, raised by `closeWindow`. */
  sinkState(): Promise<SinkState>;
  closeWindow(window: string, batches: string[]): Promise<SinkState>;
  close(): Promise<void>;
}
