/** Test controls over the account's records, and the truth that an oracle compares with. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Behaviour } from './hub.ts';
import { property, type PropertyType, type Value } from './property.ts';
import type { Store } from './store.ts';
import { indexOfEntry, isArchived, isLive, type Entry, type Table } from './table.ts';
import * as values from './values.ts';

/** A record by its index or by its id. */
export type RowRef = number | string;

export interface ChangeTimes {
  /** The record's new modified date, epoch milliseconds; now when left out. */
  readonly at?: number | undefined;
  /** So long search shows the version before; the behaviour's searchLagMs when left out. */
  readonly lagMs?: number | undefined;
}

export interface TruthRow {
  readonly id: string;
  readonly archived: boolean;
  readonly stampMs: number;
  readonly values: Readonly<Record<string, Value>>;
}

type Values = Readonly<Record<string, Value>>;
const ROWS_PER_TURN = 2000;

export class HubData {
  private readonly store: Store;
  private readonly behaviour: Behaviour;

  constructor(store: Store, behaviour: Behaviour) {
    this.store = store;
    this.behaviour = behaviour;
  }

  idOf(object: string, index: number): string {
    return this.store.table(object).idOf(index);
  }

  create(object: string, given: Values, times: ChangeTimes = {}): string {
    const table = this.store.table(object);
    const index = table.next;
    this.apply(table, index, { kind: 'create', values: given }, times);
    return table.idOf(index);
  }

  update(object: string, row: RowRef, patch: Values, times: ChangeTimes = {}): void {
    const table = this.store.table(object);
    this.apply(table, indexIn(table, row), { kind: 'update', values: patch }, times);
  }

  archive(object: string, row: RowRef, times: ChangeTimes = {}): void {
    const table = this.store.table(object);
    this.apply(table, indexIn(table, row), { kind: 'archive' }, times);
  }

  restore(object: string, row: RowRef, times: ChangeTimes = {}): void {
    const table = this.store.table(object);
    this.apply(table, indexIn(table, row), { kind: 'restore' }, times);
  }

  /** Erases a record as a privacy deletion does: no list and no read shows it again. */
  purge(object: string, row: RowRef, times: ChangeTimes = {}): void {
    const table = this.store.table(object);
    this.apply(table, indexIn(table, row), { kind: 'purge' }, times);
  }

  /** Makes one new record of two, with a new id, to which both old ids lead. Returns that id. */
  merge(object: string, primary: RowRef, other: RowRef, times: ChangeTimes = {}): string {
    const table = this.store.table(object);
    const [first, second] = [indexIn(table, primary), indexIn(table, other)];
    const entries = [table.entry(first), table.entry(second)] as const;
    const merged = mergedValues(table, entries[0]!, entries[1]!);
    const ids = entries.flatMap((entry) => (typeof entry === 'object' ? entry.mergedIds : []));
    const index = table.next;
    this.apply(
      table,
      index,
      { kind: 'merged', values: merged, ids: [...ids, table.idOf(first), table.idOf(second)] },
      times,
    );
    for (const old of [first, second]) {
      this.apply(table, old, { kind: 'absorb', into: index }, times);
      this.store.associations.move(table.name, old, index);
    }
    return table.idOf(index);
  }

  associate(from: string, row: RowRef, to: string, other: RowRef, typeIds: readonly number[] = []): void {
    const [a, b] = [this.store.table(from), this.store.table(to)];
    this.store.associations.add(a.name, indexIn(a, row), b.name, indexIn(b, other), typeIds);
  }

  dissociate(from: string, row: RowRef, to: string, other: RowRef): void {
    const [a, b] = [this.store.table(from), this.store.table(to)];
    this.store.associations.remove(a.name, indexIn(a, row), b.name, indexIn(b, other));
  }

  /** Edits a share (0..1) of the live base records, spread evenly; all get one stamp. Returns how many. */
  touchMany(object: string, share: number, times: ChangeTimes = {}): number {
    const table = this.store.table(object);
    const name = table
      .properties()
      .find((one) => !one.readOnly && one.type === 'string' && !one.hasUniqueValue)?.name;
    if (name === undefined) throw new Error(`${object} has no text property to touch`);
    const at = times.at ?? this.store.clock.now();
    let touched = 0;
    for (let index = 0; index < table.baseRows; index++) {
      if (Math.floor((index + 1) * share) === Math.floor(index * share)) continue;
      const entry = table.entry(index)!;
      if (!isLive(entry)) continue;
      this.apply(
        table,
        index,
        { kind: 'update', values: { [name]: `touched ${at % 100_000}` } },
        { ...times, at },
      );
      touched++;
    }
    return touched;
  }

  addProperty(object: string, name: string, type: PropertyType, filled = false): void {
    const table = this.store.table(object);
    const make = filled ? values.awkward : () => () => null;
    table.setProperties([...table.properties(), property(name, type, make, { hubspotDefined: false })]);
  }

  setPropertyArchived(object: string, name: string, archived: boolean): void {
    this.store.table(object).setPropertyArchived(name, archived);
  }

  count(object: string): { readonly live: number; readonly archived: number } {
    const table = this.store.table(object);
    let archived = 0;
    for (const row of table.live.rows.values()) if (isArchived(row)) archived++;
    return { live: table.liveRows, archived };
  }

  get(object: string, row: RowRef): TruthRow {
    const table = this.store.table(object);
    return truthOf(table, table.entry(indexIn(table, row))!);
  }

  /** Every record that is live or archived, as it is now, whatever search shows. */
  async *truth(object: string): AsyncGenerator<TruthRow> {
    const table = this.store.table(object);
    for (let index = 0; index < table.next; index++) {
      if (index % ROWS_PER_TURN === 0) await nextTurn();
      const entry = table.entry(index);
      if (entry !== undefined && (isLive(entry) || isArchived(entry))) yield truthOf(table, entry);
    }
  }

  private apply(
    table: Table,
    index: number,
    change: Parameters<Store['change']>[2],
    times: ChangeTimes,
  ): void {
    const at = Math.floor(times.at ?? this.store.clock.now());
    this.store.change(table, index, change, at, times.lagMs ?? this.behaviour.searchLagMs);
  }
}

function indexIn(table: Table, row: RowRef): number {
  const index = typeof row === 'number' ? row : table.indexOf(row);
  const entry = index === undefined ? undefined : table.resolved(index);
  if (entry === undefined) throw new Error(`${table.name} has no record ${row}`);
  return indexOfEntry(entry);
}

/** The primary record's values, and the other's where the primary has none. */
function mergedValues(table: Table, primary: Entry, other: Entry): Values {
  const merged: Record<string, Value> = {};
  for (const { name, system } of table.properties()) {
    if (system !== null) continue;
    const read = table.reader(name);
    merged[name] = read(primary) ?? read(other);
  }
  const mails = [primary, other].map((entry) => table.reader('email')(entry));
  if (table.name === 'contacts' && mails[0] !== null && mails[1] !== null && mails[0] !== mails[1])
    merged['hs_additional_emails'] = mails[1] ?? null;
  return merged;
}

function truthOf(table: Table, entry: Entry): TruthRow {
  const names = table.properties().map(({ name }) => name);
  return {
    id: table.idOf(indexOfEntry(entry)),
    archived: isArchived(entry),
    stampMs: table.stampOf(entry),
    values: Object.fromEntries(names.map((name) => [name, table.reader(name)(entry)])),
  };
}
