import { versionName } from '../columns.ts';
import { checkIdentifiers, literal, quote, shortName } from '../sql.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';

/** "Names and identifiers": of a standard identifier, also in quotes. */
export const NAME_BYTES_MAX = 127;
const VERSION_CHARS_MAX = 6;

/** Every table has these, so no column can be called so. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set([
  ...['oid', 'tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid', 'insertxid', 'deletexid'],
]);

/** Redshift makes every name lower case, those in quotes too; ours are made so, so that the catalog gives back what was asked. */
const fitting = (name: string, bytesMax = NAME_BYTES_MAX): string => shortName(name.toLowerCase(), bytesMax);

/** The n-th version of a column. */
export function columnName(column: string, version = 1): string {
  const folded = column.toLowerCase();
  const free = SYSTEM_COLUMNS.has(folded) ? `${folded}_` : folded;
  return version === 1
    ? fitting(free)
    : versionName(fitting(free, NAME_BYTES_MAX - VERSION_CHARS_MAX), version);
}

/** Names that begin with pg_ belong to the server. */
export function schemaName(prefix: string, connection: string): string {
  const name = `${prefix}${connection}`.toLowerCase();
  return fitting(name.startsWith('pg_') ? `_${name}` : name);
}

/** A table whose name begins with # would be a temporary one. */
export const tableName = (table: string): string => fitting(table.startsWith('#') ? `_${table}` : table);

export const targetName = (prefix: string, connection: string, table: string): string =>
  `${quote(schemaName(prefix, connection))}.${quote(tableName(table))}`;

export const checkNames = (schema: ObjectSchema): void => checkIdentifiers(schema, columnName);

/** A text as an expression. A backslash begins an escape in Redshift and none in standard SQL: it is written as a character. */
export const text = (value: string): string => value.split('\\').map(literal).join(' || CHR(92) || ');

/** Without the T and Z of ISO, which not every server of this family reads. */
export const moment = (instant: string): string =>
  `CAST(${literal(instant.replace('T', ' ').replace(/Z$/, '+00'))} AS timestamptz)`;
