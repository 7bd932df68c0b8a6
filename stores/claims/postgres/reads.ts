import { HeadwaterError } from '../../../rules/errors.ts';
import type { Transaction, Values } from '../../postgres.ts';
import type { Link } from '../chain.ts';
import type { ApplyReceipt } from '../claims.ts';
import type {
  CauseOf,
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
  EVENT,
  eventRow,
  HEAD,
  headRow,
  num,
  numOrNull,
  PROFILE,
  profileRow,
  REVIEW,
  reviewRow,
  RULES,
  rulesRow,
  str,
  strOrNull,
} from './columns.ts';
import * as pages from './pages.ts';

const RECORD =
  'r.rid, r.oid, r.record, r.pid, r.home, r.salt, r.head, r.head_id, r.stamp, r.confirmed, r.deleted, r.row_hash';
const BY_REF = `SELECT k.n, ${RECORD} FROM unnest($1::int[], $2::text[]) WITH ORDINALITY AS k (oid, record, n)
  JOIN records r ON r.oid = k.oid AND r.record = k.record`;
const BY_NAME = `SELECT k.n, ${RECORD} FROM unnest($3::text[]) WITH ORDINALITY AS k (record, n)
  JOIN objects o ON o.source = $1 AND o.object = $2 JOIN records r ON r.oid = o.oid AND r.record = k.record ORDER BY k.n, o.oid`;
const BY_RID = `SELECT ${RECORD} FROM records r WHERE r.rid = ANY ($1::bigint[])`;
const BY_PID = `SELECT ${RECORD} FROM records r WHERE r.pid = ANY ($1::bigint[]) ORDER BY r.rid`;
const PROFILES = `SELECT ${PROFILE} FROM profiles WHERE pid = ANY ($1::bigint[])`;
const HITS = `SELECT k.hash, h.rid, h.pid FROM unnest($1::text[]) AS k (hash) CROSS JOIN LATERAL (
  SELECT i.rid, r.pid FROM identifiers i JOIN records r ON r.rid = i.rid WHERE i.hash = k.hash ORDER BY i.rid LIMIT $2) h`;
const EVENTS = `SELECT ${EVENT} FROM unnest($1::bigint[]) AS k (rid) JOIN events e ON e.rid = k.rid
  JOIN causes c ON c.number = e.cause ORDER BY e.seq`;
const EDGES = `SELECT a, b, kind FROM edges WHERE a = ANY ($1::bigint[])
  UNION SELECT a, b, kind FROM edges WHERE b = ANY ($1::bigint[])`;
const OBJECT = 'SELECT oid FROM objects WHERE source = $1 AND object = $2 AND entity = $3';
const OBJECTS = 'SELECT oid, entity, source, object FROM objects';
const RULES_AT = `SELECT ${RULES} FROM rules WHERE entity = $1 AND at <= $2 ORDER BY seq DESC LIMIT 1`;

interface ObjectName {
  entity: string;
  source: string;
  object: string;
}

/** Numbers of objects are given once and never again, so what one transaction has seen all others may know. */
export type ObjectNames = Map<number, ObjectName>;

/** Answers of one transaction; each question is one round trip, however much it asks for. */
export class PostgresReads implements Reads {
  readonly #tx: Transaction;
  readonly #names: ObjectNames;
  readonly #head: Head | null;
  /** Records and logs of several profiles that were asked for together; handed out once. */
  readonly #ahead = { records: new Map<number, RecordRow[]>(), events: new Map<number, EventRow[]>() };
  readonly #rules = new Map<string, RulesRow | null>();

  /** `head`: as the transaction has locked it. */
  constructor(tx: Transaction, names: ObjectNames, head: Head | null) {
    this.#tx = tx;
    this.#names = names;
    this.#head = head;
  }

  async head(): Promise<Head> {
    return this.#head ?? headRow(await this.#tx.one(`SELECT ${HEAD} FROM claims_head`));
  }

  async objectId(entity: string, source: string, object: string): Promise<number> {
    const [known] = (await this.#tx.one(OBJECT, source, object, entity)) ?? [];
    if (known !== undefined) return num(known);
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
    const [only] = pids;
    if (only === undefined) return [];
    const ahead = pids.length === 1 ? this.#ahead.records.get(only) : undefined;
    if (ahead !== undefined) {
      this.#ahead.records.delete(only);
      return ahead;
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
    const byId = new Map<number, ProfileRow>();
    for (const values of await this.#tx.list(PROFILES, pids)) {
      const row = profileRow(values);
      byId.set(row.pid, row);
    }
    // A transaction that changes something asks for all of them at once by itself.
    if (this.#head === null && pids.length > 1) await this.#loadAhead(pids);
    return pids.flatMap((pid) => byId.get(pid) ?? []);
  }

  async #loadAhead(pids: readonly number[]): Promise<void> {
    const { records, events } = this.#ahead;
    const rows = await this.#records(await this.#tx.list(BY_PID, pids));
    for (const pid of pids) records.set(pid, []);
    for (const row of rows) {
      records.get(row.pid)?.push(row);
      events.set(row.rid, []);
    }
    for (const values of await this.#tx.list(EVENTS, [...events.keys()])) {
      const event = eventRow(values);
      if (event.rid !== null) events.get(event.rid)?.push(event);
    }
  }

  async aliasesOf(pids: readonly number[]): Promise<number[]> {
    const rows = await this.#tx.list('SELECT pid FROM profiles WHERE merged_into = ANY ($1::bigint[])', pids);
    return rows.map(([pid]) => num(pid));
  }

  async hits(hashes: readonly string[], limit: number): Promise<IdentifierHit[]> {
    const rows = await this.#tx.list(HITS, hashes, limit);
    return rows.map(([hash, rid, pid]) => ({ hash: str(hash), rid: num(rid), pid: num(pid) }));
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
    const key = `${at} ${entity}`;
    const known = this.#rules.get(key);
    if (known !== undefined) return known;
    const values = await this.#tx.one(RULES_AT, entity, at);
    const row = values === undefined ? null : rulesRow(values);
    this.#rules.set(key, row);
    return row;
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
    if (rows.some(([, oid]) => !this.#names.has(num(oid)))) {
      for (const [oid, entity, source, object] of await this.#tx.list(OBJECTS)) {
        this.#names.set(num(oid), { entity: str(entity), source: str(source), object: str(object) });
      }
    }
    return rows.map((values) => recordRow(values, this.#names));
  }
}

function recordRow(values: Values, names: ObjectNames): RecordRow {
  const [rid, oid, record, pid, home, salt, head, headId, stamp, confirmed, deleted, rowHash] = values;
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
  };
}
