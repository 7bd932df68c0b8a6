import type { Instant } from '../../schemas/instant.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { asideRow, asideSql, comparedRow, heldVersion, openQuarantine, stateCase } from '../audit-rows.ts';
import type { ComparedRow, HeldVersion, LoadRequest, WarehouseAudit } from '../warehouse.ts';
import type { Client } from './client.ts';
import { told } from './client.ts';
import { openTable, stageRows } from './load.ts';
import { keyColumn, stagedColumns, stagedKeyOf, systemColumns } from './load-sql.ts';
import { checkNames, moment, quoted, text } from './names.ts';
import { dropStaged } from './staging.ts';
import { ownTable } from './system-tables.ts';
import { comparable, placeFields } from './types.ts';
import type { Parameters } from './values.ts';
import { instantOf } from './values.ts';

/** The table and its key column, quoted; undefined while there is no table. */
interface Place {
  table: string;
  key: string;
}

async function placeOf(client: Client, name: string, schema: ObjectSchema): Promise<Place | undefined> {
  checkNames(schema);
  const columns = await client.columns(name, schema.table);
  const key = placeFields(schema.fields, columns).find(({ field }) => field.name === schema.key)?.column;
  return key === undefined ? undefined : { table: client.target(name, schema.table), key: quoted(key.name) };
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
    work: (place: Place) => Promise<T>,
  ): Promise<T> =>
    told(`auditing ${name}.${schema.table}`, async () => {
      const place = await placeOf(client, name, schema);
      return place === undefined ? none : work(place);
    });
  return {
    counts: (name, schema, intervals) =>
      reading(
        name,
        schema,
        intervals.map(() => ({ all: 0, alive: 0 })),
        ({ table }) => countIn(client, table, intervals),
      ),
    versions: (name, schema, interval, rowsMax) =>
      reading<HeldVersion[] | null>(name, schema, [], (place) =>
        versionsIn(client, place, interval, rowsMax),
      ),
    held: (name, schema, records) =>
      reading<HeldVersion[]>(name, schema, [], (place) =>
        heldRows(client, place, `CAST(${place.key} AS STRING) IN UNNEST(@records)`, { records }),
      ),
    sample: (name, schema, until, rows, seed) =>
      reading<string[]>(name, schema, [], async ({ table, key }) => {
        const found = await client.rows(
          `SELECT CAST(${key} AS STRING) AS record FROM ${table} WHERE _version < ${moment(until)} AND NOT COALESCE(_deleted, FALSE)
ORDER BY FARM_FINGERPRINT(CONCAT(CAST(${key} AS STRING), '/', @seed)), 1 LIMIT ${Math.trunc(rows)}`,
          { seed },
        );
        return found.map((row) => String(row['record']));
      }),
    compare: (request, except) =>
      told(`comparing ${request.schema.table}`, async () => {
        await ready();
        return compareBatch(client, request, except);
      }),
  };
}

/** An inner join: BigQuery has no outer one without an equality. */
async function countIn(
  client: Client,
  table: string,
  intervals: readonly { from: Instant; until: Instant }[],
): Promise<{ all: number; alive: number }[]> {
  if (intervals.length === 0) return [];
  const asked = intervals.map(
    ({ from, until }, at) => `SELECT ${at} AS n, ${moment(from)} AS low, ${moment(until)} AS high`,
  );
  const rows = await client.rows(
    `SELECT i.n, COUNT(*) AS all_rows, COUNTIF(NOT COALESCE(t._deleted, FALSE)) AS alive
FROM (${asked.join(' UNION ALL ')}) AS i JOIN ${table} AS t ON t._version >= i.low AND t._version < i.high GROUP BY i.n`,
  );
  const found = new Map(rows.map((row) => [Number(row['n']), row]));
  return intervals.map((_, at) => ({
    all: Number(found.get(at)?.['all_rows'] ?? 0),
    alive: Number(found.get(at)?.['alive'] ?? 0),
  }));
}

