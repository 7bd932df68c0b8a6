import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { asideRow, asideSql, comparedRow, heldVersion, stateCase, textOf } from '../audit-rows.ts';
import { quote } from '../sql.ts';
import type { ComparedRow, HeldVersion, LoadRequest, OpenQuarantine, WarehouseAudit } from '../warehouse.ts';
import type { Parameter, Row } from '../pg-session.ts';
import type { Client, Session } from './client.ts';
import { inChunks, listed, sumInChunks } from './lists.ts';
import { openTable, refuseMoved } from './load.ts';
import { ROWS } from './load-sql.ts';
import type { Target } from './load-sql.ts';
import { checkNames, moment, text } from './names.ts';
import { distributedBy, tableColumns } from './schema.ts';
import { fill, keyColumns, rowColumns, stagedSql, valueOf, withUploads } from './staging.ts';
import type { StagedColumn } from './staging.ts';
import { comparable, differs, placeFields } from './types.ts';

/** Intervals of one statement; each is two result columns. */
const INTERVALS_AT_ONCE = 100;
/** Lines of the quarantine of one record that are told at most. */
const REASONS_MAX = 100;

const asText = (column: string): string => `CAST(${column} AS varchar(65535))`;

/** The server writes moments as text in UTC, as the session asks it to: each way to it has another form of its own for them. */
const instantOf = (value: unknown): string | null =>
  typeof value === 'string'
    ? new Date(`${value.replace(' ', 'T').replace(/\+00$/, '')}Z`).toISOString()
    : null;

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

/** `client` makes sure that the system tables are there. */
export function auditMethods(client: Client): WarehouseAudit {
  return { ...comparing(client), ...mending(client) };
}

function comparing(client: Client): Omit<WarehouseAudit, Mending> {
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
        inChunks(records, (part) =>
          heldRows(session, place, `${asText(place.key)} IN ${listed(part)}`, part),
        ),
      ),
    sample: (name, schema, until, rows, seed) =>
      reading<string[]>(name, schema, [], async (session, { table, key }) => {
        const found = await session.rows(
          `SELECT ${asText(key)} AS record FROM ${table} WHERE _version < ${moment(until)} AND NOT COALESCE(_deleted, false)
           ORDER BY MD5(${asText(key)} || ${text(seed)}), 1 LIMIT ${Math.trunc(rows)}`,
        );
        return found.map((row) => textOf(row['record']));
      }),
    compare: (request, except) => compareBatch(client, request, except),
  };
}

async function countIn(
  session: Session,
  table: string,
  intervals: readonly { from: string; until: string }[],
): Promise<{ all: number; alive: number }[]> {
  const counts: { all: number; alive: number }[] = [];
  for (let at = 0; at < intervals.length; at += INTERVALS_AT_ONCE) {
    const part = intervals.slice(at, at + INTERVALS_AT_ONCE);
    const sums = part.flatMap(({ from, until }, n) => {
      const inside = `_version >= ${moment(from)} AND _version < ${moment(until)}`;
      return [
        `SUM(CASE WHEN ${inside} THEN 1 ELSE 0 END) AS a${n}`,
        `SUM(CASE WHEN ${inside} AND NOT COALESCE(_deleted, false) THEN 1 ELSE 0 END) AS l${n}`,
      ];
    });
    const [row = {}] = await session.rows(`SELECT ${sums.join(', ')} FROM ${table}`);
    counts.push(
      ...part.map((_, n) => ({ all: Number(row[`a${n}`] ?? 0), alive: Number(row[`l${n}`] ?? 0) })),
    );
  }
  return counts;
}

async function heldRows(
  session: Session,
  { table, key }: Place,
  where: string,
  values: readonly Parameter[],
): Promise<HeldVersion[]> {
  const rows = await session.rows(
    `SELECT ${asText(key)} AS record, ${asText('_version')} AS version, COALESCE(_deleted, false) AS deleted FROM ${table} WHERE ${where} ORDER BY _version, 1`,
    values,
  );
  return rows.map((row) => heldVersion({ ...row, version: instantOf(row['version']) }));
}

async function versionsIn(
  session: Session,
  place: Place,
  { from, until }: { from: string; until: string },
  rowsMax: number,
): Promise<HeldVersion[] | null> {
  const inside = `_version >= ${moment(from)} AND _version < ${moment(until)}`;
  const [last] = await session.rows(
    `SELECT ${asText('max(_version)')} AS last FROM (SELECT _version FROM ${place.table} WHERE ${inside} ORDER BY _version LIMIT ${Math.trunc(rowsMax)}) AS first`,
  );
  if (typeof last?.['last'] !== 'string') return [];
  const bounded = `${inside} AND _version <= CAST('${last['last']}' AS timestamptz)`;
  const [counted] = await session.rows(`SELECT count(*) AS rows FROM ${place.table} WHERE ${bounded}`);
  return Number(counted?.['rows'] ?? 0) > rowsMax * 2 ? null : heldRows(session, place, bounded, []);
}

