/** One object's rows: base rows made on demand, and an overlay of immutable versions for whatever has changed. */
import type { FieldSpec, ObjectSpec } from './fields.ts';
import { idMaker, indexOfId } from './ids.ts';
import { makerOf, type Maker, type MakerContext, type Value } from './makers.ts';
import { instantText } from '../seeded.ts';
import { SortedIndex } from '../sorted-index.ts';
import { baseStamps, type BaseStamps } from './stamps.ts';

/** A changed, created or deleted row. A change makes a new object, so that a cursor may keep the old one as its snapshot. */
export interface OverlayRow {
  readonly index: number;
  /** Only what differs from the base row; for a created row, all that is set. */
  readonly values: Readonly<Record<string, Value>>;
  readonly stamp: number;
  readonly modifiedAt: number;
  /** Null = as in the base row. */
  readonly createdAt: number | null;
  readonly deletedAt: number | null;
  readonly purged: boolean;
  readonly masterId: string | null;
}

/** A base row by its index, or a version from the overlay. */
export type Entry = number | OverlayRow;
export type Reader = (entry: Entry) => Value;

export interface TableSettings {
  readonly seed: number;
  readonly rows: number;
  readonly stampsUntil: number;
  readonly stampSpanMs: number;
  readonly stampTies: number;
  readonly prefixOf: MakerContext['prefixOf'];
  readonly countOf: MakerContext['countOf'];
}

interface StampKey {
  readonly time: number;
  readonly index: number;
}

export const indexOfEntry = (entry: Entry): number => (typeof entry === 'number' ? entry : entry.index);

export class Table {
  readonly spec: ObjectSpec;
  readonly baseRows: number;
  readonly stamps: BaseStamps;
  readonly idOf: (index: number) => string;
  readonly overlay = new Map<number, OverlayRow>();
  readonly byStamp = new SortedIndex<StampKey>();
  readonly byDeletion = new SortedIndex<StampKey>();
  /** The log of deletions is known to be complete from here on. */
  deletionsKnownFrom = 0;
  /** Index of the next created row. */
  next: number;
  /** Rows that a plain query sees; deleted and purged ones are not. */
  liveRows: number;
  deletedRows = 0;
  /** Raised by every change of the schema: readers and caches of older versions are stale. */
  schemaVersion = 1;
  /** When the schema last changed, epoch milliseconds. */
  describedAt: number;
  private fieldList: readonly FieldSpec[];
  private readonly hidden = new Set<string>();
  private readonly context: MakerContext;
  private readonly readers = new Map<string, Reader>();
  private readonly formulaVersions = new Map<string, number>();

  constructor(spec: ObjectSpec, settings: TableSettings) {
    this.spec = spec;
    this.baseRows = settings.rows;
    this.next = settings.rows;
    this.liveRows = settings.rows;
    this.describedAt = settings.stampsUntil;
    this.fieldList = spec.fields;
    this.idOf = idMaker(spec.prefix);
    this.stamps = baseStamps({
      rows: settings.rows,
      until: settings.stampsUntil,
      spanMs: settings.stampSpanMs,
      ties: settings.stampTies,
    });
    this.context = {
      seed: settings.seed,
      object: spec.name,
      prefix: spec.prefix,
      stamp: this.stamps.at,
      prefixOf: settings.prefixOf,
      countOf: settings.countOf,
    };
  }

  get name(): string {
    return this.spec.name;
  }

  /** The fields that the integration user may see. */
  fields(): readonly FieldSpec[] {
    return this.hidden.size === 0 ? this.fieldList : this.fieldList.filter((f) => !this.hidden.has(f.name));
  }

  fieldNamed(name: string): FieldSpec | undefined {
    const wanted = name.toLowerCase();
    return this.fields().find((f) => f.name.toLowerCase() === wanted);
  }

