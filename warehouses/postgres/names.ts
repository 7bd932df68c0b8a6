import { createHash } from 'node:crypto';
import { checkIdentifiers, quote } from '../sql.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';

/** NAMEDATALEN - 1: Postgres itself would cut longer names without a word, and two of them could meet. */
export const NAME_BYTES_MAX = 63;
const HASH_CHARS = 8;
const VERSION_CHARS_MAX = 6;

/** "System Columns": every table has these, so no column can be called so. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']);

/** A name of at most `bytesMax`: a longer one is cut between two characters and ends with a hash of the whole. */
export function shortName(name: string, bytesMax = NAME_BYTES_MAX): string {
  if (Buffer.byteLength(name) <= bytesMax) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_CHARS);
  let kept = '';
  let bytes = HASH_CHARS + 1;
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return `${kept}_${hash}`;
}

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
