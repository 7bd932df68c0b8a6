import type { Field, FieldType } from '../schemas/object-schema.ts';

/** How one warehouse names and types the columns of a source table. */
export interface Dialect {
  /** The column type as the catalog writes it. */
  tableType(type: FieldType): string;
  /** What a column of the catalog holds; undefined for a type that Headwater never makes. */
  parseTableType(text: string): FieldType | undefined;
  /** The name of a column, or of its n-th version, within the limits of the warehouse. */
  nameOf(column: string, version: number): string;
}

/** A 64-bit integer has at most 19 digits, and any number of 18. */
const INTEGER_DIGITS_MAX = 19;
const INTEGER_DIGITS_SAFE = 18;
const DECIMAL_DIGITS_MAX = 38;

const digits = (type: FieldType): { whole: number; scale: number } | undefined => {
  if (type.kind === 'decimal') return { whole: type.precision - type.scale, scale: type.scale };
  return type.kind === 'integer' ? { whole: INTEGER_DIGITS_MAX, scale: 0 } : undefined;
};

/** True when every value of `from` is a value of `to`, so that a cast loses nothing. */
export function fits(from: FieldType, to: FieldType): boolean {
  if (to.kind === 'string') return true;
  if (to.kind === 'decimal') {
    const need = digits(from);
    return need !== undefined && need.whole <= to.precision - to.scale && need.scale <= to.scale;
  }
  if (to.kind === 'integer' && from.kind === 'decimal')
    return from.scale === 0 && from.precision <= INTEGER_DIGITS_SAFE;
  if (to.kind === 'timestamp' && from.kind === 'date') return true;
  return from.kind === to.kind;
}

/** The narrowest type that holds both losslessly; undefined when a new column has to be made. */
export function widened(old: FieldType, next: FieldType): FieldType | undefined {
  if (fits(old, next)) return next;
  if (fits(next, old)) return old;
  const a = digits(old);
  const b = digits(next);
  if (a === undefined || b === undefined) return undefined;
  const scale = Math.max(a.scale, b.scale);
  const precision = Math.max(a.whole, b.whole) + scale;
  return precision <= DECIMAL_DIGITS_MAX ? { kind: 'decimal', precision, scale } : undefined;
}

export interface TableColumn {
  name: string;
  type: string;
}

/** Where a field's values go: the newest of `column`, `column__v2`, `column__v3` … that the table has. */
export interface Place {
  field: Field;
  column: TableColumn | undefined;
  /** False when the values of the field do not fit that column. */
  fits: boolean;
}

/** An incompatible change of type never happens more often than this to one column. */
export const COLUMN_VERSIONS_MAX = 99;

/** The usual names: any letter, no limit that a source could reach. */
export const versionName = (column: string, version: number): string =>
  version === 1 ? column : `${column}__v${version}`;

export function placeFields(
  fields: readonly Field[],
  columns: readonly TableColumn[],
  dialect: Dialect,
): Place[] {
  const nameOf = (column: string, version: number) => dialect.nameOf(column, version);
  const byName = new Map(columns.map((column) => [column.name.toLowerCase(), column]));
  const described = new Set(fields.map((field) => nameOf(field.column, 1).toLowerCase()));
  return fields.map((field) => {
    let column = byName.get(nameOf(field.column, 1).toLowerCase());
    for (let version = 2; column !== undefined && version <= COLUMN_VERSIONS_MAX; version++) {
      const name = nameOf(field.column, version).toLowerCase();
      if (described.has(name)) continue;
      const next = byName.get(name);
      if (next === undefined) break;
      column = next;
    }
    const held = column === undefined ? undefined : dialect.parseTableType(column.type);
    return { field, column, fits: held !== undefined && fits(field.type, held) };
  });
}

/** The name for the next version of a field's column. */
export function nextVersion(
  field: Field,
  fields: readonly Field[],
  columns: readonly TableColumn[],
  dialect: Pick<Dialect, 'nameOf'>,
): string {
  const nameOf = (column: string, version: number) => dialect.nameOf(column, version);
  const taken = new Set(
    [...columns.map((column) => column.name), ...fields.map((other) => nameOf(other.column, 1))].map((name) =>
      name.toLowerCase(),
    ),
  );
  for (let version = 2; version <= COLUMN_VERSIONS_MAX; version++) {
    const name = nameOf(field.column, version);
    if (!taken.has(name.toLowerCase())) return name;
  }
  return nameOf(field.column, COLUMN_VERSIONS_MAX + 1);
}
