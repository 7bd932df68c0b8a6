import type { Instant } from '../../schemas/instant.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import {
  asideRow,
  asideSql,
  comparedRow,
  heldVersion,
  openQuarantine,
  stateCase,
  textOf,
} from '../audit-rows.ts';
import type { Parameter } from '../pg-session.ts';
import { literal, quote } from '../sql.ts';
import type { ComparedRow, HeldVersion, LoadRequest, OpenQuarantine, WarehouseAudit } from '../warehouse.ts';
import type { Client, Session } from './client.ts';
import { openTable } from './load.ts';
import { keyColumns, ROWS, stagedColumns } from './load-sql.ts';
import { checkNames } from './names.ts';
import { tableColumns } from './schema.ts';
import { stageRows } from './staging.ts';
import { comparable, placeFields } from './types.ts';

const instant = (column: string): string =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
const at = (moment: Instant): string => `timestamptz ${literal(moment)}`;

/** The table and its key column, quoted; undefined while there is no table. */
interface Place {
  table: string;
  key: string;
}

async function placeOf(session: Session, name: string, schema: ObjectSchema): Promise<Place | undefined> {
  checkNames(schema);
  const columns = await tableColumns(session, name, schema.table);
  const key = placeFields(schema.fields, columns).find(({ field }) => field.name === schema.key)?.column;
  return key === undefined ? undefined : { table: session.target(name, schema.table), key: quote(key.name) };
}

type Mending = 'doubt' | 'quarantined' | 'resolve';

/** `ready` makes sure that the system tables are there. */
export function auditMethods(client: Client, ready: () => Promise<void>): WarehouseAudit {
  return { ...comparing(client, ready), ...mending(client, ready) };
}

function comparing(client: Client, ready: () => Promise<void>): Omit<WarehouseAudit, Mending> {
  /** Reads with a table, or gives `none` where there is none yet. */
  const reading = <T>(
    name: string,
    schema: ObjectSchema,
    none: T,
    work: (session: Session, place: Place) => Promise<T>,
  ): Promise<T> =>
    client.read(`auditing ${name}.${schema.table}`, async (session) => {
      const place = await placeOf(session, name, schema);
      return place === undefined ? none : work(session, place);
    });
  return {
    counts: (name, schema, intervals) =>
      reading(
        name,
        schema,
        intervals.map(() => ({ all: 0, alive: 0 })),
        (session, { table }) => countIn(session, table, intervals),
      ),
    versions: (name, schema, interval, rowsMax) =>
      reading<HeldVersion[] | null>(name, schema, [], (session, place) =>
        versionsIn(session, place, interval, rowsMax),
      ),
    held: (name, schema, records) =>
      reading<HeldVersion[]>(name, schema, [], (session, place) =>
        heldRows(session, place, `${place.key}::text = ANY($1)`, [records]),
      ),
    sample: (name, schema, until, rows, seed) =>
      reading<string[]>(name, schema, [], async (session, { table, key }) => {
        const found = await session.rows(
          `SELECT ${key}::text AS record FROM ${table} WHERE _version < ${at(until)} AND NOT coalesce(_deleted, false)
           ORDER BY hashtextextended(${key}::text || $1, 0), 1 LIMIT $2::bigint`,
          [seed, String(rows)],
        );
        return found.map((row) => textOf(row['record']));
      }),
    compare: async (request, except) => {
      await ready();
      return client.scratch(`comparing ${request.schema.table}`, (session) =>
        compareBatch(session, request, except),
      );
    },
  };
}

/** A statement has 1,664 result columns at most, so all intervals are one row each. */
async function countIn(
  session: Session,
  table: string,
  intervals: readonly { from: Instant; until: Instant }[],
): Promise<{ all: number; alive: number }[]> {
  const rows = await session.rows(
    `SELECT i.n, count(t._version) AS all_rows, count(t._version) FILTER (WHERE NOT coalesce(t._deleted, false)) AS alive
     FROM unnest($1::timestamptz[], $2::timestamptz[]) WITH ORDINALITY AS i (low, high, n)
     LEFT JOIN ${table} AS t ON t._version >= i.low AND t._version < i.high GROUP BY i.n ORDER BY i.n`,
    [intervals.map(({ from }) => from), intervals.map(({ until }) => until)],
  );
  return rows.map((row) => ({ all: Number(row['all_rows']), alive: Number(row['alive']) }));
}

