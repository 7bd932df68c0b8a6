import { versionName } from '../columns.ts';
import { checkIdentifiers, quote, shortName } from '../sql.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';

/** "Identifier requirements". */
export const NAME_CHARS_MAX = 255;
const VERSION_CHARS_MAX = 6;

/**
 * Snowflake makes names without quotes upper case. Ours are made so and always quoted: reserved words and any letter are safe,
 * and a person finds them without quotes. Only Latin letters: what is not one of them needs quotes in any case.
 */
export const folded = (name: string): string => name.replaceAll(/[a-z]/g, (letter) => letter.toUpperCase());

/** Counted in bytes, which are never fewer than characters. */
const fitting = (name: string, charsMax = NAME_CHARS_MAX): string => folded(shortName(name, charsMax));

/** The n-th version of a column. */
export const columnName = (column: string, version = 1): string =>
  version === 1
    ? fitting(column)
    : folded(versionName(shortName(column, NAME_CHARS_MAX - VERSION_CHARS_MAX), version));

export const schemaName = (prefix: string, connection: string): string => fitting(`${prefix}${connection}`);

export const tableName = (table: string): string => fitting(table);

export const targetName = (prefix: string, connection: string, table: string): string =>
  `${quote(schemaName(prefix, connection))}.${quote(tableName(table))}`;

/** Headwater's own schema. */
export const SYSTEM = quote('_HEADWATER');
/** Of golden tables. */
export const GOLDEN = 'GOLDEN';

/** The table whose one row is the lock of a target: another transaction that changes it waits. */
export const lockName = (target: string): string =>
  `${SYSTEM}.${quote(fitting(`lock ${target.replaceAll('"', '')}`))}`;

/** A text in single quotes. Here a backslash begins an escape, other than in standard SQL. */
export const text = (value: string): string =>
  `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '\\0')}'`;

export const moment = (instant: string): string => `${text(instant)}::TIMESTAMP_TZ`;

export const checkNames = (schema: ObjectSchema): void => checkIdentifiers(schema, columnName);
