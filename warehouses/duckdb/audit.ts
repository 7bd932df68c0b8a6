import type { DuckDBConnection } from '@duckdb/node-api';
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
import { keyColumnOf } from '../batch-rules.ts';
import { checkIdentifiers, literal, qualified, quote } from '../sql.ts';
import type { ComparedRow, HeldVersion, LoadRequest, OpenQuarantine, WarehouseAudit } from '../warehouse.ts';
import { rowsOf, type Client } from './client.ts';
import { openTable } from './load.ts';
import { tableColumns } from './schema.ts';
import { tableType } from './types.ts';

const instant = (column: string): string => `strftime(${column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ')`;
const at = (moment: Instant): string => `TIMESTAMPTZ ${literal(moment)}`;

/** The table and its key column, quoted; undefined while there is no table. */
interface Place {
  table: string;
  key: string;
}

async function placeOf(
  connection: DuckDBConnection,
  name: string,
  schema: ObjectSchema,
): Promise<Place | undefined> {
  checkIdentifiers(schema);
  const key = keyColumnOf(schema);
  const columns = await tableColumns(connection, name, schema.table);
  return columns.length === 0 ? undefined : { table: qualified(name, schema.table), key: quote(key) };
}

export function auditMethods(client: Client): WarehouseAudit {
  return { ...comparing(client), ...mending(client) };
}

type Mending = 'doubt' | 'quarantined' | 'resolve';

function comparing(client: Client): Omit<WarehouseAudit, Mending> {
  /** Reads with a table, or gives `none` where there is none yet. */
  const reading = <T>(
    name: string,
    schema: ObjectSchema,
    none: T,
    work: (connection: DuckDBConnection, place: Place) => Promise<T>,
  ): Promise<T> =>
    client.read(`auditing ${name}.${schema.table}`, async (connection) => {
      const place = await placeOf(connection, name, schema);
      return place === undefined ? none : work(connection, place);
    });
  return {
    counts: (name, schema, intervals) =>
      reading(
        name,
        schema,
        intervals.map(() => ({ all: 0, alive: 0 })),
        async (connection, { table }) => {
          const columns = intervals.flatMap(({ from, until }, index) => {
            const inside = `_version >= ${at(from)} AND _version < ${at(until)}`;
            const living = `${inside} AND NOT coalesce(_deleted, false)`;
            return [
              `count(*) FILTER (${inside}) AS all${index}`,
              `count(*) FILTER (${living}) AS alive${index}`,
            ];
          });
          const [row] = await rowsOf(connection, `SELECT ${columns.join(', ')} FROM ${table}`);
          return intervals.map((_, index) => ({
            all: Number(row?.[`all${index}`] ?? 0),
            alive: Number(row?.[`alive${index}`] ?? 0),
          }));
        },
      ),
    versions: (name, schema, interval, rowsMax) =>
      reading<HeldVersion[] | null>(name, schema, [], (connection, place) =>
        versionsIn(connection, place, interval, rowsMax),
      ),
    held: (name, schema, records) =>
      reading<HeldVersion[]>(name, schema, [], async (connection, { table, key }) => {
        const wanted = `CAST(${key} AS VARCHAR) IN (SELECT unnest($1::JSON::VARCHAR[]))`;
        return heldRows(connection, { table, key }, wanted, [JSON.stringify(records)]);
      }),
    sample: (name, schema, until, rows, seed) =>
      reading<string[]>(name, schema, [], async (connection, { table, key }) => {
        const found = await rowsOf(
          connection,
          `SELECT CAST(${key} AS VARCHAR) AS record FROM ${table} WHERE _version < ${at(until)} AND NOT coalesce(_deleted, false) ` +
            `ORDER BY hash(CAST(${key} AS VARCHAR) || $1), 1 LIMIT $2::BIGINT`,
          [seed, BigInt(rows)],
        );
        return found.map((row) => textOf(row['record']));
      }),
    compare: (request, except) =>
      client.read(`comparing ${request.schema.table}`, (connection) =>
        compareBatch(connection, request, except),
      ),
  };
}

