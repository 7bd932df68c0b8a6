import { rename, rm, stat } from 'node:fs/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { ShapeCounts } from '../schemas/batch.ts';
import type { PageRequest, RawPageFile, ShapeRequest, ShapeResult } from './shaper.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Misfit } from '../rules/widening.ts';
import { checkIdentifiers, firstLine, literal, quote } from '../warehouses/sql.ts';
import { groupCsvPages } from './csv-pages.ts';
import { findMisfits } from './misfits.ts';
import { sortJsonPages, writeCarefully } from './json-pages.ts';
import {
  countSql,
  csvSql,
  jsonSql,
  losersSql,
  positionedSql,
  quarantineSql,
  rowsSql,
  tombstoneRowsSql,
  tombstonesSql,
  UNFIT_ROW,
} from './sql.ts';
import type { CsvGroup } from './sql.ts';

const PARQUET = 'FORMAT parquet,COMPRESSION snappy,ROW_GROUP_SIZE 61440';
/** A record may hold fields of 17 MB; the normal reader's lines end at 2 MB, which keeps its buffers small. */
const LINE_BYTES_MAX = 40 * 1024 * 1024;
/** Smaller buffers gain nothing. */
const OBJECT_BYTES_MIN = 1024 * 1024;
/** Broken lines are set aside instead of failing the read. */
const TOLERANT = `,max_line_size=${LINE_BYTES_MAX},buffer_size=${LINE_BYTES_MAX},ignore_errors=true,store_rejects=true,rejects_limit=0`;
/** Reasons named in an error; the quarantine holds them all. */
const REASONS_MAX = 10;

/** Everything that one call leaves on its connection: the connection is closed after the slice. */
interface Slice {
  connection: DuckDBConnection;
  request: ShapeRequest;
  signal: AbortSignal;
  /** Rows set aside before the cast: broken lines, damaged text, absent fields. */
  setAside: number;
  misfits: Misfit[];
}

const temporary = (request: ShapeRequest) => ({
  all: `${request.out.rows}.all`,
  lines: `${request.out.rows}.lines`,
  badLines: `${request.out.rows}.bad`,
  text: `${request.out.rows}.text`,
});

export async function removeTemporary(request: ShapeRequest): Promise<void> {
  await Promise.all(Object.values(temporary(request)).map((path) => rm(path, { force: true })));
}

export async function shapeSlice(
  connection: DuckDBConnection,
  request: ShapeRequest,
  signal: AbortSignal,
): Promise<ShapeResult> {
  const started = performance.now();
  checkIdentifiers(request.schema);
  const slice: Slice = { connection, request, signal, setAside: 0, misfits: [] };
  await connection.run("SET TimeZone='UTC'");
  await connection.run(
    'CREATE TEMP TABLE bad(record VARCHAR,field VARCHAR,value VARCHAR,reason VARCHAR,raw VARCHAR)',
  );
  const { counts, rows } = await shapeRows(slice);
  if (slice.misfits.length > 0) {
    const files = { rows: [], tombstones: null, quarantine: null };
    return { counts, files, misfits: slice.misfits, ms: performance.now() - started };
  }
  counts.tombstones = await shapeTombstones(slice);
  const { out } = request;
  return {
    counts,
    misfits: [],
    files: {
      rows,
      tombstones: counts.tombstones > 0 ? out.tombstones : null,
      quarantine: counts.quarantined > 0 ? out.quarantine : null,
    },
    ms: performance.now() - started,
  };
}

/** True when the page's rows are all in `out`: none is bad, outside the window or in doubt, and as many as were sent. */
export async function shapePage(
  connection: DuckDBConnection,
  request: PageRequest,
  signal: AbortSignal,
): Promise<boolean> {
  const { schema, page, out } = request;
  checkIdentifiers(schema);
  await connection.run("SET TimeZone='UTC'");
  let rows = -1;
  try {
    const [group, ...others] = await groupCsvPages([page.path], schema);
    if (group !== undefined && others.length === 0) {
      const sql = rowsSql(request, csvSql(schema, [group]), true);
      rows = await copy({ connection, signal }, sql, out);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!isPageFault(error)) throw error;
  }
  // I2: a page counts as shaped only with exactly the rows that the source sent.
  const complete = rows > 0 && rows === page.rowsSent;
  if (!complete) await rm(out, { force: true });
  return complete;
}

