/** One object type's records: base rows made on demand, and an overlay of immutable versions for whatever has changed. */
import { instantText } from '../seeded.ts';
import { SortedIndex, type TimeKey } from '../sorted-index.ts';
import { makerOf, type MakeContext, type PropertySpec, type TypeSpec, type Value } from './property.ts';
import { baseStamps, type BaseStamps } from './stamps.ts';

export interface PastValue {
  readonly value: Value;
  readonly at: number;
}

/** A changed, created, archived or vanished row. */
export interface OverlayRow {
  readonly index: number;
  /** Only what differs from the base row; for a created row, all that is set. */
  readonly values: Readonly<Record<string, Value>>;
  readonly stamp: number;
  /** Null = as in the base row. */
  readonly createdAt: number | null;
  readonly archivedAt: number | null;
  /** The record that this one was merged into, by index. Its id then answers with that record. */
  readonly mergedInto: number | null;
  /** The ids that were merged into this record. */
  readonly mergedIds: readonly string[];
  /** Erased for privacy: nobody shows it any more. */
  readonly purged: boolean;
  /** The values of the changed properties, newest first. */
  readonly history: Readonly<Record<string, readonly PastValue[]>>;
}

/** A base row by its index, or a version from the overlay. */
export type Entry = number | OverlayRow;
export type Reader = (entry: Entry) => Value;

export const ID_STEP = 50;
export const indexOfEntry = (entry: Entry): number => (typeof entry === 'number' ? entry : entry.index);

/** Archived, merged and erased records are not listed. */
export const isLive = (entry: Entry): boolean =>
  typeof entry === 'number' || (entry.archivedAt === null && entry.mergedInto === null && !entry.purged);

export const isArchived = (entry: Entry): boolean =>
  typeof entry !== 'number' && entry.archivedAt !== null && entry.mergedInto === null && !entry.purged;

/** The versions that one kind of reader sees: everybody but search sees the newest ones. */
export class Overlay {
  readonly rows = new Map<number, OverlayRow>();
  readonly byStamp = new SortedIndex<TimeKey>();

  put(row: OverlayRow): void {
    const before = this.rows.get(row.index);
    if (before !== undefined) this.byStamp.remove({ time: before.stamp, index: before.index });
    this.rows.set(row.index, row);
    this.byStamp.insert({ time: row.stamp, index: row.index });
  }
}

export interface TableSettings {
  readonly rows: number;
  readonly stampsUntil: number;
  readonly stampSpanMs: number;
  readonly stampTies: number;
  /** Built with the table's own stamps. */
  readonly contextFor: (stamps: BaseStamps) => MakeContext;
}

export class Table {
  readonly spec: TypeSpec;
  readonly baseRows: number;
  readonly stamps: BaseStamps;
  readonly live = new Overlay();
  /** What the search index holds: it follows `live` after a delay. */
  readonly indexed = new Overlay();
  /** Changed rows by the value of the unique property, in lower case. */
  private readonly unique = new Map<string, number>();
  /** Index of the next created row. */
  next: number;
  liveRows: number;
  /** Raised whenever the search index changes. */
  indexVersion = 0;
  private list: readonly PropertySpec[];
  private byName = new Map<string, PropertySpec>();
  private readonly archivedNames = new Set<string>();
  private readonly context: MakeContext;
  private readonly readers = new Map<string, Reader>();

  constructor(spec: TypeSpec, settings: TableSettings) {
    this.spec = spec;
    this.baseRows = settings.rows;
    this.next = settings.rows;
    this.liveRows = settings.rows;
    const { rows, stampsUntil: until, stampSpanMs: spanMs, stampTies: ties } = settings;
    this.stamps = baseStamps({ rows, until, spanMs, ties });
    this.context = settings.contextFor(this.stamps);
    this.list = spec.properties;
    this.setProperties(spec.properties);
  }

  get name(): string {
    return this.spec.name;
  }

  properties(): readonly PropertySpec[] {
    return this.list.filter((one) => !this.archivedNames.has(one.name));
  }

  archivedProperties(): readonly PropertySpec[] {
    return this.list.filter((one) => this.archivedNames.has(one.name));
  }

  property(name: string): PropertySpec | undefined {
    const wanted = name.toLowerCase();
    return this.archivedNames.has(wanted) ? undefined : this.byName.get(wanted);
  }

  setProperties(list: readonly PropertySpec[]): void {
    this.list = list;
    this.byName = new Map(list.map((one) => [one.name, one]));
    this.readers.clear();
  }