/** Columns are compared as the table's types, as a load would write them. */
async function compareBatch(
  client: Client,
  request: LoadRequest,
  except: readonly string[],
): Promise<ComparedRow[]> {
  const { schema, files } = request;
  const what = `comparing ${schema.table}`;
  const found: ComparedRow[] = [];
  if (files.rows.length > 0) {
    const before = await client.read(what, (session) => openTable(session, request));
    const fields = rowColumns(before).filter(({ field }) => field !== undefined && !except.includes(field));
    const columns = [...keyColumns(before, ['_deleted', '_version']), ...fields];
    const rows = await withUploads(client, async (put) => {
      const sent = await put(stagedSql(columns, files.rows));
      return client.scratch(what, async (session) => {
        const table = await openTable(session, request);
        refuseMoved(before, table);
        await fill(session, ROWS, columns, sent, distributedBy(table.key));
        return session.rows(compareSql(table, fields));
      });
    });
    found.push(...rows.map((row) => comparedOf(row, fields)));
  }
  if (files.quarantine !== null)
    found.push(...(await client.staged.rows(asideSql(files.quarantine))).map(asideRow));
  return found;
}

/** `differing`: the numbers of the fields that differ, each with a comma before it. */
export function compareSql({ target, key }: Target, fields: readonly StagedColumn[]): string {
  const differing = fields.map((column, at) => {
    const mine = comparable(valueOf(column, 's'), column.type);
    const theirs = comparable(`t.${quote(column.name)}`, column.type);
    return `CASE WHEN ${differs(mine, theirs)} THEN ',${at}' ELSE '' END`;
  });
  return [
    `SELECT ${asText(`s.${key}`)} AS record, ${stateCase(`t.${key} IS NULL`)} AS state, ${asText('s._version')} AS version, s._deleted AS gone,`,
    `  ${["''", ...differing].join('\n  || ')} AS differing`,
    `FROM ${ROWS} AS s LEFT JOIN ${target} AS t ON t.${key} = s.${key}`,
  ].join('\n');
}

function comparedOf(row: Row, fields: readonly StagedColumn[]): ComparedRow {
  const numbers = textOf(row['differing'])
    .split(',')
    .filter((part) => part !== '');
  const names = numbers.map((at) => fields[Number(at)]?.field ?? '');
  return comparedRow({ ...row, version: instantOf(row['version']), columns: JSON.stringify(names) });
}

function mending(client: Client): Pick<WarehouseAudit, Mending> {
  return {
    doubt: (name, schema, records) =>
      client.write(`preparing a repair of ${name}.${schema.table}`, async (session) => {
        const place = await placeOf(session, name, schema);
        if (place === undefined) return;
        await sumInChunks(records, (part) =>
          session.run(
            `UPDATE ${place.table} SET _hash = NULL WHERE ${asText(place.key)} IN ${listed(part)}`,
            part,
          ),
        );
      }),
    quarantined: (name, object, recordsMax) =>
      client.read('reading the quarantine', (session) => readQuarantine(session, name, object, recordsMax)),
    resolve: (name, object, records, at, except) =>
      client.write('resolving quarantined records', (session) =>
        sumInChunks(records, (part) =>
          session.run(
            `UPDATE _headwater.quarantine SET resolved_at = ${moment(at)} WHERE resolved_at IS NULL AND connection = $1 AND object = $2
             AND "window" <> $3 AND record IN ${listed(part, 3)}`,
            [name, object, except, ...part],
          ),
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
  const most = Math.trunc(recordsMax);
  const rows = await session.rows(
    `SELECT object, record, field, reason FROM (
       SELECT object, record, field, reason, DENSE_RANK() OVER (ORDER BY object, record) AS nth FROM (
         SELECT DISTINCT object, record, field, reason FROM _headwater.quarantine
         WHERE resolved_at IS NULL AND record IS NOT NULL AND connection = $1${object === null ? '' : ' AND object = $2'}
       ) AS unresolved
     ) AS numbered WHERE nth <= ${most} ORDER BY object, record, field, reason LIMIT ${most * REASONS_MAX}`,
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