  /** Values by the names under which they are kept. */
  stored(values: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> {
    const renamed = this.fieldList.filter((f) => f.storedAs !== null && values[f.name] !== undefined);
    if (renamed.length === 0) return values;
    const kept = { ...values };
    for (const spec of renamed) {
      kept[spec.storedAs!] = values[spec.name]!;
      delete kept[spec.name];
    }
    return kept;
  }

  setFields(fields: readonly FieldSpec[]): void {
    this.fieldList = fields;
    this.readers.clear();
    this.schemaVersion++;
  }

  allFields(): readonly FieldSpec[] {
    return this.fieldList;
  }

  setHidden(name: string, hidden: boolean): void {
    if (hidden) this.hidden.add(name);
    else this.hidden.delete(name);
    this.schemaVersion++;
  }

  /** Changes the outcome of a formula for every row without moving a stamp, as a changed formula definition does. */
  bumpFormula(name: string): void {
    this.formulaVersions.set(name, (this.formulaVersions.get(name) ?? 0) + 1);
    this.readers.clear();
    this.schemaVersion++;
  }

  indexOf(id: string): number | undefined {
    const index = indexOfId(this.spec.prefix, id);
    return index === undefined || index >= this.next ? undefined : index;
  }

  /** The current version of a row, purged ones too; undefined for an index that never existed. */
  entry(index: number): Entry | undefined {
    return this.overlay.get(index) ?? (index < this.baseRows ? index : undefined);
  }

  stampOf(entry: Entry): number {
    return typeof entry === 'number' ? this.stamps.at(entry) : entry.stamp;
  }

  /** Replaces a row's current version and keeps the indexes and counts in step; O(log n). */
  put(row: OverlayRow): void {
    const before = this.overlay.get(row.index);
    const isNew = before === undefined && row.index >= this.baseRows;
    if (before !== undefined) {
      this.byStamp.remove({ time: before.stamp, index: before.index });
      if (before.deletedAt !== null) this.byDeletion.remove({ time: before.deletedAt, index: before.index });
    }
    const wasLive = isNew ? 0 : before === undefined || before.deletedAt === null ? 1 : 0;
    const wasDeleted = before !== undefined && before.deletedAt !== null && !before.purged ? 1 : 0;
    this.liveRows += (row.deletedAt === null ? 1 : 0) - wasLive;
    this.deletedRows += (row.deletedAt !== null && !row.purged ? 1 : 0) - wasDeleted;
    this.overlay.set(row.index, row);
    this.byStamp.insert({ time: row.stamp, index: row.index });
    if (row.deletedAt !== null) this.byDeletion.insert({ time: row.deletedAt, index: row.index });
    this.next = Math.max(this.next, row.index + 1);
  }

  reader(name: string): Reader {
    const known = this.readers.get(name);
    if (known !== undefined) return known;
    const spec = this.fieldList.find((f) => f.name === name);
    const made = spec === undefined ? () => null : this.makeReader(spec);
    this.readers.set(name, made);
    return made;
  }

  private makeReader(spec: FieldSpec): Reader {
    const system = this.systemReader(spec);
    if (system !== undefined) return system;
    const derived = this.derivedReader(spec);
    const base: Maker = makerOf(this.context, spec);
    const name = spec.storedAs ?? spec.name;
    const { baseRows } = this;
    return (entry) => {
      if (typeof entry === 'number') return derived === undefined ? base(entry) : derived(entry);
      const own = entry.values[name];
      if (own !== undefined) return own;
      if (derived !== undefined) return derived(entry);
      return entry.index < baseRows ? base(entry.index) : null;
    };
  }

  private systemReader(spec: FieldSpec): Reader | undefined {
    const { idOf } = this;
    const base = makerOf(this.context, spec);
    switch (spec.make) {
      case 'id':
        return (entry) => idOf(indexOfEntry(entry));
      case 'systemModstamp':
        return (entry) => (typeof entry === 'number' ? base(entry) : instantText(entry.stamp));
      case 'lastModifiedDate':
        return (entry) => (typeof entry === 'number' ? base(entry) : instantText(entry.modifiedAt));
      case 'createdDate': {
        // Where CreatedDate is the only stamp, it is the base stamp itself.
        const only = this.spec.stampField === 'CreatedDate';
        const made = only ? (index: number) => instantText(this.stamps.at(index)) : base;
        return (entry) => {
          if (typeof entry === 'number') return made(entry);
          return entry.createdAt === null ? made(entry.index) : instantText(entry.createdAt);
        };
      }
      case 'isDeleted':
        return (entry) => (typeof entry === 'number' || entry.deletedAt === null ? 'false' : 'true');
      case 'masterRecordId':
        return (entry) => (typeof entry === 'number' ? null : entry.masterId);
      default:
        return undefined;
    }
  }

  private derivedReader(spec: FieldSpec): Reader | undefined {
    const version = this.formulaVersions.get(spec.name) ?? 0;
    switch (spec.make) {
      case 'personName':
        return this.personName();
      case 'greeting': {
        const first = this.reader('FirstName');
        const word = version === 0 ? 'Dear' : `Hello (${version})`;
        return (entry) => `${word} ${first(entry) ?? 'customer'}`;
      }
      case 'expectedRevenue': {
        const sum = this.reader('Amount');
        const chance = this.reader('Probability');
        return (entry) => {
          const value = sum(entry);
          return value === null
            ? null
            : ((Number(value) * (Number(chance(entry)) + version)) / 100).toFixed(2);
        };
      }
      case 'address':
        return this.addressJson(spec.name.slice(0, -'Address'.length));
      default:
        return undefined;
    }
  }

  private personName(): Reader {
    const first = this.reader('FirstName');
    const last = this.reader('LastName');
    return (entry) => {
      const given = first(entry);
      const family = last(entry) ?? '';
      return given === null ? family : `${given} ${family}`;
    };
  }

  /** A compound address has no text form: its value is the JSON that REST shows. */
  private addressJson(prefix: string): Reader {
    const part = (name: string): Reader => this.reader(`${prefix}${name}`);
    const texts = ['City', 'Country', 'PostalCode', 'State', 'Street'].map(
      (name) => [name.charAt(0).toLowerCase() + name.slice(1), part(name)] as const,
    );
    const latitude = part('Latitude');
    const longitude = part('Longitude');
    return (entry) => {
      const read = Object.fromEntries(texts.map(([key, reader]) => [key, reader(entry)]));
      if (Object.values(read).every((value) => value === null)) return null;
      const [lat, long] = [latitude(entry), longitude(entry)];
      return JSON.stringify({
        city: read['city'],
        country: read['country'],
        geocodeAccuracy: null,
        latitude: lat === null ? null : Number(lat),
        longitude: long === null ? null : Number(long),
        postalCode: read['postalCode'],
        state: read['state'],
        street: read['street'],
      });
    };
  }
}
