import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { Interval } from '../../schemas/window.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { ExtractContext, RawPage, RecordStamp } from '../source.ts';
import { errorCodeOf } from './api-error.ts';
import { PATH_BYTES_MAX, type SalesforceClient } from './client.ts';
import { afterRecord, inRange, keysetOrder, soql, type QueryableSchema, type RowRange } from './soql.ts';

/** 2,000 rows a page: more than any object that REST is chosen for. */
const PAGES_MAX = 1_000_000;
/** A cursor of Salesforce lives two days; one that dies more often than this is not ours to mend. */
const RESTARTS_MAX = 10;

/** `next` is Salesforce's own link; when it has expired, reading goes on after the last record by its stamp and id. */
const restCursorSchema = z.strictObject({
  api: z.literal('rest'),
  next: z.string().nullable(),
  /** Rows since the current query began, to compare with its totalSize. */
  rows: z.number().int(),
  stamp: z.string().nullable(),
  id: z.string().nullable(),
  done: z.boolean(),
});
export type RestCursor = z.infer<typeof restCursorSchema>;
export const REST_START: RestCursor = {
  api: 'rest',
  next: null,
  rows: 0,
  stamp: null,
  id: null,
  done: false,
};

export function restCursor(cursor: unknown): RestCursor | undefined {
  return restCursorSchema.safeParse(cursor).data;
}

/** One answer of `/query`; `text` is what was sent, byte for byte. */
export interface QueryPage {
  text: Buffer;
  records: Record<string, unknown>[];
  totalSize: number;
  next: string | null;
}

export function queryPath(client: SalesforceClient, query: string): string {
  return client.path(`queryAll?q=${encodeURIComponent(query)}`);
}

export function fitsInPath(client: SalesforceClient, query: string): boolean {
  return queryPath(client, query).length <= PATH_BYTES_MAX;
}

/** Never jsforce's autoFetch, which stops at 10,000 rows without a word, and never its parsed numbers. */
export async function readQueryPage(
  client: SalesforceClient,
  path: string,
  options: { pageRows?: number; signal?: AbortSignal | undefined },
): Promise<QueryPage> {
  const response = await client.send({
    method: 'GET',
    path,
    headers:
      options.pageRows === undefined ? {} : { 'sforce-query-options': `batchSize=${options.pageRows}` },
    signal: options.signal,
  });
  const text = await response.bytes();
  return { text, ...parsePage(text, path) };
}

const pageSchema = z.object({
  totalSize: z.number().int(),
  done: z.boolean(),
  nextRecordsUrl: z.string().nullish(),
  records: z.array(z.record(z.string(), z.unknown())),
});

function parsePage(text: Buffer, path: string): Omit<QueryPage, 'text'> {
  const where = path.split('?', 1)[0] ?? '';
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw new HeadwaterError('SOURCE_PROTOCOL', `${where} answered something that is not JSON`, { cause });
  }
  const page = pageSchema.safeParse(parsed).data;
  if (page === undefined) throw new HeadwaterError('SOURCE_PROTOCOL', `${where} answered no page of records`);
  const next = page.nextRecordsUrl ?? null;
  if (!page.done && (next === null || next === path)) {
    throw new HeadwaterError('SOURCE_PROTOCOL', `${where} has more rows but no link to them`);
  }
  return { records: page.records, totalSize: page.totalSize, next: page.done ? null : next };
}

/** COUNT() with deleted rows; one call. */
export async function countRows(
  client: SalesforceClient,
  schema: QueryableSchema,
  range: RowRange,
  signal?: AbortSignal,
): Promise<number> {
  const query = soql(schema, { select: 'count', where: inRange(schema, range) });
  return (await readQueryPage(client, queryPath(client, query), { signal })).totalSize;
}

/** COUNT() has a time limit that a Bulk query does not have: a count that is too slow is unknown, not an error. */
export async function countOrUnknown(
  client: SalesforceClient,
  schema: QueryableSchema,
  interval: Interval,
): Promise<number | 'unknown'> {
  const range = { readFrom: interval.from, until: interval.until, idFrom: null, idUntil: null };
  try {
    return await countRows(client, schema, range);
  } catch (error) {
    const slow =
      errorCodeOf(error) === 'QUERY_TIMEOUT' ||
      (error instanceof HeadwaterError && error.details['reason'] === 'UND_ERR_HEADERS_TIMEOUT');
    if (slow) return 'unknown';
    throw error;
  }
}