  setPropertyArchived(name: string, archived: boolean): void {
    if (archived) this.archivedNames.add(name);
    else this.archivedNames.delete(name);
    this.indexVersion++;
  }

  idOf(index: number): string {
    return String(this.spec.idBase + ID_STEP * index);
  }

  indexOf(id: string): number | undefined {
    if (!/^[1-9]\d{0,15}$/.test(id)) return undefined;
    const index = (Number(id) - this.spec.idBase) / ID_STEP;
    return Number.isInteger(index) && index >= 0 && index < this.next ? index : undefined;
  }

  /** The current version of a row, in whatever state; undefined for a row that never existed or is not visible yet. */
  entry(index: number, view: Overlay = this.live): Entry | undefined {
    return view.rows.get(index) ?? (index < this.baseRows ? index : undefined);
  }

  /** Follows merges: both old ids answer with the record that came out. */
  resolved(index: number): Entry | undefined {
    let entry = this.entry(index);
    while (entry !== undefined && typeof entry !== 'number' && entry.mergedInto !== null)
      entry = this.entry(entry.mergedInto);
    return entry;
  }

  stampOf(entry: Entry): number {
    return typeof entry === 'number' ? this.stamps.at(entry) : entry.stamp;
  }

  createdOf(entry: Entry): number {
    if (typeof entry === 'number') return this.stamps.created(entry);
    return entry.createdAt ?? this.stamps.created(entry.index);
  }

  /** Replaces a row's current version; search sees it when `index` is called. */
  put(row: OverlayRow): void {
    const before = this.entry(row.index);
    const wasLive = before !== undefined && isLive(before);
    this.liveRows += (isLive(row) ? 1 : 0) - (wasLive ? 1 : 0);
    this.live.put(row);
    this.next = Math.max(this.next, row.index + 1);
    const key = this.spec.unique === null ? undefined : row.values[this.spec.unique];
    if (key !== undefined && key !== null) this.unique.set(key.toLowerCase(), row.index);
  }

  index(row: OverlayRow): void {
    this.indexed.put(row);
    this.indexVersion++;
  }

  /** The changed row with this value of the unique property; the caller checks that it still has it. */
  changedWith(value: string): number | undefined {
    return this.unique.get(value.toLowerCase());
  }

  /** Rows whose generated unique value may carry this number. */
  candidates(number: number): Iterable<number> {
    return this.name === 'contacts' ? this.context.twins.candidates(number) : [number];
  }

  /** Rows of a view with from <= stamp < until that are live, by stamp. */
  *between(from: number, until: number, view: Overlay): Generator<Entry> {
    const changed = view.byStamp.range(from, until);
    let next = changed.next();
    const last = this.stamps.firstAtOrAfter(until);
    for (let place = this.stamps.firstAtOrAfter(from); place < last; place++) {
      const index = this.stamps.rowAt(place);
      if (view.rows.has(index)) continue;
      const stamp = this.stamps.at(index);
      while (next.done !== true && next.value.time < stamp) {
        const row = view.rows.get(next.value.index)!;
        if (isLive(row)) yield row;
        next = changed.next();
      }
      yield index;
    }
    for (; next.done !== true; next = changed.next()) {
      const row = view.rows.get(next.value.index)!;
      if (isLive(row)) yield row;
    }
  }

  reader(name: string): Reader {
    const known = this.readers.get(name);
    if (known !== undefined) return known;
    const spec = this.byName.get(name);
    const made = spec === undefined ? () => null : this.makeReader(spec);
    this.readers.set(name, made);
    return made;
  }

  private makeReader(spec: PropertySpec): Reader {
    switch (spec.system) {
      case 'id':
        return (entry) => this.idOf(indexOfEntry(entry));
      case 'modified':
        return (entry) => instantText(this.stampOf(entry));
      case 'created':
        return (entry) => instantText(this.createdOf(entry));
      case 'mergedIds':
        return (entry) =>
          typeof entry === 'number' || entry.mergedIds.length === 0 ? null : entry.mergedIds.join(';');
      default:
    }
    const base = makerOf(this.context, this.name, spec);
    const { baseRows } = this;
    return (entry) => {
      if (typeof entry === 'number') return base(entry);
      const own = entry.values[spec.name];
      if (own !== undefined) return own;
      return entry.index < baseRows ? base(entry.index) : null;
    };
  }
}
