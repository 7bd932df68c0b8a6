import { explainField } from '../../../rules/golden/explain.ts';
import { resolveProfile, type CompiledRules } from '../../../rules/golden/resolve.ts';
import type { Override, RecordState, Version } from '../../../rules/golden/state.ts';
import type { ProfileEvent } from '../../../schemas/event.ts';
import type { ConsideredClaim, GoldenField, GoldenProfile } from '../../../schemas/profile.ts';
import { HeadwaterError } from '../../../rules/errors.ts';
import type { KeyObject } from 'node:crypto';
import type { Review } from '../claims.ts';
import { parseContent } from './content.ts';
import { EVENT_KINDS, VERSION_CODE_MAX } from './draft.ts';
import type { Supposed } from '../serving.ts';
import { instantOf, openHistory, refOf, stateOf, versionOf, type Statement } from './history.ts';
import {
  ask,
  type CauseOf,
  type EventRow,
  type ProfileRow,
  type Program,
  type RecordRow,
  type ReviewRow,
} from './program.ts';
import { rulesOf, type Context } from './world.ts';

/** A merge of a merge: followed so far. */
const ALIAS_STEPS_MAX = 64;

/** A profile with all that its golden values are made of. */
export interface View {
  row: ProfileRow;
  members: { row: RecordRow; state: RecordState | null }[];
  states: RecordState[];
  overrides: Override[];
  compiled: CompiledRules;
}

export function* currentProfile(context: Context, id: string): Program<ProfileRow | null> {
  let pid = context.vault.privateId(id);
  for (let step = 0; pid !== null && step < ALIAS_STEPS_MAX; step += 1) {
    const asked = pid;
    const [row] = yield* ask((reads) => reads.profiles([asked]));
    if (row === undefined) return null;
    if (row.mergedInto === null) return row;
    pid = row.mergedInto;
  }
  return null;
}

/** `asOfMs`: only what was known by then, with the rules of then. `other`: rules to use in their place. */
export function* view(
  context: Context,
  row: ProfileRow,
  asOfMs?: number,
  other?: CompiledRules,
): Program<View> {
  const compiled = other ?? (yield* rulesOf(context, row.entity, asOfMs));
  const current = yield* ask((reads) => reads.recordsOf([row.pid]));
  const records = asOfMs === undefined ? current : yield* membersThen(row.pid, current, asOfMs);
  return viewOf(context, row, compiled, records, yield* eventsByRecord(records, asOfMs));
}

/**
 * Of many profiles as they are now, with one question for the records of all and one for their logs. `supposed`: versions that
 * nobody has confirmed, looked at as if they were there.
 */
export function* views(
  context: Context,
  rows: readonly ProfileRow[],
  supposed: readonly Supposed[] = [],
): Program<View[]> {
  const compiled = new Map<string, CompiledRules>();
  for (const { entity } of rows)
    if (!compiled.has(entity)) compiled.set(entity, yield* rulesOf(context, entity));
  const records = yield* ask((reads) => reads.recordsOf(rows.map(({ pid }) => pid)));
  const events = yield* eventsByRecord(records);
  const members = Map.groupBy(records, ({ pid }) => pid);
  return rows.flatMap((row) => {
    const rules = compiled.get(row.entity);
    const own = members.get(row.pid) ?? [];
    return rules === undefined ? [] : viewOf(context, row, rules, own, events, supposed);
  });
}

function viewOf(
  context: Context,
  row: ProfileRow,
  compiled: CompiledRules,
  records: readonly RecordRow[],
  events: ReadonlyMap<number, EventRow[]>,
  supposed: readonly Supposed[] = [],
): View {
  const view: View = { row, members: [], states: [], overrides: [], compiled };
  for (const record of records) {
    if (record.salt === null) continue;
    const key = context.vault.recordKey(record.salt);
    const opened = openHistory(context.vault, key, record, events.get(record.rid) ?? []);
    const versions =
      supposed.length === 0 ? opened.versions : [...opened.versions, ...supposedOf(record, supposed)];
    const state = stateOf(record, versions, opened.retractions, compiled.rules.clock.maxSkewMs);
    view.members.push({ row: record, state });
    if (state !== null) view.states.push(state);
    view.overrides.push(...opened.overrides);
  }
  return view;
}

function supposedOf(row: RecordRow, supposed: readonly Supposed[]): Version[] {
  return supposed.flatMap(({ ref: { source, object, record }, at, fields }, index): Version[] => {
    if (source !== row.source || object !== row.object || record !== row.record) return [];
    const content = { f: fields, s: at, v: '' };
    return [versionOf(`supposed ${index}`, Number.MAX_SAFE_INTEGER, content, at, at)];
  });
}