function mending(client: Client): Pick<WarehouseAudit, Mending> {
  return {
    doubt: (name, schema, records) =>
      client.write(`preparing a repair of ${name}.${schema.table}`, async (connection) => {
        const place = await placeOf(connection, name, schema);
        if (place === undefined) return;
        await connection.run(
          `UPDATE ${place.table} SET _hash = NULL WHERE CAST(${place.key} AS VARCHAR) IN (SELECT unnest($1::JSON::VARCHAR[]))`,
          [JSON.stringify(records)],
        );
      }),
    quarantined: (name, object, recordsMax) =>
      client.read('reading the quarantine', (connection) =>
        readQuarantine(connection, name, object, recordsMax),
      ),
    resolve: (name, object, records, moment, except) =>
      client.write('resolving quarantined records', async (connection) => {
        const done = await rowsOf(
          connection,
          `UPDATE _headwater.quarantine SET resolved_at = ${at(moment)} WHERE resolved_at IS NULL AND connection = $1 AND object = $2 ` +
            'AND record IN (SELECT unnest($3::JSON::VARCHAR[])) AND "window" <> $4 RETURNING 1',
          [name, object, JSON.stringify(records), except],
        );
        return done.length;
      }),
  };
}

async function heldRows(
  connection: DuckDBConnection,
  { table, key }: Place,
  where: string,
  values: (string | bigint)[],
): Promise<HeldVersion[]> {
  const rows = await rowsOf(
    connection,
    `SELECT CAST(${key} AS VARCHAR) AS record, ${instant('_version')} AS version, coalesce(_deleted, false) AS deleted ` +
      `FROM ${table} WHERE ${where} ORDER BY _version, 1`,
    values,
  );
  return rows.map(heldVersion);
}

async function versionsIn(
  connection: DuckDBConnection,
  place: Place,
  { from, until }: { from: Instant; until: Instant },
  rowsMax: number,
): Promise<HeldVersion[] | null> {
  const inside = `_version >= ${at(from)} AND _version < ${at(until)}`;
  const [last] = await rowsOf(
    connection,
    `SELECT max(_version)::VARCHAR AS last FROM (SELECT _version FROM ${place.table} WHERE ${inside} ORDER BY _version LIMIT $1::BIGINT)`,
    [BigInt(rowsMax)],
  );
  if (typeof last?.['last'] !== 'string') return [];
  const bounded = `${inside} AND _version <= CAST(${literal(last['last'])} AS TIMESTAMPTZ)`;
  const [counted] = await rowsOf(
    connection,
    `SELECT count(*)::INTEGER AS rows FROM ${place.table} WHERE ${bounded}`,
  );
  return Number(counted?.['rows'] ?? 0) > rowsMax * 2 ? null : heldRows(connection, place, bounded, []);
}

/** Columns are compared as the table's types, as a load would write them. */
async function compareBatch(
  connection: DuckDBConnection,
  request: LoadRequest,
  except: readonly string[],
): Promise<ComparedRow[]> {
  const { schema, files } = request;
  const found: ComparedRow[] = [];
  if (files.rows.length > 0) {
    const { target, places, key, keyType, stagedKey } = await openTable(connection, request);
    const differing = places.flatMap(({ field, column, fits }) => {
      if (field.name === schema.key || column === undefined || !fits || except.includes(field.name))
        return [];
      const staged = `s.${quote(field.column)}`;
      const value = tableType(field.type) === column.type ? staged : `CAST(${staged} AS ${column.type})`;
      return [`CASE WHEN ${value} IS DISTINCT FROM t.${quote(column.name)} THEN ${literal(field.name)} END`];
    });
    const columns = `list_filter([${[...differing, 'NULL'].join(', ')}], lambda c: c IS NOT NULL)`;
    const paths = files.rows.map(literal).join(', ');
    const rows = await rowsOf(
      connection,
      `SELECT CAST(s.${stagedKey} AS VARCHAR) AS record, ${stateCase('t.rowid IS NULL')} AS state, ${instant('s._version')} AS version, ` +
        `to_json(${columns})::VARCHAR AS columns, s._deleted AS gone FROM read_parquet([${paths}]) AS s LEFT JOIN ${target} AS t ON CAST(s.${stagedKey} AS ${keyType}) = t.${key}`,
    );
    found.push(...rows.map(comparedRow));
  }
  if (files.quarantine !== null)
    found.push(...(await rowsOf(connection, asideSql(files.quarantine))).map(asideRow));
  return found;
}

async function readQuarantine(
  connection: DuckDBConnection,
  name: string,
  object: string | null,
  recordsMax: number,
): Promise<OpenQuarantine[]> {
  const rows = await rowsOf(
    connection,
    `SELECT object, record, to_json(list(DISTINCT {field: field, reason: reason}))::VARCHAR AS reasons FROM _headwater.quarantine
     WHERE resolved_at IS NULL AND record IS NOT NULL AND connection = $1 AND ($2 = '' OR object = $2)
     GROUP BY object, record ORDER BY object, record LIMIT $3::BIGINT`,
    [name, object ?? '', BigInt(recordsMax)],
  );
  return rows.map(openQuarantine);
}
