import { literal, quote } from '../warehouses/sql.ts';
import type { Field, FieldType, ObjectSchema } from '../schemas/object-schema.ts';
import type { Instant } from '../schemas/instant.ts';

/**
 * A row group is held until it is written, per thread: the bytes keep rows of megabytes from filling the memory, and cost no speed.
 */
export const PARQUET = "FORMAT parquet,COMPRESSION snappy,ROW_GROUP_SIZE 61440,ROW_GROUP_SIZE_BYTES '16MB'";

/** Text of a field as it came in; the relation that the shaping query reads has these columns, numbered in schema order. */
const raw = (index: number): string => `r${index}`;
const cast = (index: number): string => `c${index}`;

type PlainKind = Exclude<FieldType['kind'], 'decimal'>;

const PLAIN_TYPES: Record<PlainKind, string> = {
  ...{ string: 'VARCHAR', json: 'VARCHAR', boolean: 'BOOLEAN', integer: 'BIGINT', double: 'DOUBLE' },
  ...{ date: 'DATE', time: 'TIME', timestamp: 'TIMESTAMPTZ' },
};

export function typeSql(type: FieldType): string {
  return type.kind === 'decimal' ? `DECIMAL(${type.precision},${type.scale})` : PLAIN_TYPES[type.kind];
}

const negativeExponent = (text: string): string => `strpos(${text},'-')>1`;

const PLAIN_EXACT: Record<PlainKind, (text: string) => string> = {
  string: () => 'true',
  boolean: () => 'true',
  json: (text) => `json_valid(${text})`,
  integer: (text) =>
    `((strpos(${text},'.')=0 AND NOT ${negativeExponent(text)}) OR regexp_full_match(${text},'[+-]?\\d+\\.0*'))`,
  double: (text) => `(isfinite(TRY_CAST(${text} AS DOUBLE)) OR regexp_full_match(${text},'[+-]?[A-Za-z]+'))`,
  date: (text) =>
    `(strlen(${text})=10 OR regexp_full_match(${text},'\\d{4}-\\d\\d-\\d\\d[T ]00:00(:00(\\.0+)?)?(Z|[+-]00:?00)?'))`,
  time: (text) => `regexp_full_match(${text},'\\d\\d:\\d\\d(:\\d\\d(\\.\\d{1,6}0*)?)?Z?')`,
  timestamp: (text) => `(strlen(${text})<=25 OR NOT regexp_matches(${text},'\\.\\d{6}0*[1-9]'))`,
};

/**
 * True when the text means exactly one value of the type. DuckDB's own casts round ('1.239' to two digits, '1.5' to an integer,
 * nanoseconds, a date with a time of day): such a value is set aside rather than altered. The first operand of each OR is cheap
 * and decides nearly every row.
 */
export function exactSql(type: FieldType, text: string): string {
  if (type.kind !== 'decimal') return PLAIN_EXACT[type.kind](text);
  const point = `strpos(${text},'.')`;
  // A text with an exponent is a printed double: it has at most 17 digits, which a comparison as doubles tells apart.
  return (
    `((NOT ${negativeExponent(text)} AND (${point}=0 OR strlen(${text})-${point}<=${type.scale})) OR ` +
    `CASE WHEN regexp_matches(${text},'[eE]') THEN TRY_CAST(${text} AS DOUBLE)=CAST(TRY_CAST(${text} AS ${typeSql(type)}) AS DOUBLE) ` +
    `ELSE strlen(rtrim(${text},'0'))-${point}<=${type.scale} END)`
  );
}

/** The typed value, NULL where the text is not exactly one. */
export function valueSql(type: FieldType, text: string): string {
  if (type.kind === 'string') return text;
  if (type.kind === 'json') return `CASE WHEN json_valid(${text}) THEN ${text} END`;
  const converted = `TRY_CAST(${text} AS ${typeSql(type)})`;
  return type.kind === 'boolean' ? converted : `CASE WHEN ${exactSql(type, text)} THEN ${converted} END`;
}

/** csv options shared by all reads: RFC 4180, an empty field quoted or not is null, and no other text is. */
const CSV = `auto_detect=false,header=true,delim=',',quote='"',escape='"',nullstr='',strict_mode=true`;

export interface CsvGroup {
  /** Names in the pages' own order; all pages of a group have the same header line. */
  header: string[];
  paths: string[];
}

/** Lines end at 2 MB. Small buffers let both threads work on small pages and save 100 MB; smaller ones are slower. */
const BUFFERS = ',max_line_size=2097152,buffer_size=8388608';