function* eventsByRecord(records: readonly RecordRow[], asOfMs?: number): Program<Map<number, EventRow[]>> {
  const byRecord = new Map<number, EventRow[]>();
  for (const event of yield* ask((reads) => reads.events(records.map(({ rid }) => rid)))) {
    if (event.rid === null || (asOfMs !== undefined && event.at > asOfMs)) continue;
    const list = byRecord.get(event.rid);
    if (list === undefined) byRecord.set(event.rid, [event]);
    else list.push(event);
  }
  return byRecord;
}

/** Each event says in which profile its record was; the last one up to that time tells where it was then. */
function* membersThen(pid: number, current: readonly RecordRow[], asOfMs: number): Program<RecordRow[]> {
  const moved = yield* ask((reads) => reads.movedFrom([pid]));
  const away = yield* ask((reads) => reads.recordsById(moved));
  const all = new Map([...current, ...away].map((row) => [row.rid, row]));
  const events = yield* eventsByRecord([...all.values()], asOfMs);
  const then = [...all.values()].filter(({ rid }) => events.get(rid)?.at(-1)?.pid === pid);
  return then.toSorted((left, right) => left.rid - right.rid);
}

export function golden(context: Context, view: View, asOfMs: number): GoldenProfile {
  const { row, members, states, overrides, compiled } = view;
  const { deleted, fields } = resolveProfile(states, overrides, compiled, instantOf(asOfMs));
  return {
    profile: context.vault.publicId(row.pid),
    entity: row.entity,
    version: row.version,
    seq: row.seq,
    deleted,
    mergedInto: row.mergedInto === null ? null : context.vault.publicId(row.mergedInto),
    fields,
    records: members
      .filter(({ state }) => state !== null)
      .map((member) => ({ ...refOf(member.row), deleted: member.state?.deleted ?? false })),
    updatedAt: instantOf(row.at),
  };
}

export function* readProfile(context: Context, id: string, asOfMs?: number): Program<GoldenProfile | null> {
  if (asOfMs !== undefined) return yield* readThen(context, id, asOfMs);
  const row = yield* currentProfile(context, id);
  if (row === null) return null;
  return golden(context, yield* view(context, row), context.nowMs());
}

/** An alias was perhaps a profile of its own then. */
function* readThen(context: Context, id: string, asOfMs: number): Program<GoldenProfile | null> {
  const pid = context.vault.privateId(id);
  if (pid === null) return null;
  const [named] = yield* ask((reads) => reads.profiles([pid]));
  if (named === undefined) return null;
  const then = yield* view(context, named, asOfMs);
  if (then.states.length > 0)
    return golden(context, { ...then, row: { ...named, mergedInto: null } }, asOfMs);
  const row = yield* currentProfile(context, id);
  if (row === null || row.pid === pid) return null;
  const other = yield* view(context, row, asOfMs);
  return other.states.length === 0 ? null : golden(context, other, asOfMs);
}

/** A merged or erased profile has no members left: no fields, and deleted. */
export function* readExactly(context: Context, pids: readonly number[]): Program<GoldenProfile[]> {
  const rows = yield* ask((reads) => reads.profiles(pids));
  return (yield* views(context, rows)).map((view) => {
    const found = golden(context, view, context.nowMs());
    return { ...found, deleted: found.deleted || view.row.mergedInto !== null };
  });
}

export function* readProfiles(context: Context, pids: readonly number[]): Program<GoldenProfile[]> {
  const rows = yield* ask((reads) => reads.profiles(pids));
  const living = rows.filter(({ mergedInto }) => mergedInto === null);
  return (yield* views(context, living)).map((view) => golden(context, view, context.nowMs()));
}

export function* explain(
  context: Context,
  id: string,
  field: string,
): Program<{ golden: GoldenField | null; considered: ConsideredClaim[] } | null> {
  const row = yield* currentProfile(context, id);
  if (row === null) return null;
  const { states, overrides, compiled } = yield* view(context, row);
  return explainField(field, states, overrides, compiled, instantOf(context.nowMs()));
}

/** Oldest first, of the profile and what was merged into it. */
export function* history(
  context: Context,
  id: string,
  options: { field?: string; limit?: number },
): Program<ProfileEvent[]> {
  const row = yield* currentProfile(context, id);
  if (row === null) return [];
  const records = yield* ask((reads) => reads.recordsOf([row.pid]));
  const rows = yield* ask((reads) => reads.events(records.map(({ rid }) => rid)));
  rows.sort((left, right) => left.seq - right.seq);
  const events = yield* openEvents(context, rows);
  const { field, limit } = options;
  const wanted = events.filter(({ fields }) => field === undefined || (fields !== null && field in fields));
  return limit === undefined ? wanted : wanted.slice(-limit);
}

