import type { KeyObject } from 'node:crypto';
import type { ApplyReceipt, Cause } from '../claims.ts';
import { batchRoot, linkHash, type ChainedEvent, type Link } from '../chain.ts';
import type { Vault } from '../vault.ts';
import type { EventKind } from '../../../schemas/event.ts';
import type { ChangeRow, Edge, Head, ProfileRow, RecordRow, ReviewRow, RulesRow } from './program.ts';

/** Stored as their place in this list, which only ever grows. */
export const EVENT_KINDS: readonly EventKind[] = [
  'observe',
  'tombstone',
  'undelete',
  'retract',
  'unretract',
  'link',
  'unlink',
  'override',
  'release',
  'rule_change',
  'erase',
  'drift',
  'propose',
  'settle',
];

const CODES = new Map(EVENT_KINDS.map((kind, index) => [kind, index]));

export function codeOf(kind: EventKind): number {
  return CODES.get(kind) ?? -1;
}

/** The first three kinds are versions of a record. */
export const VERSION_CODE_MAX = 2;

export interface CauseRow extends Cause {
  number: number;
}

/** `previous`: the event before it of the same record; as an index, it is no part of the chain. */
export interface DraftedEvent extends ChainedEvent {
  previous: number | null;
}

/** What one transaction writes, decided in full before anything is written. */
export interface Writes {
  /** Null when an earlier transaction of the same call wrote it. */
  cause: CauseRow | null;
  head: Head;
  /** As the head was when this was decided: the write fails if it has moved since. */
  before: Head;
  events: DraftedEvent[];
  link: Link | null;
  newRecords: RecordRow[];
  records: RecordRow[];
  newProfiles: ProfileRow[];
  profiles: ProfileRow[];
  identifiers: { hash: string; rid: number }[];
  /** Those that no longer find their record. */
  dropped: { hash: string; rid: number }[];
  /** Kept for ever: what a record once referred to costs a look, and golden values say whether it still does. */
  references: { hash: string; rid: number }[];
  confirmations: { seq: number; confirmed: number }[];
  outbox: { position: number; pid: number; version: number; seq: number; at: number }[];
  reviews: ReviewRow[];
  changes: ChangeRow[];
  /** Settled changes that nobody need remember. */
  goneChanges: string[];
  newEdges: Edge[];
  goneEdges: Edge[];
  moves: { pid: number; rid: number }[];
  rules: RulesRow | null;
  /** The batch that this transaction ends. */
  applied: { batch: string; receipt: ApplyReceipt } | null;
  /** Where a long series of transactions stands; null ends it. */
  progress: { key: string; value: string | null } | null;
  suppress: string[];
  forget: { rid: number; identifiers: string[]; references: string[] }[];
  counts: Map<string, number>;
  /** Whether anything is to be written at all. */
  empty: boolean;
}

/** Collects what a program decides, and numbers it. */
export class Draft {
  readonly vault: Vault;
  readonly head: Head;
  readonly before: Head;
  readonly at: number;
  readonly cause: CauseRow;
  readonly #newCause: boolean;
  readonly events: DraftedEvent[] = [];
  readonly #owners: (RecordRow | null)[] = [];
  readonly newRecords: RecordRow[] = [];
  readonly records = new Set<RecordRow>();
  readonly newProfiles: ProfileRow[] = [];
  readonly profiles = new Set<ProfileRow>();
  readonly identifiers: Writes['identifiers'] = [];
  readonly dropped: Writes['dropped'] = [];
  readonly references: Writes['references'] = [];
  readonly confirmations: Writes['confirmations'] = [];
  readonly outbox: Writes['outbox'] = [];
  readonly reviews: ReviewRow[] = [];
  readonly changes: ChangeRow[] = [];
  readonly goneChanges: string[] = [];
  readonly newEdges: Edge[] = [];
  readonly goneEdges: Edge[] = [];
  readonly moves: Writes['moves'] = [];
  readonly suppress: string[] = [];
  readonly forget: Writes['forget'] = [];
  readonly counts = new Map<string, number>();
  rules: RulesRow | null = null;
  applied: Writes['applied'] = null;
  progress: Writes['progress'] = null;

