/** Statements and answers of the fake Data API: how values are bound, and how each type is told. */
import type { Client } from 'pg';

export class Refusal extends Error {
  readonly type: string;
  readonly status: number;

  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

export const invalid = (message: string): Refusal => new Refusal('ValidationException', message);

export interface Answer {
  fields: { name: string; dataTypeID: number }[];
  rows: (string | null)[][];
}

export interface Bound {
  text: string;
  values: string[];
}

/** Each parameter that is given is named, and each that is named is given. */
export function bindAll(
  sqls: readonly string[],
  parameters: readonly { name: string; value: string }[],
): Bound[] {
  const seen = new Set<string>();
  const bound = sqls.map((sql) => {
    const values: string[] = [];
    const places = new Map<string, number>();
    const place = (found: string, name?: string): string => {
      if (name === undefined) return found;
      const given = parameters.find((parameter) => parameter.name === name);
      if (given === undefined) throw invalid(`Parameters list is missing ${name}`);
      seen.add(name);
      if (!places.has(name)) places.set(name, values.push(given.value));
      return `$${places.get(name)}`;
    };
    const pattern = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|::|(?<!\w):([A-Za-z]\w*)/g;
    return { text: sql.replaceAll(pattern, place), values };
  });
  if (seen.size < parameters.length) throw invalid('Parameters list contains unused parameters');
  return bound;
}

/** The catalog is asked by name: the driver translates long names in rows that have them. */
const isCatalog = (sql: string): boolean => /\bpg_(?:attribute|namespace)\b/.test(sql);

export async function runOne(
  client: Client,
  { text: sql, values }: Bound,
): Promise<{ rows: number; answer?: Answer }> {
  const named = isCatalog(sql);
  // The extended protocol takes one statement, as ExecuteStatement does.
  const config = {
    text: sql,
    values,
    queryMode: 'extended',
    ...(named ? {} : { rowMode: 'array' as const }),
  };
  const { fields, rows, rowCount } = await client.query(config);
  const found = (rows as unknown[]).map((row) =>
    (Array.isArray(row) ? row : Object.values(row ?? {})).map((value) =>
      value === null ? null : String(value),
    ),
  );
  const answer = (fields ?? []).length === 0 ? {} : { answer: { fields, rows: found } };
  return { rows: rowCount ?? -1, ...answer };
}

export const TYPE_NAMES: Record<number, string> = {
  ...{
    16: 'bool',
    20: 'int8',
    21: 'int2',
    23: 'int4',
    26: 'oid',
    114: 'super',
    700: 'float4',
    701: 'float8',
  },
  ...{ 1042: 'bpchar', 1043: 'varchar', 1082: 'date', 1083: 'time', 1114: 'timestamp', 1184: 'timestamptz' },
  ...{ 1700: 'numeric' },
};
const LONGS: ReadonlySet<number> = new Set([20, 21, 23, 26]);
const DOUBLES: ReadonlySet<number> = new Set([700, 701]);

/** Numbers as they are written: JSON has no limit for them. */
const raw: (value: string) => unknown = Reflect.get(JSON, 'rawJSON');

export function fieldOf(value: string | null, field: Answer['fields'][number] | undefined): unknown {
  const type = field?.dataTypeID ?? 0;
  if (value === null) return { isNull: true };
  if (type === 16) return { booleanValue: value === 't' };
  if (LONGS.has(type)) return { longValue: raw(value) };
  return DOUBLES.has(type) && Number.isFinite(Number(value))
    ? { doubleValue: raw(value) }
    : { stringValue: value };
}
