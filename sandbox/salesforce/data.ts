/** Test controls over the sandbox's rows and schema, and the truth that an oracle compares with. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CsvCache } from './csv-cache.ts';
import { field, type FieldSpec, type FieldType } from './fields.ts';
import { makerNameOf, type Value } from './makers.ts';
import { mix } from '../seeded.ts';
import type { Change, Store } from './store.ts';
import { indexOfEntry, type Entry, type Table } from './table.ts';

/** A row by its index or by its Id (15 or 18 characters). */
export type RowRef = number | string;

export interface ChangeTimes {
  /** The row's new stamp, epoch milliseconds; now when left out, and the past or future when given. */
  readonly at?: number | undefined;
  /** Readers see the change from then on only, as with a long transaction. */
  readonly visibleAt?: number | undefined;
}

export interface TruthRow {
  readonly Id: string;
  readonly IsDeleted: boolean;
  readonly stampMs: number;
  /** Every field as text (numbers with all digits, instants as ISO with Z), null as null. */
  readonly values: Readonly<Record<string, Value>>;
}

export interface NewField {
  readonly name: string;
  readonly type: FieldType;
  readonly length?: number;
  readonly precision?: number;
  readonly scale?: number;
  readonly picklist?: readonly string[];
  /** Existing rows get generated values; otherwise they are null until written. Stamps do not move. */
  readonly filled?: boolean;
}

const TRUTH_ROWS_PER_TURN = 2000;

export class SandboxData {
  private readonly store: Store;
  private readonly cache: CsvCache;

  constructor(store: Store, cache: CsvCache) {
    this.store = store;
    this.cache = cache;
  }

  objects(): string[] {
    return [...this.store.tables.values()].map((table) => table.name);
  }

  idOf(object: string, index: number): string {
    return this.store.table(object).idOf(index);
  }

  create(object: string, values: Readonly<Record<string, Value>>, times: ChangeTimes = {}): string {
    const table = this.store.table(object);
    const index = table.next;
    this.apply(table, index, 'create', values, times);
    return table.idOf(index);
  }

  update(object: string, row: RowRef, patch: Readonly<Record<string, Value>>, times: ChangeTimes = {}): void {
    const table = this.store.table(object);
    this.apply(table, this.indexOf(table, row), 'update', patch, times);
  }

  delete(object: string, row: RowRef, times: ChangeTimes = {}): void {
    const table = this.store.table(object);
    this.apply(table, this.indexOf(table, row), 'delete', {}, times);
  }

  undelete(object: string, row: RowRef, times: ChangeTimes = {}): void {
    const table = this.store.table(object);
    this.apply(table, this.indexOf(table, row), 'undelete', {}, times);
  }

  /** Erases a row from the recycle bin: queryAll no longer shows it, the log of deletions still does. */
  purge(object: string, row: RowRef): void {
    const table = this.store.table(object);
    this.apply(table, this.indexOf(table, row), 'purge', {}, {});
  }

  /** Empties the log of deletions before this time: earliestDateAvailable moves there. */
  forgetDeletions(object: string, beforeMs: number): void {
    this.store.table(object).deletionsKnownFrom = beforeMs;
  }

  /** The loser is deleted and points to the winner, which is touched. */
  merge(
    object: string,
    winner: RowRef,
    loser: RowRef,
    patch: Readonly<Record<string, Value>> = {},
    times: ChangeTimes = {},
  ): void {
    const table = this.store.table(object);
    const masterId = table.idOf(this.indexOf(table, winner));
    this.apply(table, this.indexOf(table, loser), 'delete', {}, times, masterId);
    this.update(object, winner, patch, times);
  }

  /** Stores a value that no validation would let in: a word in a number, NUL, a lone surrogate, megabytes of text. */
  setRaw(object: string, row: RowRef, name: string, value: Value, times: ChangeTimes = {}): void {
    this.update(object, row, { [name]: value }, times);
  }

  /** Edits a share (0..1) of the live base rows, spread evenly; all get one stamp. Returns how many. */
  touchMany(object: string, share: number, times: ChangeTimes = {}): number {
    const table = this.store.table(object);
    const name = table
      .allFields()
      .find((f) => f.updateable && f.type === 'string' && f.compoundFieldName === null)?.name;
    if (name === undefined) throw new Error(`${object} has no text field to touch`);
    const count = Math.floor(table.baseRows * Math.min(1, share));
    const at = times.at ?? this.store.clock.now();
    let touched = 0;
    for (let n = 0; n < count; n++) {
      const index = Math.floor((n * table.baseRows) / count);
      if ((table.overlay.get(index)?.deletedAt ?? null) !== null) continue;
      this.store.change(
        {
          object: table.name,
          index,
          kind: 'update',
          values: { [name]: `touched ${mix(at, index) % 1000}` },
          at,
          masterId: null,
        },
        times.visibleAt,
      );
      touched++;
    }
    this.store.journal.flush();
    return touched;
  }

  addField(object: string, added: NewField): void {
    const table = this.store.table(object);
    const { filled, ...rest } = added;
    const spec = field(added.name, added.type, {
      ...rest,
      ...(filled === true ? {} : { make: 'nothing' as const }),
      ...(added.length === undefined && added.type === 'string' ? { length: 255 } : {}),
    });
    this.setFields(object, [...table.allFields().filter((f) => f.name !== added.name), spec]);
  }