function mending(client: Client, ready: () => Promise<void>): Pick<WarehouseAudit, Mending> {
  return {
    doubt: (name, schema, records) =>
      told(`preparing a repair of ${name}.${schema.table}`, async () => {
        const place = await placeOf(client, name, schema);
        if (place === undefined) return;
        await client.run(
          `UPDATE ${place.table} SET _hash = NULL WHERE CAST(${place.key} AS STRING) IN UNNEST(@records)`,
          { records },
        );
      }),
    quarantined: (name, object, recordsMax) =>
      told('reading the quarantine', async () => {
        await ready();
        const rows = await client.rows(
          `SELECT \`object\`, record, TO_JSON_STRING(ARRAY_AGG(STRUCT(field AS field, reason AS reason) ORDER BY field, reason)) AS reasons FROM (
  SELECT DISTINCT \`object\`, record, field, reason FROM ${ownTable(client, 'quarantine')}
  WHERE resolved_at IS NULL AND record IS NOT NULL AND \`connection\` = @name AND (@object = '' OR \`object\` = @object)) AS open_lines
GROUP BY \`object\`, record ORDER BY \`object\`, record LIMIT ${Math.trunc(recordsMax)}`,
          { name, object: object ?? '' },
        );
        return rows.map(openQuarantine);
      }),
    resolve: (name, object, records, at, except) =>
      told('resolving quarantined records', async () => {
        await ready();
        return client.run(
          `UPDATE ${ownTable(client, 'quarantine')} SET resolved_at = ${moment(at)} WHERE resolved_at IS NULL AND \`connection\` = @name AND \`object\` = @object AND record IN UNNEST(@records) AND \`window\` <> @except`,
          { name, object, records, except },
        );
      }),
  };
}

async function heldRows(
  client: Client,
  { table, key }: Place,
  where: string,
  parameters: Parameters,
): Promise<HeldVersion[]> {
  const rows = await client.rows(
    `SELECT CAST(${key} AS STRING) AS record, _version AS version, COALESCE(_deleted, FALSE) AS deleted FROM ${table} WHERE ${where} ORDER BY _version, 1`,
    parameters,
  );
  return rows.map((row) => heldVersion({ ...row, version: instantOf(row['version']) }));
}

async function versionsIn(
  client: Client,
  place: Place,
  { from, until }: { from: Instant; until: Instant },
  rowsMax: number,
): Promise<HeldVersion[] | null> {
  const inside = `_version >= ${moment(from)} AND _version < ${moment(until)}`;
  const [last] = await client.rows(
    `SELECT MAX(v) AS last_version FROM (SELECT _version AS v FROM ${place.table} WHERE ${inside} ORDER BY v LIMIT ${Math.trunc(rowsMax)}) AS first_rows`,
  );
  if (typeof last?.['last_version'] !== 'string') return [];
  const bounded = `${inside} AND _version <= TIMESTAMP ${text(last['last_version'])}`;
  const [counted] = await client.rows(`SELECT COUNT(*) AS n FROM ${place.table} WHERE ${bounded}`);
  return Number(counted?.['n'] ?? 0) > rowsMax * 2 ? null : heldRows(client, place, bounded, {});
}

/** Columns are compared as the table's types, as a load would write them. */
async function compareBatch(
  client: Client,
  request: LoadRequest,
  except: readonly string[],
): Promise<ComparedRow[]> {
  const { schema, files } = request;
  const found: ComparedRow[] = [];
  if (files.rows.length > 0) {
    const table = await openTable(client, request);
    const fields = stagedColumns(table).filter(
      ({ field }) => field !== undefined && field !== schema.key && !except.includes(field),
    );
    const columns = [keyColumn(table), ...systemColumns(['_deleted', '_version']), ...fields];
    const staged = await stageRows({ client, request }, files.rows, columns);
    const key = stagedKeyOf(table, columns);
    // Names come back as their numbers: each text stays short, and none needs to be quoted.
    const flags = fields.map(({ cast, type, target }, at) => {
      const [mine, theirs] = [cast, `t.${quoted(target)}`].map((value) => comparable(value, type));
      return `IF(${mine} IS DISTINCT FROM ${theirs}, '${at},', '')`;
    });
    const rows = await client.rows(
      `SELECT CAST(${key} AS STRING) AS record, ${stateCase(`t.${table.key} IS NULL`)} AS state, s._version AS version, ` +
        `${flags.length === 0 ? "''" : `CONCAT(${flags.join(', ')})`} AS differ, s._deleted AS gone ` +
        `FROM ${staged.table} AS s LEFT JOIN ${table.target} AS t ON t.${table.key} = ${key}`,
    );
    await dropStaged(client, [staged]);
    const named = (numbers: unknown): string[] =>
      String(numbers)
        .split(',')
        .filter((number) => number !== '')
        .map((number) => fields[Number(number)]?.field ?? '');
    found.push(
      ...rows.map((row) =>
        comparedRow({
          ...row,
          version: instantOf(row['version']),
          columns: JSON.stringify(named(row['differ'])),
        }),
      ),
    );
  }
  if (files.quarantine !== null)
    found.push(...(await client.staged.rows(asideSql(files.quarantine))).map(asideRow));
  return found;
}