/** Pages of a range in keyset order from a cursor on; the cursor after each page survives the expiry of the query. */
export async function* queryPages(
  client: SalesforceClient,
  schema: ObjectSchema,
  request: { select: readonly string[]; range: RowRange; pageRows: number; after: RestCursor },
  signal: AbortSignal | undefined,
): AsyncGenerator<{ page: QueryPage; cursor: RestCursor }> {
  let state = request.after;
  let restarts = 0;
  for (let n = 0; n < PAGES_MAX && !state.done; n++) {
    const path = state.next ?? queryPath(client, firstQuery(schema, request.select, request.range, state));
    let page: QueryPage;
    try {
      page = await readQueryPage(client, path, { pageRows: request.pageRows, signal });
    } catch (error) {
      const expired = error instanceof HeadwaterError && error.code === 'JOB_LOST' && state.next !== null;
      if (!expired || ++restarts > RESTARTS_MAX) throw error;
      state = { ...state, next: null, rows: 0 };
      continue;
    }
    state = advance(state, page, schema);
    yield { page, cursor: state };
  }
}

/** The transport receipt of REST: rows of all pages = totalSize. */
function advance(state: RestCursor, page: QueryPage, schema: ObjectSchema): RestCursor {
  const rows = state.rows + page.records.length;
  const done = page.next === null;
  // I2: a query that ends with fewer rows than it announced has lost some on the way.
  if (done && rows !== page.totalSize) {
    throw new HeadwaterError(
      'RECEIPT_TRANSPORT',
      `${schema.object}: the query announced ${page.totalSize} rows and sent ${rows}`,
      { details: { announced: page.totalSize, sent: rows } },
    );
  }
  const last = page.records.at(-1);
  const key = last === undefined ? null : { stamp: stampOf(schema, last), id: idOf(schema, last) };
  return {
    api: 'rest',
    next: page.next,
    rows,
    stamp: key?.stamp ?? state.stamp,
    id: key?.id ?? state.id,
    done,
  };
}

export function firstQuery(
  schema: ObjectSchema,
  select: readonly string[],
  range: RowRange,
  after: Pick<RestCursor, 'stamp' | 'id'>,
): string {
  const where = inRange(schema, range);
  if (after.id !== null) where.push(afterRecord(schema, { stamp: after.stamp, id: after.id }));
  return soql(schema, { select, where, orderBy: keysetOrder(schema) });
}

/** The rows of a slice as Salesforce wrote them. */
export async function* restRows(
  client: SalesforceClient,
  schema: ObjectSchema,
  request: { range: RowRange; pageRows: number; after: RestCursor },
  context: Pick<ExtractContext, 'signal'>,
): AsyncGenerator<RawPage> {
  const select = schema.fields.map((field) => field.name);
  for await (const { page, cursor } of queryPages(client, schema, { select, ...request }, context.signal)) {
    yield jsonPage(page.text, page.records.length, cursor);
  }
}

export function jsonPage(text: Buffer, rows: number, cursor: Record<string, unknown>): RawPage {
  return { format: 'json', body: once(text), rowsSent: () => rows, cursor: () => cursor };
}

/** Ids and stamps of a range, ascending by stamp and id, deleted ones included. */
export async function* recordStamps(
  client: SalesforceClient,
  schema: ObjectSchema,
  range: RowRange,
  pageRows: number,
  signal: AbortSignal,
): AsyncGenerator<RecordStamp[]> {
  const select = [schema.key, schema.stamp, schema.deleted].filter((name) => name !== null);
  for await (const { page } of queryPages(
    client,
    schema,
    { select, range, pageRows, after: REST_START },
    signal,
  )) {
    yield page.records.map((record) => ({
      id: idOf(schema, record),
      stamp: stampOf(schema, record) ?? range.readFrom,
      deleted: schema.deleted !== null && record[schema.deleted] === true,
    }));
  }
}

export function idOf(schema: QueryableSchema, record: Record<string, unknown>): string {
  const id = record[schema.key];
  if (typeof id !== 'string')
    throw new HeadwaterError('SOURCE_PROTOCOL', `a ${schema.object} came without ${schema.key}`);
  return id;
}

export function stampOf(schema: QueryableSchema, record: Record<string, unknown>): Instant | null {
  if (schema.stamp === null) return null;
  const stamp = record[schema.stamp];
  if (typeof stamp !== 'string') {
    throw new HeadwaterError('SOURCE_PROTOCOL', `a ${schema.object} came without ${schema.stamp}`);
  }
  return toInstant(stamp);
}

/** Salesforce writes `2026-11-21T08:00:00.000+0000`. */
export function toInstant(text: string): Instant {
  const ms = Date.parse(text.replace(/\+0000$/, 'Z'));
  if (Number.isNaN(ms)) throw new HeadwaterError('SOURCE_PROTOCOL', 'a time of the source is not readable');
  return new Date(ms).toISOString();
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