/** What only this page's content can cause; a full disk or too little memory is none of it. */
const isPageFault = (error: unknown): boolean =>
  (error instanceof HeadwaterError && error.code === 'SOURCE_PROTOCOL') || isDoubt(error) || isContent(error);

type Running = Pick<Slice, 'connection' | 'signal'>;

async function numbers({ connection, signal }: Running, sql: string): Promise<number[]> {
  signal.throwIfAborted();
  const rows = (await connection.runAndReadAll(sql)).getRows();
  return (rows[0] ?? []).map(Number);
}

const first = async (slice: Running, sql: string): Promise<number> => (await numbers(slice, sql))[0] ?? 0;

/** Rows written, as COPY reports them. */
const copy = (slice: Running, select: string, path: string): Promise<number> =>
  first(slice, `COPY (${select}) TO ${literal(path)} (${PARQUET})`);

/** Pages that are still to be read. */
const paths = (request: ShapeRequest, format: string): string[] =>
  request.pages.filter((page) => page.format === format && page.part === undefined).map((page) => page.path);

const sentOf = (pages: readonly RawPageFile[]): number => pages.reduce((sum, page) => sum + page.rowsSent, 0);

/** I2: every row that was sent is shaped, superseded, filtered or quarantined, and the sum is checked. */
async function shapeRows(slice: Slice): Promise<{ counts: ShapeCounts; rows: string[] }> {
  const { request } = slice;
  const sent = sentOf(request.pages.filter((page) => page.format !== 'tombstones'));
  // A part holds as many rows as its page, all of them shaped: `shapePage` yields no other.
  const inParts = sentOf(request.pages.filter((page) => page.part !== undefined));
  const csv = await groupCsvPages(paths(request, 'csv'), request.schema);
  const json = await jsonRelation(slice);
  let relation = union(csv.length > 0 ? [csvSql(request.schema, csv)] : [], json);
  const counts: ShapeCounts = {
    ...{ sent, received: 0, shaped: 0, quarantined: 0, superseded: 0 },
    ...{ suppressed: 0, filtered: 0, reRead: 0, deleted: 0, tombstones: 0 },
  };
  let copied = 0;
  if (relation === null) {
    counts.received = inParts + slice.setAside;
  } else {
    try {
      copied = await copyRows(slice, relation);
    } catch (error) {
      if (csv.length === 0 || !isContent(error)) throw error;
      relation = union([await tolerantCsv(slice, csv)], json) ?? '';
      copied = await copyRows(slice, relation);
    }
    // The sum says that nothing was left out; only otherwise is a second pass needed to say what was.
    const [received, bad, filtered] =
      inParts + copied + slice.setAside === sent
        ? [copied, 0, 0]
        : await numbers(slice, countSql(request, relation));
    counts.received = inParts + (received ?? 0) + slice.setAside;
    counts.quarantined = bad ?? 0;
    counts.filtered = filtered ?? 0;
  }
  counts.shaped = inParts + copied;
  await quarantine(slice, counts, relation);
  if (slice.misfits.length > 0 || counts.shaped === 0) return { counts, rows: [] };
  return { counts, rows: await finishRows(slice, counts, copied > 0) };
}

/** Without a filter and the costlier tests first; once more with them for a slice that needs them. */
async function copyRows(slice: Slice, relation: string): Promise<number> {
  const { request } = slice;
  const path = temporary(request).all;
  try {
    return await copy(slice, rowsSql(request, relation, true), path);
  } catch (error) {
    slice.signal.throwIfAborted();
    if (!isDoubt(error)) throw error;
    return copy(slice, rowsSql(request, relation, false), path);
  }
}

/** The strict statement met a row that it does not take; the other one knows what to do with it. */
const isDoubt = (error: unknown): boolean =>
  firstLine(error).includes(UNFIT_ROW) || /^(Conversion|Out of Range) Error/.test(firstLine(error));

function union(csv: string[], json: string | null): string | null {
  const parts = json === null ? csv : [...csv, json];
  return parts.length === 0 ? null : parts.join(' UNION ALL ');
}

/** Errors that the pages' bytes cause, as against a full disk or too little memory. */
const isContent = (error: unknown): boolean => /^(Invalid Input|Conversion) Error/.test(firstLine(error));

