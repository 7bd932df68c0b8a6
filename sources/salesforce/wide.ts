import { parse, stringify } from 'lossless-json';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { ExtractContext, RawPage } from '../source.ts';
import { PATH_BYTES_MAX, type SalesforceClient } from './client.ts';
import {
  idOf,
  jsonPage,
  queryPages,
  queryPath,
  readQueryPage,
  stampOf,
  type QueryPage,
  type RestCursor,
} from './query.ts';
import { soql, type RowRange } from './soql.ts';

/** Ids of one look-up by `IN`: 21 characters each, which leaves most of the URI to the field names. */
export const IDS_PER_QUERY_MAX = 200;
const REREADS_MAX = 3;
const GROUP_CHARS_MAX = PATH_BYTES_MAX - IDS_PER_QUERY_MAX * 30 - 1000;

const recordsSchema = z.object({ records: z.array(z.record(z.string(), z.unknown())) });

type Rows = Map<string, { stamp: string | null; record: Record<string, unknown> }>;

/** Field lists that each fit into one look-up; key and stamp are in all of them. */
export function fieldGroups(schema: ObjectSchema): string[][] {
  const always = [schema.key, schema.stamp].filter((name) => name !== null);
  const groups: string[][] = [];
  let chars = Number.POSITIVE_INFINITY;
  for (const { name } of schema.fields) {
    if (always.includes(name)) continue;
    // A comma travels as %2C.
    chars += name.length + 3;
    if (chars > GROUP_CHARS_MAX) {
      groups.push([...always]);
      chars = name.length + 3;
    }
    groups.at(-1)?.push(name);
  }
  return groups.length === 0 ? [always] : groups;
}

/** Current versions, deleted ones included; absent: not there. Unchanged bytes, unless the fields need several queries. */
export async function* readByIds(
  client: SalesforceClient,
  schema: ObjectSchema,
  ids: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<{ text: Buffer; rows: number }> {
  const groups = fieldGroups(schema);
  const [only] = groups;
  if (groups.length === 1 && only !== undefined) {
    for await (const page of groupPages(client, schema, only, ids, signal)) {
      yield { text: page.text, rows: page.records.length };
    }
    return;
  }
  yield joinByIds(client, schema, groups, ids, signal);
}

async function joinByIds(
  client: SalesforceClient,
  schema: ObjectSchema,
  groups: readonly string[][],
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ text: Buffer; rows: number }> {
  let joined: Rows = new Map();
  let missing = [...ids];
  for (let n = 0; missing.length > 0; n++) {
    if (n > REREADS_MAX) {
      throw new HeadwaterError(
        'SOURCE_UNAVAILABLE',
        `${schema.object}: rows change faster than their fields can be read`,
      );
    }
    const round = await joinGroups(client, schema, groups, missing, signal);
    joined = new Map([...joined, ...round.joined]);
    missing = round.torn;
  }
  const records = ids.map((id) => joined.get(id)?.record).filter((record) => record !== undefined);
  const text = stringify({ totalSize: records.length, done: true, records });
  return { text: Buffer.from(text ?? ''), rows: records.length };
}

/** Torn: parts of one row with different stamps, or a part that is gone. They are read again, never dropped. */
async function joinGroups(
  client: SalesforceClient,
  schema: ObjectSchema,
  groups: readonly string[][],
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ joined: Rows; torn: string[] }> {
  const parts: Rows[] = [];
  for (const select of groups) parts.push(await readGroup(client, schema, select, ids, signal));
  const joined: Rows = new Map();
  const torn: string[] = [];
  for (const id of ids) {
    const found = parts.map((part) => part.get(id)).filter((part) => part !== undefined);
    if (found.length === 0) continue;
    const stamp = found[0]?.stamp ?? null;
    if (found.length < parts.length || found.some((part) => part.stamp !== stamp)) torn.push(id);
    else
      joined.set(id, {
        stamp,
        record: Object.fromEntries(found.flatMap((part) => Object.entries(part.record))),
      });
  }
  return { joined, torn };
}

async function readGroup(
  client: SalesforceClient,
  schema: ObjectSchema,
  select: readonly string[],
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Rows> {
  const rows: Rows = new Map();
  for await (const page of groupPages(client, schema, select, ids, signal)) {
    for (const record of losslessRecords(page.text)) {
      rows.set(idOf(schema, record), { stamp: stampOf(schema, record), record });
    }
  }
  return rows;
}

async function* groupPages(
  client: SalesforceClient,
  schema: ObjectSchema,
  select: readonly string[],
  ids: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<QueryPage> {
  const query = soql(schema, { select, where: [{ field: schema.key, oneOf: ids }] });
  let path: string | null = queryPath(client, query);
  for (let n = 0; path !== null && n <= IDS_PER_QUERY_MAX; n++) {
    const page: QueryPage = await readQueryPage(client, path, { signal });
    yield page;
    path = page.next;
  }
}

/** Numbers keep every digit on their way through the join. */
function losslessRecords(text: Buffer): Record<string, unknown>[] {
  return recordsSchema.parse(parse(text.toString('utf8'))).records;
}

/** REST rows of an object whose field names do not fit into one URI and which Bulk refuses. */
export async function* wideRows(
  client: SalesforceClient,
  schema: ObjectSchema,
  request: { range: RowRange; pageRows: number; after: RestCursor },
  context: Pick<ExtractContext, 'signal'>,
): AsyncGenerator<RawPage> {
  const select = [schema.key, schema.stamp].filter((name) => name !== null);
  const pages = queryPages(
    client,
    schema,
    { ...request, select, pageRows: IDS_PER_QUERY_MAX },
    context.signal,
  );
  const groups = fieldGroups(schema);
  let before: RestCursor = request.after;
  for await (const { page, cursor } of pages) {
    const ids = page.records.map((record) => idOf(schema, record));
    for (let at = 0; at < ids.length; at += IDS_PER_QUERY_MAX) {
      const end = at + IDS_PER_QUERY_MAX;
      const { text, rows } = await joinByIds(client, schema, groups, ids.slice(at, end), context.signal);
      // A page larger than asked for is committed with its last part only; repeating the others loses nothing.
      yield jsonPage(text, rows, end >= ids.length ? cursor : before);
    }
    before = cursor;
  }
}
