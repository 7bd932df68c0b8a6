/** All records of the account, and the only way to change them. */
import type { OffsetClock } from '../clock.ts';
import type { Associations } from './associations.ts';
import { HubError } from './hub-error.ts';
import type { Value } from './property.ts';
import type { OverlayRow, PastValue, Table } from './table.ts';

/** Each change is one row version; a merge is several. */
export type Change =
  | { readonly kind: 'create' | 'update'; readonly values: Readonly<Record<string, Value>> }
  | { readonly kind: 'archive' | 'restore' | 'purge' }
  | { readonly kind: 'absorb'; readonly into: number }
  | {
      readonly kind: 'merged';
      readonly values: Readonly<Record<string, Value>>;
      readonly ids: readonly string[];
    };

interface Waiting {
  readonly table: Table;
  readonly row: OverlayRow;
  readonly due: number;
  readonly serial: number;
}

const HISTORY_MAX = 20;
const WAITING_MAX = 2_000_000;

export class Store {
  readonly clock: OffsetClock;
  readonly tables: readonly Table[];
  readonly associations: Associations;
  /** Changes that the search index has not taken up, by the time when it will. */
  private waiting: Waiting[] = [];
  private earliestDue = Number.POSITIVE_INFINITY;
  private readonly lastDue = new Map<string, number>();
  private serial = 0;
  private readonly names = new Map<string, Table>();
  livingSteps = 0;
  /** Told of each version, to write it down. */
  onRow: (table: Table, row: OverlayRow) => void = () => undefined;
  /** Told of each change, to push it. */
  onChange: (table: Table, index: number, change: Change, at: number) => void = () => undefined;

  constructor(clock: OffsetClock, tables: readonly Table[], associations: Associations) {
    this.clock = clock;
    this.tables = tables;
    this.associations = associations;
    for (const table of tables) {
      const { name, singular, objectTypeId } = table.spec;
      for (const alias of [name, singular, objectTypeId]) this.names.set(alias, table);
    }
  }

  /** A type by its plural or singular name, its id (0-1), or a custom type's full name. */
  find(name: string, portalId: number): Table | undefined {
    const wanted = decodeURIComponent(name).toLowerCase();
    return this.names.get(wanted) ?? this.names.get(wanted.replace(`p${portalId}_`, ''));
  }

  table(name: string): Table {
    const found = this.names.get(name);
    if (found === undefined) throw new Error(`the sandbox has no object type ${name}`);
    return found;
  }

  /** Applies a change at `at`; search shows it after `lagMs` of the account's time. */
  change(table: Table, index: number, change: Change, at: number, lagMs: number): OverlayRow {
    this.settle();
    const row = changedRow(table, index, change, at);
    this.put(table, row, lagMs);
    this.onRow(table, row);
    this.onChange(table, index, change, at);
    return row;
  }

  put(table: Table, row: OverlayRow, lagMs: number): void {
    table.put(row);
    const key = `${table.name}/${row.index}`;
    const behind = this.lastDue.get(key);
    if (lagMs <= 0 && behind === undefined) {
      table.index(row);
      return;
    }
    if (this.waiting.length >= WAITING_MAX)
      throw new HubError(500, 'INTERNAL_ERROR', `more than ${WAITING_MAX} changes wait for the search index`);
    // Versions of one row are taken up in their order, whatever the delay was when they were made.
    const due = Math.max(this.clock.now() + lagMs, behind ?? 0);
    this.lastDue.set(key, due);
    this.waiting.push({ table, row, due, serial: ++this.serial });
    this.earliestDue = Math.min(this.earliestDue, due);
  }

  /** Lets the search index take up what is due; every read starts with it. */
  settle(): void {
    const now = this.clock.now();
    if (this.earliestDue > now) return;
    this.waiting.sort((a, b) => a.due - b.due || a.serial - b.serial);
    let taken = 0;
    for (const { table, row, due } of this.waiting) {
      if (due > now) break;
      table.index(row);
      const key = `${table.name}/${row.index}`;
      if (this.lastDue.get(key) === due) this.lastDue.delete(key);
      taken++;
    }
    this.waiting = this.waiting.slice(taken);
    this.earliestDue = this.waiting[0]?.due ?? Number.POSITIVE_INFINITY;
  }

  waitingCount(): number {
    return this.waiting.length;
  }
}

function changedRow(table: Table, index: number, change: Change, at: number): OverlayRow {
  const before = table.live.rows.get(index);
  const old: OverlayRow = before ?? {
    index,
    values: {},
    stamp: at,
    createdAt: index < table.baseRows ? null : at,
    archivedAt: null,
    mergedInto: null,
    mergedIds: [],
    purged: false,
    history: {},
  };
  switch (change.kind) {
    case 'create':
    case 'update':
      return {
        ...old,
        values: { ...old.values, ...change.values },
        stamp: at,
        history: historyOf(table, old, change.values, at),
      };
    case 'merged':
      return { ...old, values: change.values, stamp: at, mergedIds: change.ids };
    case 'archive':
      return { ...old, stamp: at, archivedAt: at };
    case 'restore':
      return { ...old, stamp: at, archivedAt: null };
    case 'absorb':
      return { ...old, stamp: at, mergedInto: change.into };
    // What is left is 'purge'.
    default:
      return { ...old, values: {}, stamp: at, purged: true, history: {} };
  }
}

/** Each changed property's values with the time from which each holds, newest first; the oldest kept one may be the base value. */
function historyOf(
  table: Table,
  old: OverlayRow,
  values: Readonly<Record<string, Value>>,
  at: number,
): OverlayRow['history'] {
  const before = table.entry(old.index);
  const history: Record<string, readonly PastValue[]> = { ...old.history };
  for (const [name, value] of Object.entries(values)) {
    const first =
      before === undefined ? [] : [{ value: table.reader(name)(before), at: table.createdOf(before) }];
    history[name] = [{ value, at }, ...(history[name] ?? first)].slice(0, HISTORY_MAX);
  }
  return history;
}
