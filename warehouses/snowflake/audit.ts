import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { asideRow, asideSql, comparedRow, heldVersion, stateCase, textOf } from '../audit-rows.ts';
import { quote } from '../sql.ts';
import type { ComparedRow, HeldVersion, LoadRequest, OpenQuarantine, WarehouseAudit } from '../warehouse.ts';
import type { Parameter, Session } from './client.ts';
import { openTable } from './load.ts';
import { checkNames, moment, SYSTEM } from './names.ts';
import { tableColumns } from './schema.ts';
import { keyColumns, rowColumns, stagedSql, valueOf, withStaging } from './staging.ts';
import { LISTED } from './system-tables.ts';
import { comparable, placeFields } from './types.ts';

/** Intervals of one statement; each is two result columns. */
const INTERVALS_AT_ONCE = 100;
/** Lines of the quarantine of one record that are told at most. */
const REASONS_MAX = 100;
const EPOCH = moment('1970-01-01T00:00:00.000Z');

/** Milliseconds since 1970, which every way of writing a moment agrees on. */
const millis = (column: string): string => `DATEDIFF(millisecond, ${EPOCH}, ${column})`;
const instantOf = (value: unknown): string | null =>
  value === null || value === undefined ? null : new Date(Number(value)).toISOString();

/** The table and its key column, quoted; undefined while there is no table. */
interface Place {
  table: string;
  key: string;
}

/** How the methods reach a session with the system tables in place. */
export type Use = <T>(what: string, work: (session: Session) => Promise<T>) => Promise<T>;

async function placeOf(session: Session, name: string, schema: ObjectSchema): Promise<Place | undefined> {
  checkNames(schema);
  const columns = await tableColumns(session, name, schema.table);
  const key = placeFields(schema.fields, columns).find(({ field }) => field.name === schema.key)?.column;
  return key === undefined ? undefined : { table: session.target(name, schema.table), key: quote(key.name) };
}

type Mending = 'doubt' | 'quarantined' | 'resolve';

export function auditMethods(use: Use): WarehouseAudit {
  return { ...comparing(use), ...mending(use) };
}

function comparing(use: Use): Omit<WarehouseAudit, Mending> {
  /** Reads with a table, or gives `none` where there is none yet. */
  const reading = <T>(
    name: string,
    schema: ObjectSchema,
    none: T,
    work: (session: Session, place: Place) => Promise<T>,
  ): Promise<T> =>
    use(`auditing ${name}.${schema.table}`, async (session) => {
      const place = await placeOf(session, name, schema);
      return place === undefined ? none : work(session, place);
    });
  return {
    counts: (name, schema, intervals) =>
      reading(
        name,
        schema,
        intervals.map(() => ({ all: 0, alive: 0 })),
        async (session, { table }) => {
          const found: { all: number; alive: number }[] = [];
          for (let at = 0; at < intervals.length; at += INTERVALS_AT_ONCE)
            found.push(...(await countIn(session, table, intervals.slice(at, at + INTERVALS_AT_ONCE))));
          return found;
        },
      ),
    versions: (name, schema, { from, until }, rowsMax) =>
      reading<HeldVersion[] | null>(name, schema, [], async (session, place) => {
        const inside = `"_VERSION" >= ${moment(from)} AND "_VERSION" < ${moment(until)}`;
        // The rank of rows that share a version is that of the first of them.
        const first = `QUALIFY RANK() OVER (ORDER BY "_VERSION") <= ${Math.trunc(rowsMax)}`;
        const rows = await heldRows(session, place, `${inside} ${first}`, [], rowsMax * 2 + 1);
        return rows.length > rowsMax * 2 ? null : rows;
      }),
    held: (name, schema, records) =>
      reading<HeldVersion[]>(name, schema, [], (session, place) =>
        heldRows(session, place, `TO_VARCHAR(${place.key}) IN ${LISTED}`, [JSON.stringify(records)]),
      ),
    sample: (name, schema, until, rows, seed) =>
      reading<string[]>(name, schema, [], async (session, { table, key }) => {
        const found = await session.rows(
          `SELECT TO_VARCHAR(${key}) AS "RECORD" FROM ${table} WHERE "_VERSION" < ${moment(until)} AND NOT COALESCE("_DELETED", FALSE)
           ORDER BY MD5(CONCAT(TO_VARCHAR(${key}), ?)), 1 LIMIT ${Math.trunc(rows)}`,
          [seed],
        );
        return found.map((row) => textOf(row['record']));
      }),
    compare: (request, except) =>
      use(`comparing ${request.schema.table}`, (session) => compareBatch(session, request, except)),
  };
}

async function countIn(
  session: Session,
  table: string,
  intervals: readonly { from: string; until: string }[],
): Promise<{ all: number; alive: number }[]> {
  const columns = intervals.flatMap(({ from, until }, at) => {
    const inside = `"_VERSION" >= ${moment(from)} AND "_VERSION" < ${moment(until)}`;
    return [
      `COUNT_IF(${inside}) AS "ALL${at}"`,
      `COUNT_IF(${inside} AND NOT COALESCE("_DELETED", FALSE)) AS "ALIVE${at}"`,
    ];
  });
  const [row] = await session.rows(`SELECT ${columns.join(', ')} FROM ${table}`);
  return intervals.map((_, at) => ({
    all: Number(row?.[`all${at}`] ?? 0),
    alive: Number(row?.[`alive${at}`] ?? 0),
  }));
}

