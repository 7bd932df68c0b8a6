import { HeadwaterError } from '../../../rules/errors.ts';
import type { Transaction, Values } from '../../postgres.ts';
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
} from '../columns.ts';
import { EVENT, HEAD, PROFILE, REVIEW, RULES } from './columns.ts';
import * as changes from './changes.ts';
import * as pages from './pages.ts';

const RECORD =
  'r.rid, r.oid, r.record, r.pid, r.home, r.salt, r.head, r.head_id, r.stamp, r.confirmed, r.deleted, r.row_hash, r.events';
const BY_REF = `SELECT k.n, ${RECORD} FROM unnest($1::int[], $2::text[]) WITH ORDINALITY AS k (oid, record, n)
  JOIN records r ON r.oid = k.oid AND r.record = k.record`;
const BY_NAME = `SELECT k.n, ${RECORD} FROM unnest($3::text[]) WITH ORDINALITY AS k (record, n)
  JOIN objects o ON o.source = $1 AND o.object = $2 JOIN records r ON r.oid = o.oid AND r.record = k.record ORDER BY k.n, o.oid`;
const BY_RID = `SELECT ${RECORD} FROM records r WHERE r.rid = ANY ($1::bigint[])`;
const BY_PID = `SELECT ${RECORD} FROM records r WHERE r.pid = ANY ($1::bigint[]) ORDER BY r.rid`;
const PROFILES = `SELECT ${PROFILE} FROM profiles WHERE pid = ANY ($1::bigint[])`;
const HITS = `SELECT k.hash, h.rid, h.pid FROM unnest($1::text[]) AS k (hash) CROSS JOIN LATERAL (
  SELECT i.rid, r.pid FROM identifiers i JOIN records r ON r.rid = i.rid WHERE i.hash = k.hash ORDER BY i.rid LIMIT $2) h`;
const REFERRERS = `SELECT h.rid, h.pid FROM unnest($1::text[]) AS k (hash) CROSS JOIN LATERAL (
  SELECT f.rid, r.pid FROM record_references f JOIN records r ON r.rid = f.rid
  WHERE f.hash = k.hash ORDER BY f.rid DESC LIMIT $2) h`;
const EVENTS = `SELECT ${EVENT} FROM unnest($1::bigint[]) AS k (rid) JOIN events e ON e.rid = k.rid
  JOIN causes c ON c.number = e.cause ORDER BY e.seq`;
const EDGES = `SELECT a, b, kind FROM edges WHERE a = ANY ($1::bigint[])
  UNION SELECT a, b, kind FROM edges WHERE b = ANY ($1::bigint[])`;
const OBJECT = 'SELECT oid FROM objects WHERE source = $1 AND object = $2 AND entity = $3';
export const OBJECTS = 'SELECT oid, entity, source, object FROM objects';
/** Without their texts: a process has seen those of nearly every hash. */
export const RULES_NOW = `SELECT DISTINCT ON (entity) entity, hash, seq, at FROM rules ORDER BY entity, seq DESC`;
const RULES_TEXT = 'SELECT body FROM rules WHERE entity = $1 AND seq = $2';
const EVENTS_OF = `SELECT ${EVENT} FROM unnest($1::bigint[]) AS k (pid) JOIN records r ON r.pid = k.pid
  JOIN events e ON e.rid = r.rid JOIN causes c ON c.number = e.cause ORDER BY e.seq`;
const RULES_AT = `SELECT ${RULES} FROM rules WHERE entity = $1 AND at <= $2 ORDER BY seq DESC LIMIT 1`;

interface ObjectName {
  entity: string;
  source: string;
  object: string;
}

/** What never changes, so that one transaction may know what another has seen. */
export class Known {
  readonly objects = new Map<number, ObjectName>();
  /** Texts of rules by entity and hash. */
  readonly rules = new Map<string, string>();

  addObjects(rows: readonly Values[]): void {
    for (const [oid, entity, source, object] of rows) {
      if (this.objects.has(num(oid))) continue;
      this.objects.set(num(oid), { entity: str(entity), source: str(source), object: str(object) });
    }
  }
}

