import { rename, rm, stat } from 'node:fs/promises';
import type { ShapeCounts } from '../schemas/batch.ts';
import type { PageRequest, RawPageFile, ShapeRequest, ShapeResult } from './shaper.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Misfit } from '../rules/widening.ts';
import { checkIdentifiers, isOutOfMemory, literal, quote } from '../warehouses/sql.ts';
import { groupCsvPages } from './csv-pages.ts';
import { findMisfits } from './misfits.ts';
import { jsonRelation } from './json-rows.ts';
import { copy, isContent, isDoubt, numbers, type Running } from './statement.ts';
import {
  countSql,
  csvSql,
  losersSql,
  positionedSql,
  quarantineSql,
  rowsSql,
  tombstoneRowsSql,
  tombstonesSql,
} from './sql.ts';
import { tolerantCsv } from './tolerant-csv.ts';

/** Reasons named in an error; the quarantine holds them all. */
const REASONS_MAX = 10;

/** Everything that one call leaves on its connection: the connection is closed after the slice. */
export interface Slice extends Running {
  request: ShapeRequest;
  /** A longer line, or record, is set aside. */
  lineBytesMax: number;
  /** Rows set aside before the cast: broken lines, damaged text, absent fields. */
  setAside: number;
  misfits: Misfit[];
}

/** Files that are gone after the slice. */
export const temporary = (request: ShapeRequest) => ({
  all: `${request.out.rows}.all`,
  lines: `${request.out.rows}.lines`,
  large: `${request.out.rows}.large`,
  largeText: `${request.out.rows}.large-text`,
  badLines: `${request.out.rows}.bad`,
  text: `${request.out.rows}.text`,
});

/** Pages of a format that are still to be read. */
export const pathsOf = (request: ShapeRequest, format: RawPageFile['format']): string[] =>
  request.pages.filter((page) => page.format === format && page.part === undefined).map((page) => page.path);

export async function removeTemporary(request: ShapeRequest): Promise<void> {
  await Promise.all(Object.values(temporary(request)).map((path) => rm(path, { force: true })));
}

export async function shapeSlice(
  { connection, signal }: Running,
  request: ShapeRequest,
  lineBytesMax: number,
): Promise<ShapeResult> {
  const started = performance.now();
  checkIdentifiers(request.schema);
  const slice: Slice = { connection, signal, request, lineBytesMax, setAside: 0, misfits: [] };
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
export async function shapePage({ connection, signal }: Running, request: PageRequest): Promise<boolean> {
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

/** What only this page's content can cause; a full disk is none of it. Rows too large for the memory are looked at with less of it. */
const isPageFault = (error: unknown): boolean =>
  (error instanceof HeadwaterError && error.code === 'SOURCE_PROTOCOL') ||
  isDoubt(error) ||
  isContent(error) ||
  isOutOfMemory(error);

const sentOf = (pages: readonly RawPageFile[]): number => pages.reduce((sum, page) => sum + page.rowsSent, 0);

/** I2: every row that was sent is shaped, superseded, filtered or quarantined, and the sum is checked. */
async function shapeRows(slice: Slice): Promise<{ counts: ShapeCounts; rows: string[] }> {
  const { request } = slice;
  const sent = sentOf(request.pages.filter((page) => page.format !== 'tombstones'));
  // A part holds as many rows as its page, all of them shaped: `shapePage` yields no other.
  const inParts = sentOf(request.pages.filter((page) => page.part !== undefined));
  const csv = await groupCsvPages(pathsOf(request, 'csv'), request.schema);
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

function union(csv: string[], json: string | null): string | null {
  const parts = json === null ? csv : [...csv, json];
  return parts.length === 0 ? null : parts.join(' UNION ALL ');
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
