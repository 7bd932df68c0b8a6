/** All objects of the org, and the only way to change them. Uncommitted changes wait aside until they become visible. */
import { wholeSecond, type OffsetClock } from '../clock.ts';
import type { FieldSpec } from './fields.ts';
import { Journal, type JournalHeader, type JournalLine } from './journal.ts';
import type { Value } from './makers.ts';
import type { OverlayRow, Table } from './table.ts';

export interface Change {
  readonly object: string;
  readonly index: number;
  readonly kind: 'update' | 'create' | 'delete' | 'undelete' | 'purge';
  readonly values: Readonly<Record<string, Value>>;
  /** The stamp, epoch milliseconds. */
  readonly at: number;
  readonly masterId: string | null;
}

interface Pending {
  readonly serial: number;
  readonly change: Change;
  readonly visibleAt: number;
}

const PENDING_MAX = 100_000;

export class Store {
  readonly clock: OffsetClock;
  readonly tables: ReadonlyMap<string, Table>;
  readonly journal: Journal;
  /** Ordered by visibleAt. */
  private pending: Pending[] = [];
  private serial = 0;
  private hiddenFields = new Map<string, Set<string>>();
  private readonly hiddenObjects = new Set<string>();
  livingSteps = 0;
  /** Of whoever changes something just now, as change events tell it. */
  origin = '';
  /** Told of each change once it is visible, to push it. */
  onChange: (table: Table, change: Change) => void = () => undefined;

  constructor(
    clock: OffsetClock,
    tables: readonly Table[],
    statePath: string | undefined,
    header: JournalHeader,
    lines: readonly JournalLine[] | undefined,
  ) {
    this.clock = clock;
    this.tables = new Map(tables.map((table) => [table.name.toLowerCase(), table]));
    for (const line of lines ?? []) this.replay(line);
    this.journal = new Journal(statePath, header, lines === undefined);
  }

  /** What the integration user sees under this name. */
  find(object: string): Table | undefined {
    return this.hiddenObjects.has(object.toLowerCase()) ? undefined : this.tables.get(object.toLowerCase());
  }

  visibleTables(): Table[] {
    return [...this.tables.values()].filter((table) => !this.hiddenObjects.has(table.name.toLowerCase()));
  }

  setObjectHidden(object: string, hidden: boolean): void {
    if (hidden) this.hiddenObjects.add(object.toLowerCase());
    else this.hiddenObjects.delete(object.toLowerCase());
    this.journal.append({ object, hiddenObject: hidden });
  }

  table(object: string): Table {
    const found = this.tables.get(object.toLowerCase());
    if (found === undefined) throw new Error(`the sandbox has no object ${object}`);
    return found;
  }

  /** Applies a change now, or holds it back like a transaction that commits at visibleAt. */
  change(change: Change, visibleAt?: number): void {
    this.settle();
    if (visibleAt === undefined || visibleAt <= this.clock.now()) {
      this.apply(change, undefined);
      return;
    }
    if (this.pending.length >= PENDING_MAX)
      throw new Error(`more than ${PENDING_MAX} changes wait for visibility`);
    const pending = { serial: ++this.serial, change, visibleAt };
    this.hold(pending);
    this.journal.append({ pending: pending.serial, change, visibleAt });
  }

  private hold(pending: Pending): void {
    // A created row takes its number now, so that its Id is known before it is visible.
    const table = this.table(pending.change.object);
    table.next = Math.max(table.next, pending.change.index + 1);
    this.pending.push(pending);
    this.pending.sort((a, b) => a.visibleAt - b.visibleAt || a.serial - b.serial);
  }

  /** Makes visible what has become due; every read starts with it. */
  settle(): void {
    const now = this.clock.now();
    while (this.pending.length > 0 && this.pending[0]!.visibleAt <= now) {
      const { change, serial } = this.pending.shift()!;
      this.apply(change, serial);
    }
  }

  pendingCount(): number {
    return this.pending.length;
  }

  /** The earliest stamp that is still to appear, or undefined. */
  earliestPending(object: string): number | undefined {
    let earliest: number | undefined;
    for (const { change } of this.pending) {
      if (change.object === object) earliest = Math.min(earliest ?? change.at, change.at);
    }
    return earliest;
  }

  private apply(change: Change, settled: number | undefined): void {
    const table = this.table(change.object);
    const row = changedRow(table, change);
    table.put(row);
    this.journal.append({ row, object: change.object, ...(settled === undefined ? {} : { settled }) });
    this.onChange(table, change);
  }

  setFields(object: string, fields: readonly FieldSpec[]): void {
    this.table(object).setFields(fields);
    this.writeSchema(object);
  }

  setHidden(object: string, name: string, hidden: boolean): void {
    const names = this.hiddenFields.get(object) ?? new Set();
    if (hidden) names.add(name);
    else names.delete(name);
    this.hiddenFields.set(object, names);
    this.table(object).setHidden(name, hidden);
    this.writeSchema(object);
  }

  private writeSchema(object: string): void {
    this.table(object).describedAt = this.clock.now();
    const hidden = [...(this.hiddenFields.get(object) ?? [])];
    this.journal.append({ schema: object, fields: this.table(object).allFields(), hidden });
  }

  private replay(line: JournalLine): void {
    if ('hiddenObject' in line) {
      if (line.hiddenObject) this.hiddenObjects.add(line.object.toLowerCase());
      else this.hiddenObjects.delete(line.object.toLowerCase());
    } else if ('row' in line) {
      this.pending = this.pending.filter((pending) => pending.serial !== line.settled);
      this.table(line.object).put(line.row);
    } else if ('pending' in line) {
      this.serial = Math.max(this.serial, line.pending);
      this.hold({ serial: line.pending, change: line.change, visibleAt: line.visibleAt });
    } else if ('schema' in line) {
      const table = this.table(line.schema);
      table.setFields(line.fields);
      for (const name of this.hiddenFields.get(line.schema) ?? []) table.setHidden(name, false);
      for (const name of line.hidden) table.setHidden(name, true);
      this.hiddenFields.set(line.schema, new Set(line.hidden));
    } else if ('clock' in line) this.clock.offsetMs = line.clock;
    else this.livingSteps = line.living;
  }

  close(): void {
    this.journal.close();
  }
}

/** The next version of a row. A stamp never moves back for updates that follow each other, unless the caller says so by `at`. */
function changedRow(table: Table, change: Change): OverlayRow {
  const before = table.overlay.get(change.index);
  const base = change.index < table.baseRows;
  const at = wholeSecond(change.at);
  const old: OverlayRow = before ?? {
    index: change.index,
    values: {},
    stamp: at,
    modifiedAt: base
      ? Date.parse(table.reader('LastModifiedDate')(change.index) ?? '') || table.stamps.at(change.index)
      : at,
    createdAt: base ? null : at,
    deletedAt: null,
    purged: false,
    masterId: null,
  };
  switch (change.kind) {
    case 'create':
    case 'update':
      return { ...old, values: { ...old.values, ...table.stored(change.values) }, stamp: at, modifiedAt: at };
    case 'delete':
      return { ...old, stamp: at, deletedAt: at, masterId: change.masterId };
    case 'undelete':
      return { ...old, stamp: at, deletedAt: null, masterId: null };
    // What is left is 'purge'.
    default:
      return {
        ...old,
        stamp: old.deletedAt === null ? at : old.stamp,
        deletedAt: old.deletedAt ?? at,
        purged: true,
      };
  }
}
