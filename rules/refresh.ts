import type { Instant } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { RefreshPolicy, RefreshReason, RefreshState } from '../schemas/refresh.ts';
import { toMs } from './time.ts';

export const NOTHING_DUE: RefreshState = {
  describedAt: null,
  choice: '',
  added: null,
  formulasAt: null,
  partialAt: null,
  deletionsLostBefore: null,
};

/** Where the ledger keeps an object's state, as JSON. */
export const refreshKey = (connection: string, object: string): string => `refresh/${connection}/${object}`;

/** A description older than this is asked for again, even if no row has changed. */
export const DESCRIPTION_MS_MAX = 86_400_000;

export function describeDue(state: RefreshState, choice: string, now: Instant): boolean {
  if (state.describedAt === null || state.choice !== choice) return true;
  return toMs(now) - toMs(state.describedAt) >= DESCRIPTION_MS_MAX;
}

/** Fields that rows of before do not have: described now, and not when rows were last read. */
export function addedFields(described: ObjectSchema, known: ObjectSchema | undefined): string[] {
  if (known === undefined) return [];
  const before = new Set(known.fields.map((field) => field.name));
  return described.fields.map((field) => field.name).filter((name) => !before.has(name));
}

/** `since`: rows stamped from here on are read with these fields. The later of two finds holds for both. */
export function withAdded(
  state: RefreshState,
  fields: readonly string[],
  since: Instant,
  run: string,
): RefreshState {
  if (fields.length === 0) return state;
  const before = state.added;
  return {
    ...state,
    added: {
      fields: [...new Set([...(before?.fields ?? []), ...fields])].sort(),
      since: before !== null && before.since > since ? before.since : since,
      run,
    },
  };
}

export interface Refresh {
  reasons: RefreshReason[];
  /** Sorted; empty for an id comparison. */
  fields: string[];
}

/** Which reasons are due, without looking at the schema: what nearly every run asks, and nearly always gets nothing. */
export function dueReasons(
  state: RefreshState,
  policy: RefreshPolicy,
  at: { now: Instant; run: string; checkpoint: Instant },
): RefreshReason[] {
  const { added, formulasAt, deletionsLostBefore } = state;
  const due: RefreshReason[] = [];
  // The run that finds a field tells the price; only a later one pays it, and only once every row before `since` has landed.
  if (added !== null && policy.added === 'next-run' && added.run !== at.run && at.checkpoint >= added.since)
    due.push('added');
  const { formulasMs } = policy;
  if (formulasMs !== null && (formulasAt === null || toMs(at.now) - toMs(formulasAt) >= formulasMs))
    due.push('formulas');
  if (deletionsLostBefore !== null) due.push('deletions');
  return due;
}

/** What is due together is read together: every reading takes the ids anyway. Null when nothing is left of it. */
export function refreshOf(
  state: RefreshState,
  due: readonly RefreshReason[],
  schema: ObjectSchema,
): Refresh | null {
  const described = new Set(schema.fields.map((field) => field.name));
  const added = due.includes('added')
    ? (state.added?.fields ?? []).filter((name) => described.has(name))
    : [];
  const formulas = due.includes('formulas') ? formulasOf(schema) : [];
  const reasons = due.filter(
    (reason) => reason === 'deletions' || (reason === 'added' ? added.length > 0 : formulas.length > 0),
  );
  return reasons.length === 0 ? null : { reasons, fields: [...new Set([...added, ...formulas])].sort() };
}

export function formulasOf(schema: ObjectSchema): string[] {
  return schema.fields.filter((field) => field.calculated).map((field) => field.name);
}

/** After a reading from the beginning has landed. `fields` undefined: it read them all. */
export function settled(
  state: RefreshState,
  read: {
    fields: readonly string[] | undefined;
    until: Instant;
    schema: ObjectSchema;
    readAt: Instant;
    absentFound: boolean;
  },
): RefreshState {
  const has = (name: string) => read.fields === undefined || read.fields.includes(name);
  // Rows that a partial window read later than this reading were not written by it.
  const overtaken = state.partialAt !== null && state.partialAt > read.readAt;
  const short = state.added !== null && read.until < state.added.since;
  const left = (state.added?.fields ?? []).filter((name) => overtaken || short || !has(name));
  const formulas = formulasOf(read.schema);
  const newer = state.formulasAt === null || read.readAt > state.formulasAt;
  return {
    ...state,
    added: state.added === null || left.length === 0 ? null : { ...state.added, fields: left },
    formulasAt: formulas.every(has) && newer ? read.readAt : state.formulasAt,
    partialAt: read.fields === undefined || overtaken ? state.partialAt : read.readAt,
    deletionsLostBefore: read.absentFound ? null : state.deletionsLostBefore,
    ...(read.fields === undefined && (state.wholeAt ?? '') < read.readAt ? { wholeAt: read.readAt } : {}),
  };
}

/** A schema with key, stamp, deleted flag and these fields alone: what a partial window reads and stages. */
export function onlyFields(schema: ObjectSchema, fields: readonly string[]): ObjectSchema {
  const kept = new Set<string | null>([schema.key, schema.stamp, schema.deleted, ...fields]);
  return {
    ...schema,
    fields: schema.fields.filter((field) => kept.has(field.name)),
    hash: `${schema.hash}:${fields.join(',')}`,
  };
}

/** For people: what a partial window is about. */
export function refreshText({ reasons, fields }: Refresh): string {
  const named = fields.slice(0, 5).join(', ') + (fields.length > 5 ? ` and ${fields.length - 5} more` : '');
  const why = {
    added: 'new fields',
    formulas: 'formulas',
    deletions: 'deletions that the source has forgotten',
  };
  const about = reasons.map((reason) => why[reason]).join(', ');
  if (fields.length === 0) return about === '' ? 'only ids' : `only ids, to find ${about}`;
  return about === '' ? `only ${named}` : `only ${named} (${about})`;
}
