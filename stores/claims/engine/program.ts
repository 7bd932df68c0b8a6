import type { ConflictRules } from '../../../schemas/conflicts.ts';
import type { ChangeState } from '../../../schemas/change.ts';
import type { Via } from '../../../schemas/observation.ts';
import type { Link } from '../chain.ts';
import type { ApplyReceipt } from '../claims.ts';

/** A record as the store holds it. `rid` is internal; `record` and `salt` are null once erased. */
export interface RecordRow {
  rid: number;
  oid: number;
  entity: string;
  source: string;
  object: string;
  record: string | null;
  /** The profile it belongs to, and the one it began in. */
  pid: number;
  home: number;
  salt: string | null;
  /** Newest version: its event, its id, its stamp and when a read last returned it, ms. Null before the first. */
  head: number | null;
  headId: string | null;
  stamp: number;
  confirmed: number;
  deleted: boolean;
  rowHash: string | null;
  /** How many events say what it holds: versions, and what operators say. Links are none. */
  events: number;
  /** The newest event about it, where the store finds the others through it; null elsewhere. */
  last: number | null;
}

export interface ProfileRow {
  pid: number;
  entity: string;
  version: number;
  seq: number;
  /** System time of this version, ms. */
  at: number;
  deleted: boolean;
  mergedInto: number | null;
  /** Several sources may say different things. */
  contested: boolean;
  /** A link of one of its records was refused: its links are never decided by the short way. */
  guarded: boolean;
}

export interface EventRow {
  seq: number;
  id: string;
  kind: number;
  rid: number | null;
  pid: number | null;
  cause: number;
  /** System time, ms. */
  at: number;
  /** Newest time at which a read returned this version, ms; null for other events. */
  confirmed: number | null;
  body: Uint8Array | null;
}

export interface IdentifierHit {
  hash: string;
  rid: number;
  pid: number;
}

/** link: a person said so. alias: the source merged them. apart: never in one profile. `a` < `b`. */
export interface Edge {
  a: number;
  b: number;
  kind: 'link' | 'alias' | 'apart';
}

/** The last numbers given, and the end of the chain. */
export interface Head {
  seq: number;
  rid: number;
  pid: number;
  position: number;
  cause: number;
  batch: number;
  hash: string;
  /** Edges of any kind, and hashes of erased subjects. Both nearly always 0: tells whether looking is worth it. */
  edges: number;
  suppressed: number;
}

export interface RulesRow {
  entity: string;
  hash: string;
  rules: ConflictRules;
  /** Event that brought them, and its time, ms. */
  seq: number;
  at: number;
}

export interface ReviewRow {
  id: string;
  kind: 'tie' | 'link';
  entity: string;
  pid: number;
  field: string | null;
  /** Records and their claims; values are looked up when read, so that nothing personal is stored twice. */
  candidates: { rid: number; claim: string | null }[];
  evidence: string;
  openedAt: number;
  state: 'open' | 'resolved';
  decision: string | null;
}

/** A change that somebody asked for. What it says is sealed under the key of `rid`, so erasing that record shreds it too. */
export interface ChangeRow {
  id: string;
  /** The record that carries what it says of the profile. */
  rid: number;
  state: ChangeState;
  at: number;
  /** What the body was sealed for; see Vault.seal. */
  seal: string;
  body: Uint8Array;
}

type Loaded<T> = T | Promise<T>;

/**
 * What a program may ask of the store, inside one transaction. Answers are bounded by the question. Lists come in any order where
 * none is stated: a program sorts what is to be seen (I1).
 */
