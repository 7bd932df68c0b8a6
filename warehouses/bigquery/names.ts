import { createHash } from 'node:crypto';
import { HeadwaterError } from '../../rules/errors.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { checkIdentifiers, IDENTIFIER_CHARS_MAX } from '../sql.ts';

/** "Creating and using tables": 300 characters for a column; ours are shorter, and versions of a column add up to six. */
const NAME_CHARS_MAX = IDENTIFIER_CHARS_MAX;
const HASH_CHARS = 8;
/** "Labels": keys and values have 63 characters of a small alphabet. */
const LABEL_CHARS_MAX = 63;

export const sha = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** Letters of any script, digits and _ stay; what else a name has becomes _, and then a hash of the whole keeps it apart. */
function plainName(name: string, letters: RegExp): string {
  const plain = name.replaceAll(letters, '_').slice(0, NAME_CHARS_MAX);
  const begins = /^\d/.test(plain) ? `n${plain}` : plain;
  return begins === name ? name : `${begins.slice(0, NAME_CHARS_MAX)}_${sha(name).slice(0, HASH_CHARS)}`;
}

const OTHER_LETTERS = /[^\p{L}\p{N}\p{M}_]/gu;

/** The n-th version of a column. */
export const columnName = (column: string, version = 1): string =>
  version === 1 ? plainName(column, OTHER_LETTERS) : `${plainName(column, OTHER_LETTERS)}__v${version}`;

/** A dataset's name has ASCII letters, digits and _ only. */
export const datasetName = (prefix: string, connection: string): string =>
  plainName(`${prefix}${connection}`, /[^A-Za-z0-9_]/g);

export const tableName = (table: string): string => plainName(table, OTHER_LETTERS);

/** In backticks. Everything that they could not hold is refused, not escaped. */
export function quoted(name: string): string {
  if (/^[\p{L}\p{N}\p{M}_]+$/u.test(name)) return `\`${name}\``;
  throw new HeadwaterError('WAREHOUSE_REJECTED', `an identifier of ${name.length} characters cannot be used`);
}

export const qualifiedName = (dataset: string, table: string): string =>
  `${quoted(dataset)}.${quoted(table)}`;

export const checkNames = (schema: ObjectSchema): void => checkIdentifiers(schema, columnName);

/** "Lexical structure": a text ends at its quote or line, and a backslash escapes. NUL is refused as everywhere. */
export function text(value: string): string {
  if (value.includes('\0'))
    throw new HeadwaterError(
      'WAREHOUSE_REJECTED',
      'a text with a NUL character cannot be used in a statement',
    );
  const escaped = value
    .replaceAll('\\', '\\\\')
    .replaceAll("'", String.raw`\'`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('\r', String.raw`\r`);
  return `'${escaped}'`;
}

export const textOrNull = (value: string | null): string =>
  value === null ? 'CAST(NULL AS STRING)' : text(value);
export const moment = (instant: string): string => `TIMESTAMP ${text(instant)}`;
export const texts = (values: readonly string[]): string =>
  values.length === 0 ? 'CAST([] AS ARRAY<STRING>)' : `[${values.map(text).join(', ')}]`;

/** The value of a label; letters that it may not have become -. */
export const label = (value: string): string =>
  value
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '-')
    .slice(0, LABEL_CHARS_MAX);
