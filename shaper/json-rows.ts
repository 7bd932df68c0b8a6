import { HeadwaterError } from '../rules/errors.ts';
import { literal } from '../warehouses/sql.ts';
import { sortJsonPages, writeCarefully, type JsonPages, type Lines } from './json-pages.ts';
import { pathsOf, type Slice, temporary } from './slice.ts';
import { jsonSql } from './sql.ts';
import { copy, first, isContent } from './statement.ts';

/** Smaller buffers gain nothing. */
const BUFFER_BYTES_MIN = 1024 * 1024;

/**
 * JSON pages are small (a page of an API): they become a table of texts before anything else; records of megabytes stay in a
 * file, so that one at a time is held.
 */
export async function jsonRelation(slice: Slice): Promise<string | null> {
  const { request, connection, signal } = slice;
  const found = pathsOf(request, 'json');
  if (found.length === 0) return null;
  const { schema } = request;
  const pages = await sortJsonPages(found, schema);
  const columns = schema.fields.map((_, at) => `r${at}`);
  await connection.run(
    `CREATE TEMP TABLE json_rows(${columns.map((name) => `${name} VARCHAR`).join(',')},absent VARCHAR,record VARCHAR)`,
  );
  signal.throwIfAborted();
  if (pages.direct.length > 0) await insertDirect(slice, pages.direct);
  const large = pages.careful.length === 0 ? null : await insertCareful(slice, pages.careful, columns);
  const all = large === null ? 'json_rows' : `(SELECT * FROM json_rows UNION ALL ${large})`;
  await refuseAbsent(slice, all);
  await connection.run(
    `INSERT INTO bad SELECT r${schema.fields.findIndex((field) => field.name === schema.key)},absent,NULL,'field is absent',record ` +
      `FROM ${all} WHERE absent IS NOT NULL`,
  );
  slice.setAside = await first(slice, 'SELECT count(*) FROM bad');
  return `SELECT ${columns.join(',')} FROM ${all} WHERE absent IS NULL`;
}

async function insertDirect({ connection, signal, request }: Slice, pages: string[]): Promise<void> {
  const { schema, jsonRecords } = request;
  try {
    await connection.run(`INSERT INTO json_rows ${jsonSql(schema, pages, jsonRecords)}`);
  } catch (error) {
    signal.throwIfAborted();
    if (!isContent(error)) throw error;
    throw new HeadwaterError('SOURCE_PROTOCOL', `${schema.object}: a json page is not valid JSON`, {
      cause: error,
    });
  }
}

/** Gives a statement that reads the large records, null where there is none. */
async function insertCareful(
  slice: Slice,
  pages: JsonPages['careful'],
  columns: string[],
): Promise<string | null> {
  const { connection, request, lineBytesMax } = slice;
  const { schema, jsonRecords } = request;
  const { lines: rows, large, largeText, badLines: bad } = temporary(request);
  const files = { rows, large, bad };
  const written = await writeCarefully(pages, schema, { jsonRecords, lineBytesMax }, files);
  const texts = (names: string[]) => `columns={${names.map((name) => `'${name}':'VARCHAR'`).join(',')}}`;
  // DuckDB allocates twice the largest object per thread.
  const json = (path: string, { bytesMax }: Lines, names: string[]) =>
    `SELECT * FROM read_json(${literal(path)},format='newline_delimited',` +
    `maximum_object_size=${Math.max(bytesMax, BUFFER_BYTES_MIN)},${texts(names)})`;
  const all = [...columns, 'absent', 'record'];
  await connection.run(`INSERT INTO json_rows ${json(rows, written.rows, all)}`);
  await connection.run(
    `INSERT INTO bad ${json(bad, written.bad, ['record', 'field', 'value', 'reason', 'raw'])}`,
  );
  if (written.large.lines === 0) return null;
  const { bytesMax } = written.large;
  await copy(
    slice,
    `SELECT * FROM read_csv(${literal(large)},auto_detect=false,header=false,delim=',',quote='"',escape='"',` +
      `nullstr='',allow_quoted_nulls=false,strict_mode=true,max_line_size=${bytesMax},buffer_size=${bytesMax},${texts(all)})`,
    largeText,
  );
  return `SELECT * FROM read_parquet(${literal(largeText)})`;
}

/** A field that no record carries is the page's fault, not the records': nothing may land with it as NULL. */
async function refuseAbsent({ request, connection }: Slice, all: string): Promise<void> {
  const rows = (
    await connection.runAndReadAll(
      `SELECT min(absent) FROM ${all} HAVING count(*)=count(absent) AND count(*)>0 AND min(absent)=max(absent)`,
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