export interface Reads {
  head(): Loaded<Head>;
  /** The number of (entity, source, object), given on first sight. */
  objectId(entity: string, source: string, object: string): Loaded<number>;
  suppressed(hashes: readonly string[]): Loaded<ReadonlySet<string>>;
  records(keys: readonly { oid: number; record: string }[]): Loaded<(RecordRow | null)[]>;
  recordByRef(source: string, object: string, record: string): Loaded<RecordRow | null>;
  recordsByRef(source: string, object: string, records: readonly string[]): Loaded<(RecordRow | null)[]>;
  recordsById(rids: readonly number[]): Loaded<RecordRow[]>;
  recordsOf(pids: readonly number[]): Loaded<RecordRow[]>;
  /** Records that once belonged to this profile. */
  movedFrom(pids: readonly number[]): Loaded<number[]>;
  profiles(pids: readonly number[]): Loaded<ProfileRow[]>;
  aliasesOf(pids: readonly number[]): Loaded<number[]>;
  /** At most `limit` records of each identifier, lowest first. */
  hits(hashes: readonly string[], limit: number): Loaded<IdentifierHit[]>;
  /** Of each, the newest `limit` records that have said so, with the profiles they are in. */
  referrers(hashes: readonly string[], limit: number): Loaded<{ rid: number; pid: number }[]>;
  /** Ascending; `confirmed` is the newest known. */
  events(rids: readonly number[]): Loaded<EventRow[]>;
  edges(rids: readonly number[]): Loaded<Edge[]>;
  /** In force at that system time (ms); undefined for now. */
  rules(entity: string, at?: number): Loaded<RulesRow | null>;
  rulesAt(seqs: readonly number[]): Loaded<RulesRow[]>;
  reviews(pids: readonly number[]): Loaded<ReviewRow[]>;
  review(id: string): Loaded<ReviewRow | null>;
  reviewsIn(state: 'open' | 'resolved' | null, limit: number): Loaded<ReviewRow[]>;
  change(id: string): Loaded<ChangeRow | null>;
  /** Newest first. */
  changesOf(rids: readonly number[], limit: number): Loaded<ChangeRow[]>;
  /** Oldest first. */
  changesIn(state: ChangeState, limit: number): Loaded<ChangeRow[]>;
  causes(numbers: readonly number[]): Loaded<Map<number, CauseOf>>;

  /** Live profiles above this one, ascending. */
  profilesAfter(after: number, entity: string | null, limit: number): Loaded<number[]>;
  /** Newest change first: profiles of several sources, where a field may be contested. */
  contested(entity: string | null, skip: number, limit: number): Loaded<number[]>;
  eventsAfter(seq: number, limit: number): Loaded<EventRow[]>;
  links(afterNumber: number, limit: number): Loaded<Link[]>;
  /** Records with an event of this run, or any event after this time, above a rid; ascending. */
  recordsChanged(
    filter: { run: string | null; sinceMs: number | null },
    after: number,
    limit: number,
  ): Loaded<number[]>;
  outbox(after: number, limit: number): Loaded<OutboxEntry[]>;
  cursor(consumer: string): Loaded<number>;
  counts(): Loaded<Map<string, number>>;
  /** Receipt of a batch that was applied before. */
  applied(batch: string): Loaded<ApplyReceipt | null>;
  progress(key: string): Loaded<string | null>;
}

export interface CauseOf {
  via: Via;
  run: string | null;
  actor: string | null;
  reason: string | null;
}

export interface OutboxEntry {
  position: number;
  pid: number;
  entity: string;
  version: number;
  seq: number;
  at: number;
}

export type Load = (reads: Reads) => unknown;

/**
 * A decision that asks for what it must know while it runs, and never does I/O itself. SQLite answers at once, Postgres after a
 * round trip; both run the same programs. A program may be run again from the start, so it changes nothing outside itself.
 */
export type Program<T> = Generator<Load, T, unknown>;

export function* ask<T>(load: (reads: Reads) => Loaded<T>): Program<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a generator cannot tie an answer's type to its question.
  return (yield load) as T;
}

/** For a store that answers at once. */
export function runNow<T>(program: Program<T>, reads: Reads): T {
  let step = program.next();
  while (step.done !== true) step = program.next(step.value(reads));
  return step.value;
}

/** For a store that answers later. */
export async function runLater<T>(program: Program<T>, reads: Reads): Promise<T> {
  let step = program.next();
  while (step.done !== true) step = program.next(await step.value(reads));
  return step.value;
}