async function heldRows(
  session: Session,
  { table, key }: Place,
  where: string,
  values: readonly Parameter[],
  rowsMax?: number,
): Promise<HeldVersion[]> {
  const rows = await session.rows(
    `SELECT TO_VARCHAR(${key}) AS "RECORD", ${millis('"_VERSION"')} AS "MS", COALESCE("_DELETED", FALSE) AS "DELETED"
     FROM ${table} WHERE ${where} ORDER BY "_VERSION", 1${rowsMax === undefined ? '' : ` LIMIT ${rowsMax}`}`,
    values,
  );
  return rows.map((row) => heldVersion({ ...row, version: instantOf(row['ms']) }));
}

/** Columns are compared as the table's types, as a load would write them. */
async function compareBatch(
  session: Session,
  request: LoadRequest,
  except: readonly string[],
): Promise<ComparedRow[]> {
  const { schema, files } = request;
  const found: ComparedRow[] = [];
  if (files.rows.length > 0) {
    const table = await openTable(session, request);
    const fields = rowColumns(table).filter(
      ({ field }) => field !== undefined && field !== schema.key && !except.includes(field),
    );
    const columns = [...keyColumns(table, ['_DELETED', '_VERSION']), ...fields];
    // The place of each column that differs, with a comma behind it.
    const differing = fields.map((column, at) => {
      const mine = comparable(valueOf(column, 's'), column.columnType);
      const theirs = comparable(`t.${quote(column.column)}`, column.columnType);
      return `CASE WHEN ${mine} IS DISTINCT FROM ${theirs} THEN '${at},' ELSE '' END`;
    });
    const rows = await withStaging(session, async (staging) => {
      const { table: staged } = await staging.fill(columns, stagedSql(columns, files.rows));
      return session.rows(
        `SELECT TO_VARCHAR(s."K") AS "RECORD", ${stateCase(`t.${table.key} IS NULL`)} AS "STATE", ${millis('s."_VERSION"')} AS "MS",
         ${["''", ...differing].join(' || ')} AS "DIFFERING", s."_DELETED" AS "GONE"
         FROM ${staged} AS s LEFT JOIN ${table.target} AS t ON t.${table.key} = s."K"`,
      );
    });
    const names = (differ: unknown): (string | undefined)[] =>
      textOf(differ)
        .split(',')
        .filter((at) => at !== '')
        .map((at) => fields[Number(at)]?.field);
    for (const row of rows) {
      const told = { version: instantOf(row['ms']), columns: JSON.stringify(names(row['differing'])) };
      found.push(comparedRow({ ...row, ...told }));
    }
  }
  if (files.quarantine !== null)
    found.push(...(await session.staged.rows(asideSql(files.quarantine))).map(asideRow));
  return found;
}

function mending(use: Use): Pick<WarehouseAudit, Mending> {
  return {
    doubt: (name, schema, records) =>
      use(`preparing a repair of ${name}.${schema.table}`, async (session) => {
        const place = await placeOf(session, name, schema);
        if (place === undefined) return;
        await session.run(
          `UPDATE ${place.table} SET "_HASH" = NULL WHERE TO_VARCHAR(${place.key}) IN ${LISTED}`,
          [JSON.stringify(records)],
        );
      }),
    quarantined: (name, object, recordsMax) =>
      use('reading the quarantine', (session) => readQuarantine(session, name, object, recordsMax)),
    resolve: (name, object, records, at, except) =>
      use('resolving quarantined records', (session) =>
        session.run(
          `UPDATE ${SYSTEM}."QUARANTINE" SET "RESOLVED_AT" = ${moment(at)} WHERE "RESOLVED_AT" IS NULL AND "CONNECTION" = ? AND "OBJECT" = ?
           AND "RECORD" IN ${LISTED} AND "WINDOW" <> ?`,
          [name, object, JSON.stringify(records), except],
        ),
      ),
  };
}

async function readQuarantine(
  session: Session,
  name: string,
  object: string | null,
  recordsMax: number,
): Promise<OpenQuarantine[]> {
  const open = `"RESOLVED_AT" IS NULL AND "RECORD" IS NOT NULL AND "CONNECTION" = ?${object === null ? '' : ' AND "OBJECT" = ?'}`;
  const rows = await session.rows(
    `SELECT DISTINCT "OBJECT", "RECORD", "FIELD", "REASON" FROM ${SYSTEM}."QUARANTINE" WHERE ${open}
     QUALIFY DENSE_RANK() OVER (ORDER BY "OBJECT", "RECORD") <= ${Math.trunc(recordsMax)}
     ORDER BY "OBJECT", "RECORD", "FIELD", "REASON" LIMIT ${Math.trunc(recordsMax) * REASONS_MAX}`,
    object === null ? [name] : [name, object],
  );
  const found = new Map<string, OpenQuarantine>();
  for (const row of rows) {
    const entry = { object: textOf(row['object']), record: textOf(row['record']) };
    const id = JSON.stringify(entry);
    const known = found.get(id) ?? { ...entry, reasons: [] };
    known.reasons.push({
      field: typeof row['field'] === 'string' ? row['field'] : null,
      reason: textOf(row['reason']),
    });
    found.set(id, known);
  }
  return [...found.values()];
}
