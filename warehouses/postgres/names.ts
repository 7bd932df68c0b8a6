import { checkIdentifiers, quote, shortName as shortened } from '../sql.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';

/** NAMEDATALEN - 1: Postgres itself would cut longer names without a word, and two of them could meet. */
export const NAME_BYTES_MAX = 63;
const VERSION_CHARS_MAX = 6;

/** "System Columns": every table has these, so no column can be called so. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']);

const shortName = (name: string, bytesMax = NAME_BYTES_MAX): string => shortened(name, bytesMax);

/** The n-th version of a column. */
export function columnName(column: string, version = 1): string {
  const free = SYSTEM_COLUMNS.has(column) ? `${column}_` : column;
  return version === 1
    ? shortName(free)
    : `${shortName(free, NAME_BYTES_MAX - VERSION_CHARS_MAX)}__v${version}`;
}

/** Names that begin with pg_ belong to the server. */
export function schemaName(prefix: string, connection: string): string {
  const name = `${prefix}${connection}`;
  return shortName(name.startsWith('pg_') ? `_${name}` : name);
}

export const tableName = (table: string): string => shortName(table);

export const targetName = (prefix: string, connection: string, table: string): string =>
  `${quote(schemaName(prefix, connection))}.${quote(tableName(table))}`;

export const checkNames = (schema: ObjectSchema): void => checkIdentifiers(schema, columnName);
