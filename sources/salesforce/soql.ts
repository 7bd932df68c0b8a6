import { HeadwaterError } from '../../rules/errors.ts';
import { instantSchema, ORIGIN, type Instant } from '../../schemas/instant.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';

type Operator = '=' | '<' | '<=' | '>' | '>=';
export type Literal = { instant: Instant } | { text: string };
export type Condition =
  | { field: string; op: Operator; value: Literal }
  | { field: string; oneOf: readonly string[] }
  | { any: readonly Condition[] }
  | { all: readonly Condition[] };

export interface SoqlQuery {
  /** `count` asks for COUNT(). */
  select: readonly string[] | 'count';
  /** All must hold. */
  where?: readonly Condition[];
  orderBy?: readonly string[];
  descending?: boolean;
  limit?: number;
}

/** Rows stamped in `[readFrom, until)` whose id is in `[idFrom, idUntil)`; null: no bound on that side. */
export interface RowRange {
  readFrom: Instant;
  until: Instant;
  idFrom: string | null;
  idUntil: string | null;
}

export type QueryableSchema = Pick<ObjectSchema, 'object' | 'key' | 'stamp'> & {
  fields: readonly { readonly name: string }[];
};

/** Only names that describe gave become identifiers, and only escaped text becomes a literal. */
export function soql(schema: QueryableSchema, query: SoqlQuery): string {
  const allowed = new Set(schema.fields.map((field) => field.name));
  const name = (field: string): string => {
    if (!allowed.has(field)) throw unknownName(field);
    return identifier(field);
  };
  const parts = [
    `SELECT ${query.select === 'count' ? 'COUNT()' : query.select.map(name).join(',')}`,
    `FROM ${identifier(schema.object)}`,
  ];
  if (query.where !== undefined && query.where.length > 0) {
    parts.push(`WHERE ${query.where.map((condition) => write(condition, name)).join(' AND ')}`);
  }
  if (query.orderBy !== undefined && query.orderBy.length > 0) {
    const direction = query.descending === true ? ' DESC' : '';
    parts.push(`ORDER BY ${query.orderBy.map((field) => name(field) + direction).join(',')}`);
  }
  if (query.limit !== undefined) parts.push(`LIMIT ${Math.trunc(query.limit)}`);
  return parts.join(' ');
}

/** The range as conditions; an object without a stamp is read whole. */
export function inRange(schema: QueryableSchema, range: RowRange): Condition[] {
  const conditions: Condition[] = [];
  if (schema.stamp !== null) {
    if (range.readFrom !== ORIGIN) {
      conditions.push({ field: schema.stamp, op: '>=', value: { instant: range.readFrom } });
    }
    conditions.push({ field: schema.stamp, op: '<', value: { instant: range.until } });
  }
  if (range.idFrom !== null) conditions.push({ field: schema.key, op: '>=', value: { text: range.idFrom } });
  if (range.idUntil !== null) conditions.push({ field: schema.key, op: '<', value: { text: range.idUntil } });
  return conditions;
}

/** The order of a keyset: equal stamps are told apart by id. */
export function keysetOrder(schema: QueryableSchema): string[] {
  return schema.stamp === null ? [schema.key] : [schema.stamp, schema.key];
}

/** Everything after one record in keyset order. */
export function afterRecord(schema: QueryableSchema, last: { stamp: Instant | null; id: string }): Condition {
  const laterId: Condition = { field: schema.key, op: '>', value: { text: last.id } };
  if (schema.stamp === null || last.stamp === null) return laterId;
  const stamp = { field: schema.stamp, value: { instant: last.stamp } };
  return { any: [{ ...stamp, op: '>' }, { all: [{ ...stamp, op: '=' }, laterId] }] };
}

/** Text in single quotes; the escapes are those of the SOQL reference. */
export function quote(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll("'", String.raw`\'`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('\r', String.raw`\r`)
    .replaceAll('\t', String.raw`\t`)
    .replaceAll('\b', String.raw`\b`)
    .replaceAll('\f', String.raw`\f`);
  return `'${escaped}'`;
}

function write(condition: Condition, name: (field: string) => string): string {
  if ('any' in condition) return `(${condition.any.map((part) => write(part, name)).join(' OR ')})`;
  if ('all' in condition) return `(${condition.all.map((part) => write(part, name)).join(' AND ')})`;
  if ('oneOf' in condition) {
    if (condition.oneOf.length === 0) throw new HeadwaterError('INTERNAL', 'IN needs at least one value');
    return `${name(condition.field)} IN (${condition.oneOf.map(quote).join(',')})`;
  }
  return `${name(condition.field)} ${condition.op} ${literal(condition.value)}`;
}

function literal(value: Literal): string {
  if ('text' in value) return quote(value.text);
  if (!instantSchema.safeParse(value.instant).success)
    throw new HeadwaterError('INPUT_INVALID', 'not a UTC time');
  return value.instant;
}

function identifier(name: string): string {
  if (!/^[A-Za-z]\w{0,79}$/.test(name)) throw unknownName(name);
  return name;
}

function unknownName(name: string): HeadwaterError {
  return new HeadwaterError(
    'INPUT_INVALID',
    `${JSON.stringify(name.slice(0, 80))} is not a name of this object`,
  );
}