/** Reads every line that can be read into a file of texts; the other lines go to `bad`. */
async function tolerantCsv(slice: Slice, groups: CsvGroup[]): Promise<string> {
  const { request, connection } = slice;
  const { text } = temporary(request);
  await copy(slice, csvSql(request.schema, groups, TOLERANT), text);
  await connection.run(
    'INSERT INTO bad SELECT NULL,any_value(column_name),NULL,' +
      "'broken line: '||lower(any_value(CAST(error_type AS VARCHAR))),CAST(json_object('line',any_value(csv_line)) AS VARCHAR) " +
      'FROM reject_errors GROUP BY scan_id,file_id,line',
  );
  slice.setAside = await first(slice, 'SELECT count(*) FROM bad');
  return `SELECT * FROM read_parquet(${literal(text)})`;
}

/** JSON pages are small (a page of an API): they become a table of texts before anything else. */
async function jsonRelation(slice: Slice): Promise<string | null> {
  const { request, connection, signal } = slice;
  const found = paths(request, 'json');
  if (found.length === 0) return null;
  const files = temporary(request);
  const { schema } = request;
  const pages = await sortJsonPages(found, schema);
  const columns = schema.fields.map((_, at) => `r${at}`);
  await connection.run(
    `CREATE TEMP TABLE json_rows(${columns.map((name) => `${name} VARCHAR`).join(',')},absent VARCHAR,record VARCHAR)`,
  );
  signal.throwIfAborted();
  if (pages.direct.length > 0) {
    try {
      await connection.run(`INSERT INTO json_rows ${jsonSql(schema, pages.direct, request.jsonRecords)}`);
    } catch (error) {
      signal.throwIfAborted();
      if (!isContent(error)) throw error;
      throw new HeadwaterError('SOURCE_PROTOCOL', `${schema.object}: a json page is not valid JSON`, {
        cause: error,
      });
    }
  }
  if (pages.careful.length > 0) {
    await writeCarefully(pages.careful, schema, request.jsonRecords, {
      rows: files.lines,
      bad: files.badLines,
    });
    const texts = [...columns, 'absent', 'record'].map((name) => `'${name}':'VARCHAR'`).join(',');
    const options = async (path: string) =>
      `format='newline_delimited',maximum_object_size=${await objectBytes(path)}`;
    await connection.run(
      `INSERT INTO json_rows SELECT * FROM read_json(${literal(files.lines)},${await options(files.lines)},columns={${texts}})`,
    );
    const bad = ['record', 'field', 'value', 'reason', 'raw'].map((name) => `'${name}':'VARCHAR'`).join(',');
    await connection.run(
      `INSERT INTO bad SELECT * FROM read_json(${literal(files.badLines)},${await options(files.badLines)},columns={${bad}})`,
    );
  }
  await refuseAbsent(slice);
  await connection.run(
    `INSERT INTO bad SELECT r${schema.fields.findIndex((field) => field.name === schema.key)},absent,NULL,'field is absent',record ` +
      'FROM json_rows WHERE absent IS NOT NULL',
  );
  slice.setAside = await first(slice, 'SELECT count(*) FROM bad');
  return `SELECT ${columns.join(',')} FROM json_rows WHERE absent IS NULL`;
}

/** DuckDB allocates twice this per thread: no more than the file can hold, which for pages of an API is little. */
async function objectBytes(path: string): Promise<number> {
  const { size } = await stat(path);
  return Math.min(Math.max(size, OBJECT_BYTES_MIN), LINE_BYTES_MAX * 2);
}

/** A field that no record carries is the page's fault, not the records': nothing may land with it as NULL. */
async function refuseAbsent(slice: Slice): Promise<void> {
  const { request, connection } = slice;
  const rows = (
    await connection.runAndReadAll(
      'SELECT min(absent) FROM json_rows HAVING count(*)=count(absent) AND count(*)>0 AND min(absent)=max(absent)',
    )
  ).getRows();
  const absent = rows[0]?.[0];
  if (typeof absent === 'string') {
    throw new HeadwaterError(
      'SOURCE_PROTOCOL',
      `${request.schema.object}: no record of the page carries the described field ${absent}`,
      {
        details: { missing: [absent] },
      },
    );
  }
}