export function* openEvents(context: Context, rows: readonly EventRow[]): Program<ProfileEvent[]> {
  const rids = new Set(rows.flatMap(({ rid }) => rid ?? []));
  const records = new Map(
    (yield* ask((reads) => reads.recordsById([...rids]))).map((record) => [record.rid, record]),
  );
  const causes = yield* ask((reads) => reads.causes([...new Set(rows.map(({ cause }) => cause))]));
  const ruleSeqs = rows.filter(({ rid }) => rid === null).map(({ seq }) => seq);
  const rules = new Map((yield* ask((reads) => reads.rulesAt(ruleSeqs))).map((rule) => [rule.seq, rule]));
  const keys = new Map<number, KeyObject>();
  return rows.map((event) => {
    const record = event.rid === null ? undefined : records.get(event.rid);
    const rule = rules.get(event.seq);
    const cause = causes.get(event.cause);
    return {
      ...outside(context, event, cause),
      entity: record?.entity ?? rule?.entity ?? null,
      ref: record === undefined || record.record === null ? null : refOf(record),
      rulesHash: rule?.hash ?? null,
      ...inside(context, event, record, keys),
    };
  });
}

function outside(context: Context, event: EventRow, cause: CauseOf | undefined) {
  const kind = EVENT_KINDS[event.kind];
  if (kind === undefined || cause === undefined) {
    throw new HeadwaterError('INTERNAL', `event ${event.seq} is of no known kind or cause`);
  }
  return {
    seq: event.seq,
    id: event.id,
    kind,
    profile: event.pid === null ? null : context.vault.publicId(event.pid),
    at: instantOf(event.at),
    via: cause.via,
    run: cause.run,
    actor: cause.actor,
    cause: cause.reason,
  };
}

/** The sealed part; nothing of an erased record. */
function inside(
  context: Context,
  { body, kind, id }: EventRow,
  record: RecordRow | undefined,
  keys: Map<number, KeyObject>,
): Pick<ProfileEvent, 'fields' | 'stamp'> {
  if (body === null || record === undefined || record.salt === null) return { fields: null, stamp: null };
  const key = keys.get(record.rid) ?? context.vault.recordKey(record.salt);
  keys.set(record.rid, key);
  const text = context.vault.open(key, body, id);
  if (kind <= VERSION_CODE_MAX) {
    const { f, s } = parseContent(text);
    return { fields: f, stamp: s };
  }
  const statement: Partial<Statement> = JSON.parse(text);
  const { field, value = null, retraction } = statement;
  if (field === undefined) return { fields: null, stamp: null };
  return {
    fields: { [field]: retraction === undefined ? value : JSON.parse(retraction.value) },
    stamp: retraction?.runStart ?? null,
  };
}

/** With the values of the claims as they are now; a claim that is gone has none. */
export function* openReviews(context: Context, rows: readonly ReviewRow[]): Program<Review[]> {
  const reviews: Review[] = [];
  for (const row of rows) {
    const records = yield* ask((reads) => reads.recordsById(row.candidates.map(({ rid }) => rid)));
    const events = yield* eventsByRecord(records);
    const byId = new Map(records.map((record) => [record.rid, record]));
    reviews.push({
      id: row.id,
      kind: row.kind,
      entity: row.entity,
      profile: context.vault.publicId(row.pid),
      field: row.field,
      candidates: row.candidates.flatMap(({ rid, claim }) => {
        const record = byId.get(rid);
        if (record === undefined || record.record === null) return [];
        return [
          {
            ref: refOf(record),
            claim,
            value: valueOf(context, record, events.get(rid) ?? [], claim, row.field),
          },
        ];
      }),
      evidence: row.evidence,
      openedAt: instantOf(row.openedAt),
      state: row.state,
      decision: row.decision,
    });
  }
  return reviews;
}

function valueOf(
  context: Context,
  record: RecordRow,
  events: readonly EventRow[],
  claim: string | null,
  field: string | null,
) {
  const event = events.find(({ id }) => id === claim);
  if (event === undefined || event.body === null || record.salt === null || field === null) return null;
  const text = context.vault.open(context.vault.recordKey(record.salt), event.body, event.id);
  return parseContent(text).f[field] ?? null;
}