/** Every page as text columns r0…rn. `options` widens buffers or sets broken lines aside. */
export function csvSql(schema: ObjectSchema, groups: CsvGroup[], options = BUFFERS): string {
  const index = new Map(schema.fields.map((field, at) => [field.name, at]));
  return groups
    .map((group) => {
      const columns = group.header.map((name) => `'${raw(index.get(name) ?? -1)}':'VARCHAR'`).join(',');
      const selected = schema.fields.map((_, at) => raw(at)).join(',');
      const paths = group.paths.map(literal).join(',');
      return `SELECT ${selected} FROM read_csv([${paths}],${CSV}${options},columns={${columns}})`;
    })
    .join(' UNION ALL ');
}

interface Shape {
  [name: string]: Shape | string;
}

/**
 * JSON documents as text columns r0…rn, with `absent`: the first described field that a record does not carry at all, and
 * `record`: its text. A dotted name is a path, as in a relationship field; a path ends where its parent is null.
 */
export function jsonSql(schema: ObjectSchema, paths: string[], jsonRecords: string): string {
  const tree: Shape = {};
  for (const field of schema.fields) {
    const parts = field.name.split('.');
    let node = tree;
    for (const part of parts.slice(0, -1)) {
      const next = (node[part] ??= {});
      if (typeof next === 'string') break;
      node = next;
    }
    node[parts.at(-1) ?? ''] ??= field.type.kind === 'json' ? 'JSON' : 'VARCHAR';
  }
  const values = schema.fields.map((field, at) => {
    const path = field.name.split('.').map((part) => `[${literal(part)}]`);
    const value = `s${path.join('')}`;
    return `${field.type.kind === 'json' ? `nullif(CAST(${value} AS VARCHAR),'null')` : value} AS ${raw(at)}`;
  });
  const records = jsonRecords === '' ? '$' : jsonPath(jsonRecords);
  return (
    `SELECT ${values.join(',')},coalesce(${absentSql(schema).join(',')}) AS absent,record FROM (` +
    `SELECT record,json_transform(record,${literal(JSON.stringify(tree))}) AS s FROM (` +
    `SELECT unnest(CAST(json_extract(content,${literal(records)}) AS JSON[])) AS record FROM read_text([${paths.map(literal).join(',')}])))`
  );
}

function absentSql(schema: ObjectSchema): string[] {
  const byParent = Map.groupBy(
    schema.fields.map((field) => field.name),
    (name) => name.slice(0, Math.max(0, name.lastIndexOf('.'))),
  );
  return [...byParent].map(([parent, names]) => {
    const wanted = `[${names.map(literal).join(',')}]`;
    const prefix = parent === '' ? '' : `${parent}.`;
    const keys = parent === '' ? 'json_keys(record)' : `json_keys(record,${literal(jsonPath(parent))})`;
    const absent = `list_filter(${wanted},lambda n: NOT list_contains(k,substr(n,${Array.from(prefix).length + 1})))[1]`;
    const first = absent.replace('list_contains(k,', `list_contains(${keys},`);
    // Where the parent is null or no object, its fields are null; that the parent is there is checked like any field.
    return parent === ''
      ? first
      : `CASE WHEN json_type(record,${literal(jsonPath(parent))})='OBJECT' THEN ${first} WHEN NOT json_exists(record,${literal(jsonPath(parent))}) THEN ${literal(parent)} END`;
  });
}

export function jsonPath(name: string): string {
  const parts = name.split('.').map((part) => `."${part.replaceAll('"', '\\"')}"`);
  return `$${parts.join('')}`;
}

export interface Shaped {
  schema: ObjectSchema;
  window: { id: string; from: Instant; until: Instant };
  confirmedAt: Instant;
}

const position = (schema: ObjectSchema, name: string): number =>
  schema.fields.findIndex((field) => field.name === name);
const timestamp = (instant: Instant): string => `TIMESTAMPTZ ${literal(instant)}`;

/** Typed values beside their texts, with `bad` true for a row that cannot land. */
export function typedSql({ schema }: Shaped, relation: string): string {
  const values = schema.fields.map((field, at) => `${valueSql(field.type, raw(at))} AS ${cast(at)}`);
  return `SELECT *,${values.join(',')} FROM (${relation})`;
}

/** A row is good when nothing was lost in its casts and it has a key and, where the object has one, a stamp. */
export function goodSql({ schema }: Shaped): string {
  const lossless = schema.fields.flatMap((field, at) =>
    field.type.kind === 'string' ? [] : [`(${raw(at)} IS NULL)=(${cast(at)} IS NULL)`],
  );
  const required = requiredFields(schema).map((at) => `${cast(at)} IS NOT NULL`);
  return [...required, ...lossless].join(' AND ');
}

function requiredFields(schema: ObjectSchema): number[] {
  return [...new Set([schema.key, ...(schema.stamp === null ? [] : [schema.stamp])])].map((name) =>
    position(schema, name),
  );
}