function mending(client: Client, ready: () => Promise<void>): Pick<WarehouseAudit, Mending> {
  return {
    doubt: (name, schema, records) =>
      client.write(`preparing a repair of ${name}.${schema.table}`, async (session) => {
        const place = await placeOf(session, name, schema);
        if (place === undefined) return;
        await session.run(`UPDATE ${place.table} SET _hash = NULL WHERE ${place.key}::text = ANY($1)`, [
          records,
        ]);
      }),
    quarantined: async (name, object, recordsMax) => {
      await ready();
      return client.read('reading the quarantine', (session) =>
        readQuarantine(session, name, object, recordsMax),
      );
    },
    resolve: async (name, object, records, moment, except) => {
      await ready();
      return client.write('resolving quarantined records', (session) =>
        session.run(
          `UPDATE _headwater.quarantine SET resolved_at = ${at(moment)} WHERE resolved_at IS NULL AND connection = $1 AND object = $2
           AND record = ANY($3) AND "window" <> $4`,
          [name, object, records, except],
        ),
      );
    },
  };
}

async function heldRows(
  session: Session,
  { table, key }: Place,
  where: string,
  values: readonly Parameter[],
): Promise<HeldVersion[]> {
  const rows = await session.rows(
    `SELECT ${key}::text AS record, ${instant('_version')} AS version, coalesce(_deleted, false) AS deleted ` +
      `FROM ${table} WHERE ${where} ORDER BY _version, 1`,
    values,
  );
  return rows.map(heldVersion);
}

async function versionsIn(
  session: Session,
  place: Place,
  { from, until }: { from: Instant; until: Instant },
  rowsMax: number,
): Promise<HeldVersion[] | null> {
  const inside = `_version >= ${at(from)} AND _version < ${at(until)}`;
  const [last] = await session.rows(
    `SELECT max(_version)::text AS last FROM (SELECT _version FROM ${place.table} WHERE ${inside} ORDER BY _version LIMIT $1::bigint) AS first`,
    [String(rowsMax)],
  );
  if (typeof last?.['last'] !== 'string') return [];
  const bounded = `${inside} AND _version <= timestamptz ${literal(last['last'])}`;
  const [counted] = await session.rows(`SELECT count(*) AS rows FROM ${place.table} WHERE ${bounded}`);
  return Number(counted?.['rows'] ?? 0) > rowsMax * 2 ? null : heldRows(session, place, bounded, []);
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
    const fields = stagedColumns(table).filter(
      ({ field }) => field !== undefined && field !== schema.key && !except.includes(field),
    );
    const staged = [...keyColumns(table, ['_deleted', '_version']), ...fields];
    await stageRows(session, ROWS, staged, files.rows);
    const differing = fields.map(({ name, type, field = '' }) => {
      const [mine, theirs] = [`s.${quote(name)}`, `t.${quote(name)}`].map((value) => comparable(value, type));
      return `CASE WHEN ${mine} IS DISTINCT FROM ${theirs} THEN ${literal(field)} END`;
    });
    const columns = `to_json(array_remove(ARRAY[${[...differing, 'NULL'].join(', ')}]::text[], NULL))::text`;
    const rows = await session.rows(
      `SELECT s.${table.key}::text AS record, ${stateCase(`t.${table.key} IS NULL`)} AS state, ${instant('s._version')} AS version, ` +
        `${columns} AS columns, s._deleted AS gone FROM ${ROWS} AS s LEFT JOIN ${table.target} AS t ON t.${table.key} = s.${table.key}`,
    );
    found.push(...rows.map(comparedRow));
  }
  if (files.quarantine !== null)
    found.push(...(await session.staged.rows(asideSql(files.quarantine))).map(asideRow));
  return found;
}

async function readQuarantine(
  session: Session,
  name: string,
  object: string | null,
  recordsMax: number,
): Promise<OpenQuarantine[]> {
  const rows = await session.rows(
    `SELECT object, record, json_agg(json_build_object('field', field, 'reason', reason))::text AS reasons FROM (
       SELECT DISTINCT object, record, field, reason FROM _headwater.quarantine
       WHERE resolved_at IS NULL AND record IS NOT NULL AND connection = $1 AND ($2::text IS NULL OR object = $2)) AS open
     GROUP BY object, record ORDER BY object, record LIMIT $3::bigint`,
    [name, object, String(recordsMax)],
  );
  return rows.map(openQuarantine);
}