  constructor(vault: Vault, head: Head, cause: Cause, number: number | null) {
    this.vault = vault;
    this.before = { ...head };
    this.head = head;
    this.at = Date.parse(cause.at);
    this.#newCause = number === null;
    this.cause = { ...cause, number: number ?? head.cause + 1 };
    if (number === null) head.cause += 1;
  }

  /** I4: the log only grows. `body`: sealed under the key of the record that it is about. Returns the event's seq. */
  event(
    kind: EventKind,
    owner: RecordRow | null,
    id: string,
    body: Uint8Array | null,
    confirmed: number | null = null,
  ): number {
    this.head.seq += 1;
    const { seq } = this.head;
    const previous = owner?.last ?? null;
    if (owner !== null) {
      if (kind !== 'link' && kind !== 'unlink') owner.events += 1;
      owner.last = seq;
      this.records.add(owner);
    }
    this.#owners.push(owner);
    this.events.push({
      seq,
      id,
      kind: codeOf(kind),
      profile: null,
      rid: owner?.rid ?? null,
      cause: this.cause.number,
      confirmed,
      body,
      previous,
    });
    return seq;
  }

  /** An event that is no observation: its id is a keyed hash of what it says and where it stands. */
  statement(kind: EventKind, owner: RecordRow, key: KeyObject, content: Record<string, unknown>): number {
    const text = JSON.stringify(content);
    const id = this.vault.observationId(`${kind}\0${this.head.seq + 1}\0${text}`);
    return this.event(kind, owner, id, this.vault.seal(key, text, id));
  }

  holdIdentifier(hash: string, rid: number): void {
    take(this.dropped, hash, rid);
    this.identifiers.push({ hash, rid });
  }

  dropIdentifier(hash: string, rid: number): void {
    // Where it is new in this transaction there is nothing to remove.
    if (!take(this.identifiers, hash, rid)) this.dropped.push({ hash, rid });
  }

  count(name: string, by: number): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  finish(): Writes {
    for (const [index, event] of this.events.entries()) event.profile = this.#owners[index]?.pid ?? null;
    const link = this.#link();
    this.head.edges += this.newEdges.length;
    this.head.suppressed += this.suppress.length;
    const { cause, newRecords, newProfiles, identifiers, dropped, confirmations, outbox, reviews } = this;
    const fresh = new Set<unknown>([...newRecords, ...newProfiles]);
    const records = [...this.records].filter((row) => !fresh.has(row));
    const profiles = [...this.profiles].filter((row) => !fresh.has(row));
    this.count('records', newRecords.length);
    this.count('events', this.events.length);
    const sizes = [
      this.events,
      newRecords,
      records,
      profiles,
      confirmations,
      reviews,
      this.changes,
      this.newEdges,
      this.goneEdges,
    ];
    return {
      cause: this.#newCause ? cause : null,
      head: this.head,
      before: this.before,
      events: this.events,
      link,
      newRecords,
      records,
      newProfiles,
      profiles,
      identifiers,
      dropped,
      references: this.references,
      confirmations,
      outbox,
      reviews,
      changes: this.changes,
      goneChanges: this.goneChanges,
      newEdges: this.newEdges,
      goneEdges: this.goneEdges,
      moves: this.moves,
      rules: this.rules,
      applied: this.applied,
      progress: this.progress,
      suppress: this.suppress,
      forget: this.forget,
      counts: this.counts,
      empty:
        sizes.every((list) => list.length === 0) &&
        this.suppress.length === 0 &&
        this.applied === null &&
        this.progress === null,
    };
  }

  #link(): Link | null {
    const [first] = this.events;
    if (first === undefined) return null;
    this.head.batch += 1;
    const link = {
      number: this.head.batch,
      firstSeq: first.seq,
      lastSeq: this.head.seq,
      cause: this.cause.number,
      root: batchRoot(this.cause, this.events),
    };
    this.head.hash = linkHash(this.head.hash, link);
    return { ...link, hash: this.head.hash };
  }
}

/** Both lists are about one transaction; what is dropped is rare, so they are looked through. */
function take(list: { hash: string; rid: number }[], hash: string, rid: number): boolean {
  if (list.length === 0) return false;
  const at = list.findLastIndex((one) => one.hash === hash && one.rid === rid);
  if (at !== -1) list.splice(at, 1);
  return at !== -1;
}
