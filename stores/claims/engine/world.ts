import type { KeyObject } from 'node:crypto';
import type { Override, RecordState, Version } from '../../../rules/golden/state.ts';
import { resolveProfile, type CompiledRules, type Resolved } from '../../../rules/golden/resolve.ts';
import { recordsMax, type LinkGuards } from '../../../rules/identity/guards.ts';
import { Salts, type Vault } from '../vault.ts';
import type { Content } from './content.ts';
import { Draft, type CauseRow } from './draft.ts';
import { instantOf, openHistory, stateOf, type Opened } from './history.ts';
import {
  ask,
  type EventRow,
  type Head,
  type ProfileRow,
  type Program,
  type RecordRow,
  type RulesRow,
} from './program.ts';
import type { Cause } from '../claims.ts';
import type { ReferenceFields } from './references.ts';

/** What every program needs besides what it asks for. */
export interface Context {
  vault: Vault;
  guards: LinkGuards;
  references: ReferenceFields;
  salts: Salts;
  /** Rules in force, compiled; kept by their hash. */
  compile(entity: string, row: RulesRow | null): CompiledRules;
  compiled: Map<string, CompiledRules>;
  nowMs(): number;
}

/** How a record is called. `oid`: the number of its entity, source and object. */
export interface RecordName {
  oid: number;
  entity: string;
  source: string;
  object: string;
  record: string;
}

/** A record while a program works on it. */
export interface Rec {
  row: RecordRow;
  isNew: boolean;
  /** Its log, ascending; as long as it is not loaded, nothing of it can be opened. */
  events: EventRow[];
  isLoaded: boolean;
  opened: Opened | null;
  /** Versions that this transaction adds. */
  added: { version: Version; content: Content }[];
  key: KeyObject | null;
  /** Someone said that it may not be with another one. */
  apart: boolean;
}

export interface Profile {
  row: ProfileRow;
  isNew: boolean;
  /** Members when the program began, and now. */
  before: ReadonlySet<Rec>;
  /** Its golden values before a command changed what its records say; null where only versions are added. */
  prior: Resolved | null;
  members: Set<Rec>;
}

const keyText = (oid: number, record: string) => `${oid}\0${record}`;

/** Everything that one transaction has loaded, as it is and as it is about to be. */
export class World {
  readonly context: Context;
  readonly draft: Draft;
  readonly rules: ReadonlyMap<string, CompiledRules>;
  readonly #byKey = new Map<string, Rec>();
  readonly byId = new Map<number, Rec>();
  readonly profiles = new Map<number, Profile>();
  /** Records by identifier: loaded ones and those of this transaction. */
  readonly holders = new Map<string, Set<number>>();
  /** Profiles in which something changed. */
  readonly touched = new Set<Profile>();
  /** Profiles that get a new version whatever their values: somebody waits for them. */
  readonly marked = new Set<Profile>();
  /** Reviews of the ties that each profile has now, where they were looked for. */
  readonly ties = new Map<number, ReadonlySet<string>>();
  /** Profiles whose links must be decided anew. */
  readonly replan = new Set<Profile>();

  constructor(
    context: Context,
    head: Head,
    cause: Cause,
    causeNumber: number | null,
    rules: ReadonlyMap<string, CompiledRules>,
  ) {
    this.context = context;
    this.draft = new Draft(context.vault, head, cause, causeNumber);
    this.rules = rules;
  }

  get cause(): CauseRow {
    return this.draft.cause;
  }

  limitOf(kind: string): number {
    return recordsMax(kind, this.context.guards);
  }

  rec(oid: number, record: string): Rec | undefined {
    return this.#byKey.get(keyText(oid, record));
  }

