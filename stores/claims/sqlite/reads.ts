import { HeadwaterError } from '../../../rules/errors.ts';
import type { SqliteFile } from '../../sqlite.ts';
import type { Link } from '../chain.ts';
import type { ApplyReceipt } from '../claims.ts';
import type { ChangeState } from '../../../schemas/change.ts';
import type {
  CauseOf,
  ChangeRow,
  Edge,
  EventRow,
  Head,
  IdentifierHit,
  OutboxEntry,
  ProfileRow,
  Reads,
  RecordRow,
  ReviewRow,
  RulesRow,
} from '../engine/program.ts';
import { VERSION_CODE_MAX } from '../engine/draft.ts';
import {
  edgeRow,
  eventRow,
  headRow,
  num,
  numOrNull,
  profileRow,
  reviewRow,
  rulesRow,
  str,
  strOrNull,
  type Values,
} from '../columns.ts';
import * as changes from './changes.ts';
import * as pages from './pages.ts';
import {
  holdersOf,
  membersOf,
  newestOf,
  profilesOf,
  RECORD,
  recordsNamed,
  TOGETHER_MIN,
} from './together.ts';

const BY_REF = `SELECT ${RECORD} FROM records r WHERE r.oid = ? AND r.record = ?`;
const BY_RID = `SELECT ${RECORD} FROM records r WHERE r.rid = ?`;
const BY_PID = `SELECT ${RECORD} FROM records r WHERE r.pid = ? AND r.rid > ? ORDER BY r.rid LIMIT 1`;
const MOVED = 'SELECT rid FROM moves WHERE pid = ?';
const PROFILE =
  'SELECT pid, entity, version, seq, at, deleted, merged_into, contested, guarded FROM profiles WHERE pid = ?';
const ALIASES = 'SELECT pid FROM profiles WHERE merged_into = ?';
const HOLDER = `SELECT i.rid, r.pid FROM identifiers i JOIN records r ON r.rid = i.rid
  WHERE i.hash = ? AND i.rid > ? ORDER BY i.rid LIMIT 1`;
const REFERRERS = `SELECT f.rid, r.pid FROM record_references f JOIN records r ON r.rid = f.rid
  WHERE f.hash = ? ORDER BY f.rid DESC LIMIT ?`;
const LAST = 'SELECT last FROM records WHERE rid = ?';
const EVENT_AT =
  'SELECT seq, id, kind, rid, pid, cause, 0, confirmed, body, previous FROM events WHERE seq = ?';
const CAUSE_AT = 'SELECT at FROM causes WHERE number = ?';
const CONFIRMED = 'SELECT confirmed FROM confirmations WHERE seq = ?';
const EDGES = 'SELECT a, b, kind FROM edges WHERE a = ?1 UNION SELECT a, b, kind FROM edges WHERE b = ?1';
const SUPPRESSED = 'SELECT 1 FROM suppressed WHERE hash = ?';
const OBJECT = 'SELECT oid FROM objects WHERE source = ? AND object = ? AND entity = ?';
const OBJECTS = 'SELECT oid, entity, source, object FROM objects';
const OIDS = 'SELECT oid FROM objects WHERE source = ? AND object = ?';
const HEAD = 'SELECT seq, rid, pid, position, cause, batch, hash, edges, suppressed FROM head';
const RULES = `SELECT entity, hash, body, seq, at FROM rules WHERE entity = ? AND at <= ? ORDER BY seq DESC LIMIT 1`;
const RULES_AT = 'SELECT entity, hash, body, seq, at FROM rules WHERE seq = ?';
const REVIEWS =
  'SELECT id, kind, entity, pid, field, candidates, evidence, opened_at, state, decision FROM reviews';

interface ObjectName {
  entity: string;
  source: string;
  object: string;
}

const CAUSES_MAX = 10_000;

/**
 * Rows of which there are one or two per key are stepped through with `get`: measured at 0.5 µs a step, where a list costs
 * 2 to 6 µs before its first row.
 *
 * Answers of one SQLite file; every method is called inside a transaction.
 */
export class SqliteReads implements Reads {
  readonly #db: SqliteFile;
  /** Numbers of objects never change, so what one transaction has seen the next may know. */
  readonly #objects = new Map<number, ObjectName>();
  /** Times of causes that events named; these never change either. */
  readonly #causes = new Map<number, number>();

  constructor(db: SqliteFile) {
    this.#db = db;
  }