  removeField(object: string, name: string): void {
    this.setFields(
      object,
      this.store
        .table(object)
        .allFields()
        .filter((f) => f.name !== name),
    );
  }

  /** Changes a field's type; the stored values stay as they are. */
  retypeField(
    object: string,
    name: string,
    type: FieldType,
    change: Partial<Pick<FieldSpec, 'length' | 'precision' | 'scale' | 'make'>> = {},
  ): void {
    const fields = this.store.table(object).allFields();
    this.setFields(
      object,
      fields.map((f) => (f.name === name ? { ...f, type, make: makerNameOf(f), ...change } : f)),
    );
  }

  /** The field goes on under another name, with its values. */
  renameField(object: string, name: string, to: string): void {
    const fields = this.store.table(object).allFields();
    this.setFields(
      object,
      fields.map((f) =>
        f.name === name ? { ...f, name: to, label: to, storedAs: f.storedAs ?? f.name } : f,
      ),
    );
  }

  /** Takes a whole object from the integration user's sight, or gives it back. */
  hideObject(object: string, hidden = true): void {
    this.store.setObjectHidden(this.store.table(object).name, hidden);
    this.store.journal.flush();
  }

  /** Takes the field from the integration user's sight, or gives it back; the data stays. */
  hideField(object: string, name: string, hidden = true): void {
    this.store.setHidden(this.store.table(object).name, name, hidden);
    this.store.journal.flush();
  }

  /** Formula results change for every row and no stamp moves. */
  bumpFormula(object: string, name: string): void {
    this.store.table(object).bumpFormula(name);
  }

  /** One row as it is visible now, deleted ones too; undefined when purged or never there. */
  get(object: string, row: RowRef): TruthRow | undefined {
    this.store.settle();
    const table = this.store.table(object);
    const entry = table.entry(this.indexOf(table, row));
    return entry === undefined || isPurged(entry) ? undefined : truthOf(table)(entry);
  }

  /** Every visible row in Id order, deleted ones too, purged ones not. Later changes may or may not show. */
  async *truth(object: string): AsyncGenerator<TruthRow> {
    this.store.settle();
    const table = this.store.table(object);
    let read = truthOf(table);
    let version = table.schemaVersion;
    for (let index = 0; index < table.next; index++) {
      if (index % TRUTH_ROWS_PER_TURN === 0) await nextTurn();
      if (version !== table.schemaVersion) {
        read = truthOf(table);
        version = table.schemaVersion;
      }
      const entry = table.entry(index);
      if (entry !== undefined && !isPurged(entry)) yield read(entry);
    }
  }

  countTruth(object: string): { live: number; deleted: number } {
    this.store.settle();
    const table = this.store.table(object);
    return { live: table.liveRows, deleted: table.deletedRows };
  }

  pendingCount(): number {
    return this.store.pendingCount();
  }

  /** Makes the CSV of all base rows now, so that a bench measures serving and not making; returns its bytes. */
  async prepare(object: string, names?: readonly string[]): Promise<number> {
    const table = this.store.table(object);
    const visible = table.fields().filter((f) => f.type !== 'address' && f.type !== 'base64');
    const columns = names === undefined ? visible : names.map((name) => fieldOf(table, name));
    const readers = columns.map((spec) => table.reader(spec.name));
    const shape = { table, columns, readers, schemaVersion: table.schemaVersion };
    const base = this.cache.open(shape, { delimiter: ',', lineEnding: '\n' });
    await base.ensure(table.baseRows);
    base.release();
    return base.bytesBetween(0, table.baseRows);
  }

  private setFields(object: string, fields: readonly FieldSpec[]): void {
    this.store.setFields(this.store.table(object).name, fields);
    this.store.journal.flush();
  }

  private indexOf(table: Table, row: RowRef): number {
    const index = typeof row === 'number' ? row : table.indexOf(row);
    if (index === undefined || index >= table.next) throw new Error(`no such row of ${table.name}`);
    return index;
  }

  private apply(
    table: Table,
    index: number,
    kind: Change['kind'],
    values: Change['values'],
    times: ChangeTimes,
    masterId: string | null = null,
  ): void {
    const at = times.at ?? this.store.clock.now();
    this.store.change({ object: table.name, index, kind, values, at, masterId }, times.visibleAt);
    this.store.journal.flush();
  }
}

const isPurged = (entry: Entry): boolean => typeof entry !== 'number' && entry.purged;

function fieldOf(table: Table, name: string): FieldSpec {
  const spec = table.fieldNamed(name);
  if (spec === undefined) throw new Error(`${table.name} has no field ${name}`);
  return spec;
}

function truthOf(table: Table): (entry: Entry) => TruthRow {
  const readers = table.allFields().map((spec) => [spec.name, table.reader(spec.name)] as const);
  return (entry) => ({
    Id: table.idOf(indexOfEntry(entry)),
    IsDeleted: typeof entry !== 'number' && entry.deletedAt !== null,
    stampMs: table.stampOf(entry),
    values: Object.fromEntries(readers.map(([name, read]) => [name, read(entry)])),
  });
}