  addLoaded(row: RecordRow): Rec {
    const known = this.byId.get(row.rid);
    if (known !== undefined) return known;
    return this.#add({
      row,
      isNew: false,
      events: [],
      isLoaded: false,
      opened: null,
      added: [],
      key: null,
      apart: false,
    });
  }

  #add(rec: Rec): Rec {
    this.byId.set(rec.row.rid, rec);
    if (rec.row.record !== null) this.#byKey.set(keyText(rec.row.oid, rec.row.record), rec);
    return rec;
  }

  newRecord(of: RecordName, salt: string = this.context.salts.next()): Rec {
    const { head } = this.draft;
    head.rid += 1;
    const row: RecordRow = {
      rid: head.rid,
      oid: of.oid,
      entity: of.entity,
      source: of.source,
      object: of.object,
      record: of.record,
      pid: 0,
      home: 0,
      salt,
      head: null,
      headId: null,
      stamp: -Infinity,
      confirmed: 0,
      deleted: false,
      rowHash: null,
      events: 0,
      last: null,
    };
    this.draft.newRecords.push(row);
    return this.#add({
      row,
      isNew: true,
      events: [],
      isLoaded: true,
      opened: NOTHING_OPENED,
      added: [],
      key: null,
      apart: false,
    });
  }

  newProfile(entity: string): Profile {
    const { draft } = this;
    draft.head.pid += 1;
    const row: ProfileRow = {
      pid: draft.head.pid,
      entity,
      version: 0,
      seq: 0,
      at: draft.at,
      deleted: false,
      mergedInto: null,
      contested: false,
      guarded: false,
    };
    const profile: Profile = { row, isNew: true, before: NO_RECS, prior: null, members: new Set() };
    this.profiles.set(row.pid, profile);
    this.touched.add(profile);
    return profile;
  }

  addProfile(row: ProfileRow): Profile {
    const known = this.profiles.get(row.pid);
    if (known !== undefined) return known;
    const profile: Profile = { row, isNew: false, before: NO_RECS, prior: null, members: new Set() };
    this.profiles.set(row.pid, profile);
    return profile;
  }

  profileOf(rec: Rec): Profile {
    const profile = this.profiles.get(rec.row.pid);
    if (profile === undefined) throw new Error(`the profile of record ${rec.row.rid} was not loaded`);
    return profile;
  }

  keyOf(rec: Rec): KeyObject {
    if (rec.row.salt === null) throw new Error('an erased record has no key');
    rec.key ??= this.context.vault.recordKey(rec.row.salt);
    return rec.key;
  }

  opened(rec: Rec): Opened {
    if (rec.opened === null) {
      if (!rec.isLoaded) throw new Error(`the log of record ${rec.row.rid} was not loaded`);
      rec.opened =
        rec.row.salt === null
          ? NOTHING_OPENED
          : openHistory(this.context.vault, this.keyOf(rec), rec.row, rec.events);
    }
    return rec.opened;
  }

  contents(rec: Rec): Content[] {
    return [...this.opened(rec).contents, ...rec.added.map(({ content }) => content)];
  }

  compiled(entity: string): CompiledRules {
    const compiled = this.rules.get(entity);
    if (compiled === undefined) throw new Error(`the rules of ${entity} were not loaded`);
    return compiled;
  }

  stateBefore(rec: Rec): RecordState | null {
    if (rec.isNew) return null;
    const { versions, retractions } = this.opened(rec);
    return stateOf(rec.row, versions, retractions, this.#skew(rec));
  }

  stateAfter(rec: Rec): RecordState | null {
    const { versions, retractions } = this.opened(rec);
    const added = rec.added.map(({ version }) => version);
    const all = versions.length === 0 ? added : added.length === 0 ? versions : [...versions, ...added];
    return stateOf(rec.row, all, retractions, this.#skew(rec));
  }

  #skew(rec: Rec): number {
    return this.compiled(rec.row.entity).rules.clock.maxSkewMs;
  }

  overrides(members: Iterable<Rec>): Override[] {
    return [...members].flatMap((rec) => this.opened(rec).overrides);
  }

  resolved({ row, members }: Profile): Resolved {
    const states = [...members].flatMap((rec) => this.stateAfter(rec) ?? []);
    return resolveProfile(
      states,
      this.overrides(members),
      this.compiled(row.entity),
      instantOf(this.draft.at),
    );
  }

  /** Before a command changes what the profile's records say. */
  keepPrior(profile: Profile): void {
    profile.prior ??= this.resolved(profile);
    this.touched.add(profile);
  }

  /** Profiles, all of their records and the records' logs. What is there already is not loaded again. */
  *load(pids: Iterable<number>): Program<void> {
    const wanted = new Set(pids);
    yield* this.loadMembers(wanted);
    const recs: Rec[] = [];
    for (const pid of wanted) recs.push(...(this.profiles.get(pid)?.members ?? []));
    yield* this.loadLogs(recs);
  }

  /** Only the logs of these records, oldest first. */
  *loadLogs(recs: Iterable<Rec>): Program<void> {
    const missing = [...recs].filter((rec) => !rec.isLoaded);
    if (missing.length === 0) return;
    const rids = missing.map(({ row }) => row.rid);
    for (const rec of missing) rec.isLoaded = true;
    for (const event of yield* ask((reads) => reads.events(rids))) {
      if (event.rid !== null) this.byId.get(event.rid)?.events.push(event);
    }
  }

  /** Profiles and their records: enough to link them. */
  *loadMembers(pids: Iterable<number>): Program<void> {
    const missing = [...new Set(pids)].filter((pid) => !this.profiles.has(pid));
    if (missing.length === 0) return;
    const rows = yield* ask((reads) => reads.profiles(missing));
    const records = yield* ask((reads) => reads.recordsOf(missing));
    for (const row of rows) this.addProfile(row);
    const recs = records.map((row) => this.addLoaded(row));
    for (const rec of recs) this.profiles.get(rec.row.pid)?.members.add(rec);
    for (const row of rows) {
      const profile = this.profiles.get(row.pid);
      if (profile !== undefined) profile.before = new Set(profile.members);
    }
    if (this.draft.head.edges === 0) return;
    const rids = recs.map(({ row }) => row.rid);
    for (const edge of yield* ask((reads) => reads.edges(rids))) {
      if (edge.kind !== 'apart') continue;
      for (const rid of [edge.a, edge.b]) {
        const rec = this.byId.get(rid);
        if (rec !== undefined) rec.apart = true;
      }
    }
  }

  /** Moves a record, with an event once it has been in another profile before this transaction. */
  move(rec: Rec, to: Profile, kind: 'link' | 'unlink', why: string): void {
    const from = this.profiles.get(rec.row.pid);
    if (from === to) return;
    from?.members.delete(rec);
    to.members.add(rec);
    rec.row.pid = to.row.pid;
    if (rec.row.home === 0 || rec.isNew) rec.row.home = to.row.pid;
    this.draft.records.add(rec.row);
    if (from === undefined) return;
    this.touched.add(from);
    this.touched.add(to);
    if (from.isNew || rec.row.salt === null) return;
    this.draft.moves.push({ pid: from.row.pid, rid: rec.row.rid });
    const says = { from: this.context.vault.publicId(from.row.pid), why };
    this.draft.statement(kind, rec.row, this.keyOf(rec), says);
  }

  /** All of `from` is now part of `into`; a profile that nobody has seen yet leaves no trace. */
  merge(into: Profile, from: Profile, why: string): void {
    for (const rec of [...from.members]) this.move(rec, into, 'link', why);
    this.touched.add(into);
    this.touched.add(from);
    // One that is new is counted when it is written, and a merged one never is.
    if (!from.isNew && from.row.mergedInto === null) this.draft.count(`profiles:${from.row.entity}`, -1);
    from.row.mergedInto = into.row.pid;
  }
}

const NO_RECS: ReadonlySet<Rec> = new Set();
const NOTHING_OPENED: Opened = { versions: [], contents: [], retractions: [], overrides: [] };

/** The world of one transaction, with the rules of these entities. */
export function* newWorld(
  context: Context,
  cause: Cause,
  causeNumber: number | null,
  entities: Iterable<string>,
): Program<World> {
  const head = yield* ask((reads) => reads.head());
  const rules = new Map<string, CompiledRules>();
  for (const entity of entities) rules.set(entity, yield* rulesOf(context, entity));
  return new World(context, { ...head }, cause, causeNumber, rules);
}

export function* rulesOf(context: Context, entity: string, atMs?: number): Program<CompiledRules> {
  const row = yield* ask((reads) => reads.rules(entity, atMs));
  return context.compile(entity, row);
}