/** What a transaction that changes something has asked for when it locked the head. */
interface Locked {
  head: Head;
  objects: Values[];
  rules: Values[];
}

/** Answers of one transaction; each question is one round trip, however much it asks for. */
export class PostgresReads implements Reads {
  readonly #tx: Transaction;
  readonly #known: Known;
  readonly #locked: Locked | null;
  /** Records and logs of the profiles that were asked for: whoever asks for a profile wants those next. */
  readonly #ahead = { records: new Map<number, RecordRow[]>(), events: new Map<number, EventRow[]>() };
  readonly #rules = new Map<string, RulesRow | null>();

  constructor(tx: Transaction, known: Known, locked: Locked | null) {
    this.#tx = tx;
    this.#known = known;
    this.#locked = locked;
    if (locked !== null) known.addObjects(locked.objects);
  }

  async head(): Promise<Head> {
    return this.#locked?.head ?? headRow(await this.#tx.one(`SELECT ${HEAD} FROM claims_head`));
  }

  async objectId(entity: string, source: string, object: string): Promise<number> {
    const seen = this.#locked?.objects.find(
      ([, ofEntity, ofSource, name]) => ofEntity === entity && ofSource === source && name === object,
    );
    const [oid] = seen ?? (await this.#tx.one(OBJECT, source, object, entity)) ?? [];
    if (oid !== undefined) return num(oid);
    const insert = 'INSERT INTO objects (entity, source, object) VALUES ($1, $2, $3) RETURNING oid';
    return num((await this.#tx.one(insert, entity, source, object))?.[0]);
  }

  async suppressed(hashes: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await this.#tx.list('SELECT hash FROM suppressed WHERE hash = ANY ($1::text[])', hashes);
    return new Set(rows.map(([hash]) => str(hash)));
  }

  async records(keys: readonly { oid: number; record: string }[]): Promise<(RecordRow | null)[]> {
    if (keys.length === 0) return [];
    const oids = keys.map(({ oid }) => oid);
    const names = keys.map(({ record }) => record);
    return this.#inPlace(await this.#tx.list(BY_REF, oids, names), keys.length);
  }

  async recordByRef(source: string, object: string, record: string): Promise<RecordRow | null> {
    const [found = null] = await this.recordsByRef(source, object, [record]);
    return found;
  }

  async recordsByRef(
    source: string,
    object: string,
    records: readonly string[],
  ): Promise<(RecordRow | null)[]> {
    return this.#inPlace(await this.#tx.list(BY_NAME, source, object, records), records.length);
  }

  async recordsById(rids: readonly number[]): Promise<RecordRow[]> {
    if (rids.length === 0) return [];
    const rows = await this.#records(await this.#tx.list(BY_RID, rids));
    const byId = new Map(rows.map((row) => [row.rid, row]));
    return rids.flatMap((rid) => byId.get(rid) ?? []);
  }

  async recordsOf(pids: readonly number[]): Promise<RecordRow[]> {
    if (pids.length === 0) return [];
    const { records } = this.#ahead;
    if (pids.every((pid) => records.has(pid))) {
      const found = pids.flatMap((pid) => records.get(pid) ?? []);
      // A program makes these rows its own and changes them.
      for (const pid of pids) records.delete(pid);
      return found;
    }
    return await this.#records(await this.#tx.list(BY_PID, pids));
  }

  async movedFrom(pids: readonly number[]): Promise<number[]> {
    const rows = await this.#tx.list('SELECT rid FROM moves WHERE pid = ANY ($1::bigint[])', pids);
    return rows.map(([rid]) => num(rid));
  }

  /** In the order of the question. What a reader of several profiles asks for next comes along. */
  async profiles(pids: readonly number[]): Promise<ProfileRow[]> {
    if (pids.length === 0) return [];
    const [profiles, members, log] = await Promise.all([
      this.#tx.list(PROFILES, pids),
      this.#tx.list(BY_PID, pids),
      // Who changes something needs few of the logs, and says which.
      this.#locked === null ? this.#tx.list(EVENTS_OF, pids) : null,
    ]);
    const { records, events } = this.#ahead;
    for (const pid of pids) records.set(pid, []);
    for (const row of await this.#records(members)) {
      records.get(row.pid)?.push(row);
      if (log !== null) events.set(row.rid, []);
    }
    for (const values of log ?? []) {
      const event = eventRow(values);
      if (event.rid !== null) events.get(event.rid)?.push(event);
    }
    const byId = new Map(profiles.map((values) => [num(values[0]), profileRow(values)]));
    return pids.flatMap((pid) => byId.get(pid) ?? []);
  }

  async aliasesOf(pids: readonly number[]): Promise<number[]> {
    const rows = await this.#tx.list('SELECT pid FROM profiles WHERE merged_into = ANY ($1::bigint[])', pids);
    return rows.map(([pid]) => num(pid));
  }

  async hits(hashes: readonly string[], limit: number): Promise<IdentifierHit[]> {
    const rows = await this.#tx.list(HITS, hashes, limit);
    return rows.map(([hash, rid, pid]) => ({ hash: str(hash), rid: num(rid), pid: num(pid) }));
  }

  async referrers(hashes: readonly string[], limit: number): Promise<{ rid: number; pid: number }[]> {
    const rows = await this.#tx.list(REFERRERS, hashes, limit);
    return rows.map(([rid, pid]) => ({ rid: num(rid), pid: num(pid) }));
  }

  async events(rids: readonly number[]): Promise<EventRow[]> {
    if (rids.length === 0) return [];
    const { events } = this.#ahead;
    if (rids.every((rid) => events.has(rid))) {
      return rids.flatMap((rid) => events.get(rid) ?? []).toSorted((left, right) => left.seq - right.seq);
    }
    return (await this.#tx.list(EVENTS, rids)).map(eventRow);
  }

  async edges(rids: readonly number[]): Promise<Edge[]> {
    return (await this.#tx.list(EDGES, rids)).map(edgeRow);
  }

  async rules(entity: string, at: number = Number.MAX_SAFE_INTEGER): Promise<RulesRow | null> {
    if (this.#locked !== null && at === Number.MAX_SAFE_INTEGER) {
      const found = this.#locked.rules.find(([of]) => of === entity);
      return found === undefined ? null : await this.#rulesInForce(found);
    }
    const key = `${at} ${entity}`;
    const known = this.#rules.get(key);
    if (known !== undefined) return known;
    const values = await this.#tx.one(RULES_AT, entity, at);
    const row = values === undefined ? null : rulesRow(values);
    this.#rules.set(key, row);
    return row;
  }

  async #rulesInForce([entity, hash, seq, at]: Values): Promise<RulesRow> {
    const key = `${str(entity)} ${str(hash)}`;
    let body = this.#known.rules.get(key);
    if (body === undefined) {
      body = str((await this.#tx.one(RULES_TEXT, str(entity), num(seq)))?.[0]);
      this.#known.rules.set(key, body);
    }
    return rulesRow([str(entity), str(hash), body, num(seq), num(at)]);
  }

  async rulesAt(seqs: readonly number[]): Promise<RulesRow[]> {
    if (seqs.length === 0) return [];
    const text = `SELECT ${RULES} FROM rules WHERE seq = ANY ($1::bigint[]) ORDER BY seq`;
    return (await this.#tx.list(text, seqs)).map(rulesRow);
  }

  async reviews(pids: readonly number[]): Promise<ReviewRow[]> {
    const rows = await this.#tx.list(`SELECT ${REVIEW} FROM reviews WHERE pid = ANY ($1::bigint[])`, pids);
    return rows.map(reviewRow);
  }

  async review(id: string): Promise<ReviewRow | null> {
    const values = await this.#tx.one(`SELECT ${REVIEW} FROM reviews WHERE id = $1`, id);
    return values === undefined ? null : reviewRow(values);
  }

  async reviewsIn(state: 'open' | 'resolved' | null, limit: number): Promise<ReviewRow[]> {
    return await pages.reviewsIn(this.#tx, state, limit);
  }

  async change(id: string): Promise<ChangeRow | null> {
    return await changes.change(this.#tx, id);
  }

  async changesOf(rids: readonly number[], limit: number): Promise<ChangeRow[]> {
    return await changes.changesOf(this.#tx, rids, limit);
  }

  async changesIn(state: ChangeState, limit: number): Promise<ChangeRow[]> {
    return await changes.changesIn(this.#tx, state, limit);
  }

  async causes(numbers: readonly number[]): Promise<Map<number, CauseOf>> {
    return await pages.causes(this.#tx, numbers);
  }

  async profilesAfter(after: number, entity: string | null, limit: number): Promise<number[]> {
    return await pages.profilesAfter(this.#tx, after, entity, limit);
  }

  async contested(entity: string | null, skip: number, limit: number): Promise<number[]> {
    return await pages.contested(this.#tx, entity, skip, limit);
  }

  async eventsAfter(seq: number, limit: number): Promise<EventRow[]> {
    return await pages.eventsAfter(this.#tx, seq, limit);
  }

  async links(after: number, limit: number): Promise<Link[]> {
    return await pages.links(this.#tx, after, limit);
  }

  async recordsChanged(
    filter: { run: string | null; sinceMs: number | null },
    after: number,
    limit: number,
  ): Promise<number[]> {
    return await pages.recordsChanged(this.#tx, filter, after, limit);
  }

  async outbox(after: number, limit: number): Promise<OutboxEntry[]> {
    return await pages.outbox(this.#tx, after, limit);
  }

  async cursor(consumer: string): Promise<number> {
    const row = await this.#tx.one('SELECT position FROM cursors WHERE consumer = $1', consumer);
    return row === undefined ? 0 : num(row[0]);
  }

  async counts(): Promise<Map<string, number>> {
    const rows = await this.#tx.list('SELECT name, n FROM claims_counts');
    return new Map(rows.map(([name, n]) => [str(name), num(n)]));
  }

  async applied(batch: string): Promise<ApplyReceipt | null> {
    return await pages.applied(this.#tx, batch);
  }

  async progress(key: string): Promise<string | null> {
    const row = await this.#tx.one('SELECT value FROM claims_meta WHERE key = $1', key);
    return row === undefined ? null : str(row[0]);
  }

  /** Rows that begin with their place in the question, counted from 1; the first of a place counts. */
  async #inPlace(rows: Values[], length: number): Promise<(RecordRow | null)[]> {
    const found: (RecordRow | null)[] = Array.from({ length }, () => null);
    const records = await this.#records(rows.map((values) => values.slice(1)));
    for (const [index, values] of rows.entries()) {
      const place = num(values[0]) - 1;
      found[place] ??= records[index] ?? null;
    }
    return found;
  }

  async #records(rows: Values[]): Promise<RecordRow[]> {
    const { objects } = this.#known;
    if (rows.some(([, oid]) => !objects.has(num(oid)))) this.#known.addObjects(await this.#tx.list(OBJECTS));
    return rows.map((values) => recordRow(values, objects));
  }
}

function recordRow(values: Values, names: Known['objects']): RecordRow {
  const [rid, oid, record, pid, home, salt, head, headId, stamp, confirmed, deleted, rowHash, events] =
    values;
  const name = names.get(num(oid));
  if (name === undefined) throw new HeadwaterError('INTERNAL', `the claims have no object ${String(oid)}`);
  return {
    rid: num(rid),
    oid: num(oid),
    entity: name.entity,
    source: name.source,
    object: name.object,
    record: strOrNull(record),
    pid: num(pid),
    home: num(home),
    salt: strOrNull(salt),
    head: numOrNull(head),
    headId: strOrNull(headId),
    stamp: stamp === null ? -Infinity : num(stamp),
    confirmed: num(confirmed),
    deleted: deleted === true,
    rowHash: strOrNull(rowHash),
    events: num(events),
    last: null,
  };
}