const versionSql = ({ schema, confirmedAt }: Shaped): string =>
  schema.stamp === null
    ? timestamp(confirmedAt)
    : `CAST(${cast(position(schema, schema.stamp))} AS TIMESTAMPTZ)`;

/** Rows stamped at or after the window's end belong to the next one. */
export function inWindowSql(shaped: Shaped): string {
  return shaped.schema.stamp === null ? 'true' : `${versionSql(shaped)}<${timestamp(shaped.window.until)}`;
}

/** The message of the statement that met a row which cannot land. */
export const UNFIT_ROW = 'a row is bad or outside the window';

type Doubt = (text: string, value: string) => string | null;

/**
 * For a text that its type's plain cast took: true when it may still not be exactly that value. These are the first operands of
 * the exact tests above, without the rarely needed rest: what they doubt, the exact tests decide.
 */
const PLAIN_DOUBTS: Record<PlainKind, Doubt> = {
  string: () => null,
  boolean: () => null,
  json: (text) => `NOT json_valid(${text})`,
  integer: (text) => `strpos(${text},'.')>0 OR ${negativeExponent(text)}`,
  double: (_, value) => `NOT isfinite(${value})`,
  date: (text) => `strlen(${text})<>10`,
  time: (text) => `NOT ${PLAIN_EXACT.time(text)}`,
  timestamp: (text) => `strlen(${text})>25`,
};

function doubtSql(type: FieldType, text: string, value: string): string | null {
  if (type.kind !== 'decimal') return PLAIN_DOUBTS[type.kind](text, value);
  const digits = (of: string): string => `strlen(${of})-strpos(${text},'.')>${type.scale}`;
  return (
    `${negativeExponent(text)} OR (${digits(text)} AND strpos(${text},'.')>0 AND ` +
    `(strpos(lower(${text}),'e')>0 OR ${digits(`rtrim(${text},'0')`)}))`
  );
}

/** Plain casts end with a conversion error at the first text that they do not take. */
function plainlyTypedSql({ schema }: Shaped, relation: string): string {
  const values = schema.fields.map(({ type }, at) => {
    const text = type.kind === 'string' || type.kind === 'json';
    return `${text ? raw(at) : `CAST(${raw(at)} AS ${typeSql(type)})`} AS ${cast(at)}`;
  });
  return `SELECT *,${values.join(',')} FROM (${relation})`;
}

/** NULL, as every comparison with an empty field is, counts as fit: only what is required has to be there. */
function unfitSql(shaped: Shaped): string {
  const { schema, window } = shaped;
  const absent = requiredFields(schema).map((at) => `${cast(at)} IS NULL`);
  const late = schema.stamp === null ? [] : [`${versionSql(shaped)}>=${timestamp(window.until)}`];
  const doubts = schema.fields.flatMap(({ type }, at) => doubtSql(type, raw(at), cast(at)) ?? []);
  return [...absent, ...late, ...doubts].join(' OR ');
}

/**
 * The staged row: values by column name, then the system columns that are known before the load. `strict` ends with an error at
 * the first row that is bad, outside the window or in doubt: each text is cast once and little else is looked at, and nearly
 * every slice has no such row. Otherwise rows that are bad or outside the window are left out. What both yield is equal.
 */
export function rowsSql(shaped: Shaped, relation: string, strict: boolean): string {
  const { schema } = shaped;
  const values = schema.fields.map((field, at) => `${cast(at)} AS ${quote(field.column)}`);
  const deleted =
    schema.deleted === null ? 'false' : `coalesce(${cast(position(schema, schema.deleted))},false)`;
  // DuckDB's hash is stable within its pinned version; after an upgrade equal rows count as updated once, never wrongly unchanged.
  const hash = `hash(${schema.fields.map((_, at) => cast(at)).join(',')})`;
  const window = literal(shaped.window.id);
  const guarded = `CASE WHEN ${unfitSql(shaped)} THEN error(${literal(UNFIT_ROW)}) ELSE ${window} END`;
  const from = strict
    ? `(${plainlyTypedSql(shaped, relation)})`
    : `(${typedSql(shaped, relation)}) WHERE ${goodSql(shaped)} AND ${inWindowSql(shaped)}`;
  return (
    `SELECT ${values.join(',')},${deleted} AS _deleted,${versionSql(shaped)} AS _version,` +
    `${timestamp(shaped.confirmedAt)} AS _confirmed_at,${hash} AS _hash,${strict ? guarded : window} AS _window FROM ${from}`
  );
}