async function quarantine(slice: Slice, counts: ShapeCounts, relation: string | null): Promise<void> {
  const { request, connection } = slice;
  if (counts.received !== counts.sent) {
    throw new HeadwaterError(
      'RECEIPT_TRANSPORT',
      `${request.schema.object}: the source sent ${counts.sent} rows, the pages hold ${counts.received}`,
      {
        details: { sent: counts.sent, received: counts.received },
      },
    );
  }
  if (counts.quarantined > 0 && relation !== null)
    await connection.run(`INSERT INTO bad ${quarantineSql(request, relation)}`);
  counts.quarantined += slice.setAside;
  if (counts.quarantined === 0) return;
  if (request.findMisfits === true) slice.misfits = await findMisfits(slice.connection);
  if (slice.misfits.length > 0) return;
  if (counts.quarantined > request.badRowsMax && counts.quarantined > request.badShareMax * counts.received) {
    const reasons = await connection.runAndReadAll(
      `SELECT coalesce(field,'')||': '||reason||' ('||count(*)||')' FROM bad GROUP BY field,reason ORDER BY count(*) DESC LIMIT ${REASONS_MAX}`,
    );
    throw new HeadwaterError(
      'TOO_MANY_BAD_ROWS',
      `${request.schema.object}: ${counts.quarantined} of ${counts.received} rows cannot be cast`,
      {
        details: {
          quarantined: counts.quarantined,
          received: counts.received,
          reasons: reasons.getRows().flat(),
        },
      },
    );
  }
  await copy(slice, 'SELECT * FROM bad', request.out.quarantine);
}

/** Decimals with more digits than described; a value that no decimal can hold is left to the quarantine. */
/** Leaves one row per key, in the parts and `out.rows` or in `out.rows` alone, and counts what is in the files. */
async function finishRows(slice: Slice, counts: ShapeCounts, withCopied: boolean): Promise<string[]> {
  const { request, connection } = slice;
  const { all } = temporary(request);
  const parts = request.pages.flatMap((page) => page.part ?? []);
  const key = request.schema.fields.find((field) => field.name === request.schema.key)?.column ?? '';
  // Hashes are counted faster than texts; two keys of one hash would only make the slice look for repetitions in vain.
  const statistics = (files: string[]): string =>
    `SELECT count(*),count(DISTINCT hash(${quote(key)})),count(*) FILTER (_version<TIMESTAMPTZ ${literal(request.window.from)}),` +
    `count(*) FILTER (_deleted) FROM read_parquet([${files.map(literal).join(',')}])`;
  const found = withCopied ? [...parts, all] : parts;
  let made = withCopied ? [...parts, request.out.rows] : parts;
  let counted = await numbers(slice, statistics(found));
  const [rows, keys] = counted;
  if (rows !== counts.shaped) {
    // I2: a part that is not as it was written would else land with fewer rows than were counted.
    throw new HeadwaterError(
      'INTERNAL',
      `${request.schema.object}: ${counts.shaped} rows were shaped, the files hold ${rows ?? 0}`,
    );
  }
  if (rows !== keys) {
    await connection.run(`CREATE TEMP TABLE losers AS ${losersSql(key, found)}`);
    await copy(
      slice,
      `SELECT * EXCLUDE (n,file_row_number) FROM ${positionedSql(found)} ANTI JOIN losers USING (n)`,
      request.out.rows,
    );
    made = [request.out.rows];
    counted = await numbers(slice, statistics(made));
    counts.superseded = counts.shaped - (counted[0] ?? 0);
  } else if (withCopied) {
    await rename(all, request.out.rows);
  }
  counts.shaped = counted[0] ?? 0;
  counts.reRead = request.schema.stamp === null ? 0 : (counted[2] ?? 0);
  counts.deleted = counted[3] ?? 0;
  return made;
}

async function shapeTombstones(slice: Slice): Promise<number> {
  const { request, connection } = slice;
  const pages = request.pages.filter((page) => page.format === 'tombstones');
  const filled: string[] = [];
  for (const page of pages) if ((await stat(page.path)).size > 0) filled.push(page.path);
  const sent = sentOf(pages);
  if (filled.length > 0) await connection.run(`CREATE TEMP TABLE gone AS ${tombstonesSql(request, filled)}`);
  const [received, bad] =
    filled.length > 0
      ? await numbers(slice, 'SELECT count(*),count(*) FILTER (k IS NULL OR v IS NULL) FROM gone')
      : [0, 0];
  if (received !== sent) {
    throw new HeadwaterError(
      'RECEIPT_TRANSPORT',
      `${request.schema.object}: the source sent ${sent} deletions, the pages hold ${received}`,
    );
  }
  if (bad !== 0)
    throw new HeadwaterError(
      'SOURCE_PROTOCOL',
      `${request.schema.object}: ${bad} deletions have no id or no readable time`,
    );
  return received > 0 ? copy(slice, tombstoneRowsSql(request, 'gone'), request.out.tombstones) : 0;
}
