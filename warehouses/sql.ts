import { createHash } from 'node:crypto';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import { HeadwaterError } from '../rules/errors.ts';

/** Longest identifier that we write; warehouses with a lower limit shorten on their own. */
export const IDENTIFIER_CHARS_MAX = 255;

/** An identifier in standard double quotes, so reserved words and any letter are safe. NUL cannot be quoted: refused. */
export function quote(name: string): string {
  if (name === '' || name.length > IDENTIFIER_CHARS_MAX || name.includes('\0')) {
    throw new HeadwaterError(
      'WAREHOUSE_REJECTED',
      `an identifier of ${name.length} characters cannot be used`,
      {
        remedy: `Use names of 1 to ${IDENTIFIER_CHARS_MAX} characters.`,
      },
    );
  }
  return `"${name.replaceAll('"', '""')}"`;
}

const HASH_CHARS = 8;

/** A name of at most `bytesMax`: a longer one is cut between two characters and ends with a hash of the whole. */
export function shortName(name: string, bytesMax: number): string {
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

/** A text in single quotes. NUL cannot be written in a statement: refused. */
export function literal(text: string): string {
  if (text.includes('\0'))
    throw new HeadwaterError(
      'WAREHOUSE_REJECTED',
      'a text with a NUL character cannot be used in a statement',
    );
  return `'${text.replaceAll("'", "''")}'`;
}

/** What a driver threw. Native addons may throw errors of another realm, so `instanceof` is not asked. */
export function messageOf(error: unknown): string {
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : error;
  return String(message);
}

export const firstLine = (error: unknown): string => messageOf(error).split('\n', 1)[0]?.slice(0, 300) ?? '';

/** Of the embedded DuckDB, whose commit has words of its own for it. */
export const isOutOfMemory = (error: unknown): boolean =>
  /^Out of Memory Error|Failed to commit: failed to (?:pin|allocate)/.test(firstLine(error));

/** Of options as a configuration writes them. */
export const prefixOf = ({ schemaPrefix }: Readonly<Record<string, unknown>>): string =>
  typeof schemaPrefix === 'string' ? schemaPrefix : '';

export const qualified = (schema: string, table: string): string => `${quote(schema)}.${quote(table)}`;

/** Refuses a schema whose columns would meet once case is folded and `nameOf` has made them fit, or would meet ours. */
export function checkIdentifiers(
  schema: ObjectSchema,
  nameOf: (column: string) => string = (column) => column,
): void {
  const seen = new Map<string, string>();
  for (const field of schema.fields) {
    quote(field.column);
    const folded = nameOf(field.column).toLowerCase();
    const other = seen.get(folded);
    if (other !== undefined || folded.startsWith('_')) {
      const what =
        other === undefined ? 'starts with _, which is reserved' : `means the same column as ${other}`;
      throw new HeadwaterError(
        'WAREHOUSE_REJECTED',
        `${schema.object}.${field.name}: column ${field.column} ${what}`,
        {
          remedy: 'Give the field another column name, or leave it out.',
        },
      );
    }
    seen.set(folded, field.name);
  }
  for (const name of [schema.key, schema.stamp, schema.deleted]) {
    if (name !== null && !schema.fields.some((field) => field.name === name)) {
      throw new HeadwaterError('WAREHOUSE_REJECTED', `${schema.object}: field ${name} is not described`);
    }
  }
}

/** For a dialect that compares no rows: the tuple, spelled out. `last` compares its last part. */
export function newer(mine: readonly string[], theirs: readonly string[], last = '>'): string {
  const [a = '', ...more] = mine;
  const [b = '', ...rest] = theirs;
  if (more.length === 0) return `${a} ${last} ${b}`;
  return `(${a} > ${b} OR (${a} = ${b} AND ${newer(more, rest, last)}))`;
}