  head(): Head {
    return headRow(this.#db.one(HEAD));
  }

  objectId(entity: string, source: string, object: string): number {
    const [known] = this.#db.one(OBJECT, source, object, entity) ?? [];
    if (known !== undefined) return num(known);
    this.#db.run('INSERT INTO objects (entity, source, object) VALUES (?, ?, ?)', entity, source, object);
    return num(this.#db.one(OBJECT, source, object, entity)?.[0]);
  }

  suppressed(hashes: readonly string[]): ReadonlySet<string> {
    return new Set(hashes.filter((hash) => this.#db.one(SUPPRESSED, hash) !== undefined));
  }

  records(keys: readonly { oid: number; record: string }[]): (RecordRow | null)[] {
    if (keys.length >= TOGETHER_MIN) return this.#recordsTogether(keys);
    return keys.map(({ oid, record }) => this.#record(this.#db.one(BY_REF, oid, record)));
  }

  #recordsTogether(keys: readonly { oid: number; record: string }[]): (RecordRow | null)[] {
    const found = new Map<number, Map<string | null, RecordRow>>();
    for (const [oid, some] of Map.groupBy(keys, (key) => key.oid)) {
      const names = some.map(({ record }) => record);
      const rows = recordsNamed(this.#db, oid, names).flatMap((values) => this.#record(values) ?? []);
      found.set(oid, new Map(rows.map((row) => [row.record, row])));
    }
    return keys.map(({ oid, record }) => found.get(oid)?.get(record) ?? null);
  }

  recordByRef(source: string, object: string, record: string): RecordRow | null {
    for (const [oid] of this.#db.list(OIDS, source, object)) {
      const row = this.#record(this.#db.one(BY_REF, num(oid), record));
      if (row !== null) return row;
    }
    return null;
  }

  recordsByRef(source: string, object: string, records: readonly string[]): (RecordRow | null)[] {
    return records.map((record) => this.recordByRef(source, object, record));
  }

  recordsById(rids: readonly number[]): RecordRow[] {
    return rids.flatMap((rid) => this.#record(this.#db.one(BY_RID, rid)) ?? []);
  }

  recordsOf(pids: readonly number[]): RecordRow[] {
    if (pids.length >= TOGETHER_MIN) {
      return membersOf(this.#db, pids).flatMap((values) => this.#record(values) ?? []);
    }
    const rows: RecordRow[] = [];
    for (const pid of pids) {
      let row = this.#record(this.#db.one(BY_PID, pid, 0));
      for (; row !== null; row = this.#record(this.#db.one(BY_PID, pid, row.rid))) rows.push(row);
    }
    return rows;
  }

  movedFrom(pids: readonly number[]): number[] {
    return pids.flatMap((pid) => this.#db.list(MOVED, pid).map(([rid]) => num(rid)));
  }

  profiles(pids: readonly number[]): ProfileRow[] {
    if (pids.length >= TOGETHER_MIN) return profilesOf(this.#db, pids).map(profileRow);
    return pids.flatMap((pid) => {
      const values = this.#db.one(PROFILE, pid);
      return values === undefined ? [] : [profileRow(values)];
    });
  }

  aliasesOf(pids: readonly number[]): number[] {
    return pids.flatMap((pid) => this.#db.list(ALIASES, pid).map(([alias]) => num(alias)));
  }

  hits(hashes: readonly string[], limit: number): IdentifierHit[] {
    const together = hashes.length < TOGETHER_MIN ? null : holdersOf(this.#db, hashes, limit);
    if (together !== null) return together;
    const hits: IdentifierHit[] = [];
    for (const hash of hashes) {
      let rid = 0;
      for (let count = 0; count < limit; count += 1) {
        const next = this.#db.one(HOLDER, hash, rid);
        if (next === undefined) break;
        rid = num(next[0]);
        hits.push({ hash, rid, pid: num(next[1]) });
      }
    }
    return hits;
  }

  referrers(hashes: readonly string[], limit: number): { rid: number; pid: number }[] {
    return hashes.flatMap((hash) =>
      this.#db.list(REFERRERS, hash, limit).map(([rid, pid]) => ({ rid: num(rid), pid: num(pid) })),
    );
  }

  events(rids: readonly number[]): EventRow[] {
    const rows: EventRow[] = [];
    const newest = new Map<number, Values>();
    if (rids.length >= TOGETHER_MIN) {
      for (const values of newestOf(this.#db, rids)) newest.set(num(values[3]), values);
    }
    for (const rid of rids) {
      const log = this.#log(rid, newest.get(rid));
      for (let index = log.length - 1; index >= 0; index -= 1) {
        const row = log[index];
        if (row === undefined) continue;
        rows.push(row);
        // A version that is not the newest any more keeps its last confirmation apart.
        if (log.length < 2) break;
        const later = row.kind <= VERSION_CODE_MAX ? this.#db.one(CONFIRMED, row.seq)?.[0] : undefined;
        if (later !== undefined) row.confirmed = Math.max(row.confirmed ?? num(later), num(later));
      }
    }
    return rows;
  }

  /** Newest first. `newest`: its newest event, where it was read already. */
  #log(rid: number, newest?: Values): EventRow[] {
    const log: EventRow[] = [];
    let values = newest ?? this.#eventAt(this.#db.one(LAST, rid)?.[0] ?? null);
    while (values !== undefined) {
      // Each is older than the one before it, so the way has an end.
      if (values[3] !== rid || num(values[0]) >= (log.at(-1)?.seq ?? Infinity)) {
        throw new HeadwaterError('INTERNAL', `the log of record ${rid} is broken`);
      }
      const row = eventRow(values);
      row.at = this.#causeAt(row.cause);
      log.push(row);
      values = this.#eventAt(values[9] ?? null);
    }
    return log;
  }

  #eventAt(last: unknown): Values | undefined {
    if (last === null) return undefined;
    const seq = num(last);
    const values = this.#db.one(EVENT_AT, seq);
    if (values === undefined) throw new HeadwaterError('INTERNAL', `the log has no event ${seq}`);
    return values;
  }

  #causeAt(number: number): number {
    let at = this.#causes.get(number);
    if (at === undefined) {
      at = num(this.#db.one(CAUSE_AT, number)?.[0]);
      if (this.#causes.size >= CAUSES_MAX) this.#causes.clear();
      this.#causes.set(number, at);
    }
    return at;
  }

  edges(rids: readonly number[]): Edge[] {
    return rids.flatMap((rid) => this.#db.list(EDGES, rid).map(edgeRow));
  }

  rules(entity: string, at: number = Number.MAX_SAFE_INTEGER): RulesRow | null {
    const values = this.#db.one(RULES, entity, at);
    return values === undefined ? null : rulesRow(values);
  }

  rulesAt(seqs: readonly number[]): RulesRow[] {
    return seqs.flatMap((seq) => this.#db.list(RULES_AT, seq).map(rulesRow));
  }

  profilesAfter(after: number, entity: string | null, limit: number): number[] {
    return pages.profilesAfter(this.#db, after, entity, limit);
  }

  contested(entity: string | null, skip: number, limit: number): number[] {
    return pages.contested(this.#db, entity, skip, limit);
  }

  eventsAfter(seq: number, limit: number): EventRow[] {
    return pages.eventsAfter(this.#db, seq, limit);
  }

  links(after: number, limit: number): Link[] {
    return pages.links(this.#db, after, limit);
  }

  recordsChanged(
    filter: { run: string | null; sinceMs: number | null },
    after: number,
    limit: number,
  ): number[] {
    return pages.recordsChanged(this.#db, filter, after, limit);
  }

  outbox(after: number, limit: number): OutboxEntry[] {
    return pages.outbox(this.#db, after, limit);
  }

  change(id: string): ChangeRow | null {
    return changes.change(this.#db, id);
  }

  changesOf(rids: readonly number[], limit: number): ChangeRow[] {
    return changes.changesOf(this.#db, rids, limit);
  }

  changesIn(state: ChangeState, limit: number): ChangeRow[] {
    return changes.changesIn(this.#db, state, limit);
  }

  causes(numbers: readonly number[]): Map<number, CauseOf> {
    return pages.causes(this.#db, numbers);
  }

  applied(batch: string): ApplyReceipt | null {
    return pages.applied(this.#db, batch);
  }

  cursor(consumer: string): number {
    const row = this.#db.one('SELECT position FROM cursors WHERE consumer = ?', consumer);
    return row === undefined ? 0 : num(row[0]);
  }

  counts(): Map<string, number> {
    return new Map(this.#db.list('SELECT name, n FROM counts').map(([name, n]) => [str(name), num(n)]));
  }

  progress(key: string): string | null {
    const row = this.#db.one('SELECT value FROM meta WHERE key = ?', key);
    return row === undefined ? null : str(row[0]);
  }

  reviews(pids: readonly number[]): ReviewRow[] {
    return pids.flatMap((pid) => this.#db.list(`${REVIEWS} WHERE pid = ?`, pid).map(reviewRow));
  }

  reviewsIn(state: 'open' | 'resolved' | null, limit: number): ReviewRow[] {
    return this.#db
      .list(`${REVIEWS} WHERE state = ifnull(?, state) ORDER BY opened_at, id LIMIT ?`, state, limit)
      .map(reviewRow);
  }

  review(id: string): ReviewRow | null {
    const values = this.#db.one(`${REVIEWS} WHERE id = ?`, id);
    return values === undefined ? null : reviewRow(values);
  }

  #record(values: Values | undefined): RecordRow | null {
    if (values === undefined) return null;
    const [
      rid,
      oid,
      record,
      pid,
      home,
      salt,
      head,
      headId,
      stamp,
      confirmed,
      deleted,
      rowHash,
      events,
      last,
    ] = values;
    const { entity, source, object } = this.#object(num(oid));
    return {
      rid: num(rid),
      oid: num(oid),
      entity,
      source,
      object,
      record: strOrNull(record),
      pid: num(pid),
      home: num(home),
      salt: strOrNull(salt),
      head: numOrNull(head),
      headId: strOrNull(headId),
      stamp: stamp === null ? -Infinity : num(stamp),
      confirmed: num(confirmed),
      deleted: deleted === 1,
      rowHash: strOrNull(rowHash),
      events: num(events),
      last: numOrNull(last),
    };
  }

  #object(oid: number): ObjectName {
    const known = this.#objects.get(oid);
    if (known !== undefined) return known;
    for (const [id, entity, source, object] of this.#db.list(OBJECTS)) {
      this.#objects.set(num(id), { entity: str(entity), source: str(source), object: str(object) });
    }
    const found = this.#objects.get(oid);
    if (found === undefined) throw new HeadwaterError('INTERNAL', `the claims have no object ${oid}`);
    return found;
  }
}