/** received, bad, filtered of a relation; the good rest is what rowsSql yields. */
export function countSql(shaped: Shaped, relation: string): string {
  const good = goodSql(shaped);
  return (
    `SELECT count(*),count(*) FILTER (NOT coalesce(${good},false)),count(*) FILTER (${good} AND NOT ${inWindowSql(shaped)}) ` +
    `FROM (${typedSql(shaped, relation)})`
  );
}

/** One line per bad record: its first bad field, why, and the whole row as it came. */
export function quarantineSql(shaped: Shaped, relation: string): string {
  const { schema } = shaped;
  const required = new Set(requiredFields(schema));
  const tests = schema.fields.flatMap((field, at) => {
    const lost = field.type.kind === 'string' ? 'false' : `${raw(at)} IS NOT NULL AND ${cast(at)} IS NULL`;
    const found = [{ when: lost, at, reason: reasonSql(field, at) }];
    if (required.has(at)) found.push({ when: `${raw(at)} IS NULL`, at, reason: literal(`no ${field.name}`) });
    return found.filter((test) => test.when !== 'false');
  });
  const pick = (value: (test: (typeof tests)[number]) => string): string =>
    `CASE ${tests.map((test) => `WHEN ${test.when} THEN ${value(test)}`).join(' ')} END`;
  const whole = `CAST(json_object(${schema.fields.map((field, at) => `${literal(field.name)},${raw(at)}`).join(',')}) AS VARCHAR)`;
  return (
    `SELECT ${raw(position(schema, schema.key))} AS record,${pick((test) => literal(fieldName(schema, test.at)))} AS field,` +
    `${pick((test) => raw(test.at))} AS value,${pick((test) => test.reason)} AS reason,${whole} AS raw ` +
    `FROM (${typedSql(shaped, relation)}) WHERE NOT coalesce(${goodSql(shaped)},false)`
  );
}

const fieldName = (schema: ObjectSchema, at: number): string => schema.fields[at]?.name ?? '';

function reasonSql(field: Field, at: number): string {
  const name = typeSql(field.type).toLowerCase();
  if (field.type.kind === 'json') return literal('not valid json');
  return (
    `CASE WHEN TRY_CAST(${raw(at)} AS ${typeSql(field.type)}) IS NULL THEN ${literal(`not a ${name}`)} ` +
    `ELSE ${literal(`would not stay exact as ${name}`)} END`
  );
}

/** Keys, newest deletion each. A tombstone without a time is as new as the read that reported it. */
export function tombstonesSql(shaped: Shaped, paths: string[]): string {
  const key = shaped.schema.fields[position(shaped.schema, shaped.schema.key)];
  const keyValue = key === undefined ? 'id' : valueSql(key.type, 'id');
  const at = valueSql({ kind: 'timestamp' }, '"deletedAt"');
  return (
    `SELECT ${keyValue} AS k,CASE WHEN "deletedAt" IS NULL THEN ${timestamp(shaped.confirmedAt)} ELSE ${at} END AS v ` +
    `FROM read_json([${paths.map(literal).join(',')}],format='newline_delimited',columns={'id':'VARCHAR','deletedAt':'VARCHAR'})`
  );
}

/** The staged tombstones from the relation above. */
export function tombstoneRowsSql(shaped: Shaped, relation: string): string {
  const column = shaped.schema.fields[position(shaped.schema, shaped.schema.key)]?.column ?? '';
  return (
    `SELECT k AS ${quote(column)},true AS _deleted,max(v) AS _version,${timestamp(shaped.confirmedAt)} AS _confirmed_at,` +
    `${literal(shaped.window.id)} AS _window FROM ${relation} GROUP BY k`
  );
}

/** Files of equal columns as one relation with `n`, the position of a row among all of them. */
export function positionedSql(paths: readonly string[]): string {
  const files = `[${paths.map(literal).join(',')}]`;
  return `(SELECT *,file_index*1099511627776+file_row_number AS n FROM read_parquet(${files},file_row_number=true))`;
}

/**
 * Positions of rows that lose against another row of their key. Only repeated keys are sorted, and only by the order tuple:
 * sorting whole rows would not fit in memory.
 */
export function losersSql(keyColumn: string, paths: readonly string[]): string {
  const key = quote(keyColumn);
  const files = `[${paths.map(literal).join(',')}]`;
  return (
    `SELECT n FROM (SELECT n,row_number() OVER (PARTITION BY ${key} ` +
    `ORDER BY _version DESC,_confirmed_at DESC,_deleted DESC,_hash DESC,n) AS place ` +
    `FROM ${positionedSql(paths)} SEMI JOIN ` +
    `(SELECT ${key} FROM read_parquet(${files}) GROUP BY ${key} HAVING count(*)>1) USING (${key})) WHERE place>1`
  );
}
