import { z } from 'zod';
import { ORIGIN } from '../../schemas/instant.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { Cursor } from '../../schemas/page.ts';
import type { Slice } from '../../schemas/window.ts';
import type { ExtractContext, ExtractRequest, RawPage } from '../source.ts';
import type { ArchivedLists } from './archived.ts';
import { pairOf, sweep } from './associations.ts';
import type { HubspotClient } from './client.ts';
import { fitsInPath, listPages, readByIds } from './object-api.ts';
import { sliceRequestSchema } from './plan.ts';
import {
  mergedIds,
  MERGED_PROPERTY,
  propertiesOf,
  rowsPage,
  stampOf,
  stampProperty,
  toInstant,
  tombstonesPage,
  toRow,
  type HubspotRecord,
} from './records.ts';
import { keysetSchema, rangeOf, searchHits, type StampRange } from './search.ts';

/** Where a slice goes on: in its live records, then in its archived ones, then nowhere. */
const cursorSchema = z.discriminatedUnion('in', [
  z.strictObject({ in: z.literal('list'), after: z.string() }),
  z.strictObject({ in: z.literal('search'), at: keysetSchema }),
  z.strictObject({ in: z.literal('sweep'), after: z.string() }),
  z.strictObject({ in: z.literal('archived'), afterId: z.string() }),
  z.strictObject({ in: z.literal('end') }),
]);
type Position = z.infer<typeof cursorSchema>;

const ARCHIVED_START: Position = { in: 'archived', afterId: '' };
const END: Position = { in: 'end' };

interface Extractor {
  client: HubspotClient;
  archived: ArchivedLists;
}

/** What one read of a slice needs at every turn. */
interface Read extends Extractor {
  schema: ObjectSchema;
  properties: readonly string[];
  range: StampRange;
  first: boolean;
  pageRows: number;
  signal: AbortSignal;
}

/** Live rows, then archived rows, then the tombstones of the archived ones; each page can be gone on from. */
export async function* extractSlice(
  extractor: Extractor,
  request: ExtractRequest,
  slice: Slice,
  context: Pick<ExtractContext, 'after' | 'signal'>,
): AsyncGenerator<RawPage> {
  const { client } = extractor;
  const { schema } = request;
  const position = context.after === undefined ? undefined : cursorSchema.parse(context.after);
  if (position?.in === 'end') return;
  const { read } = sliceRequestSchema.parse(slice.request);
  const pair = pairOf(schema.object);
  if (pair !== undefined) {
    const start = position?.in === 'sweep' ? position.after : null;
    for await (const { rows, after } of sweep(client, pair, start, context.signal)) {
      yield rowsPage(rows, after === null ? END : { in: 'sweep', after });
    }
    return;
  }
  const turn: Read = {
    ...extractor,
    schema,
    properties: propertiesOf(schema),
    range: rangeOf({ from: request.readFrom, until: request.until }),
    first: request.from === ORIGIN,
    pageRows: client.config.thresholds.pageRows,
    signal: context.signal,
  };
  if (position?.in !== 'archived') yield* (read === 'list' ? listed : searched)(turn, position);
  yield* archivedRows(turn, position?.in === 'archived' ? position.afterId : '');
}

/** Everything that lives, from HubSpot's store; rows stamped at or after the end belong to the next window. */
async function* listed(read: Read, position: Position | undefined): AsyncGenerator<RawPage> {
  const { client, schema, properties, signal, pageRows } = read;
  const { object } = schema;
  const start = position?.in === 'list' ? position.after : null;
  const inPath = fitsInPath(client, object, properties);
  // Names that are too many for a path go into the body of a batch read; the list then gives the ids.
  const asked = inPath ? properties : [stampProperty(object), MERGED_PROPERTY];
  let records: HubspotRecord[] = [];
  let before: Cursor | undefined = position;
  for await (const page of listPages(client, object, { properties: asked, after: start }, signal)) {
    records.push(...page.records);
    if (records.length < pageRows && page.next !== null) continue;
    const cursor: Position = page.next === null ? ARCHIVED_START : { in: 'list', after: page.next };
    const ids = records.map((record) => record.id);
    const whole = inPath ? records : await readByIds(client, object, ids, { properties, signal });
    yield* livePages(read, whole, before, cursor);
    before = cursor;
    records = [];
  }
}

/** What changed: ids by search, then each record as it is now, whatever the index still believes. */
async function* searched(read: Read, position: Position | undefined): AsyncGenerator<RawPage> {
  const { client, schema, properties, signal, pageRows } = read;
  const start = position?.in === 'search' ? position.at : undefined;
  let ids: string[] = [];
  let before: Cursor | undefined = position;
  let cursor: Position = ARCHIVED_START;
  const flush = async function* (): AsyncGenerator<RawPage> {
    const records = await readByIds(client, schema.object, ids, { properties, signal });
    yield* livePages(read, records, before, cursor);
    before = cursor;
    ids = [];
  };
  for await (const { hits, next } of searchHits(client, schema.object, read.range, start, signal)) {
    ids.push(...hits.map((hit) => hit.id));
    cursor = { in: 'search', at: next };
    if (ids.length >= pageRows) yield* flush();
  }
  if (ids.length > 0) yield* flush();
}

/**
 * A page of rows. Records that it has swallowed are gone under their own ids, and nothing else says so: their tombstones go
 * first, with the cursor before the page, so that neither can be committed without the other being repeated.
 */
async function* livePages(
  read: Read,
  records: readonly HubspotRecord[],
  before: Cursor | undefined,
  cursor: Cursor,
): AsyncGenerator<RawPage> {
  const inside = records.filter((record) => isInside(read, record));
  const merged = read.first ? [] : inside.flatMap((record) => tombstonesOf(read, record));
  if (merged.length > 0) yield tombstonesPage(merged, before ?? startOf(read));
  yield rowsPage(
    inside.map((record) => toRow(read.schema, record)),
    cursor,
  );
}

function startOf({ range }: Read): Position {
  return { in: 'search', at: { from: range.from, drain: null } };
}

function tombstonesOf({ schema, range }: Read, record: HubspotRecord): { id: string; deletedAt: string }[] {
  const deletedAt = toInstant(stampOf(record, schema.object) ?? range.until);
  return mergedIds(record).map((id) => ({ id, deletedAt }));
}

/** A record without any stamp is the shaper's to set aside, not ours to drop. */
function isInside({ schema, range }: Read, record: HubspotRecord): boolean {
  const stamp = stampOf(record, schema.object);
  return stamp === null || (stamp < range.until && (range.from === null || stamp >= range.from));
}

/** Archived records with the values that they had, and tombstones for those that have vanished since the list was read. */
async function* archivedRows(read: Read, afterId: string): AsyncGenerator<RawPage> {
  const { client, archived, schema, properties, range, pageRows, signal } = read;
  const hits = await archived.within(schema.object, range, signal);
  // In the order of their ids: the list may be another one when a slice goes on.
  const ids = hits
    .map((hit) => hit.id)
    .filter((id) => id > afterId)
    .toSorted();
  for (let at = 0; at < ids.length; at += pageRows) {
    const some = ids.slice(at, at + pageRows);
    const records = await readByIds(client, schema.object, some, { properties, archived: true, signal });
    const rows = records
      .filter((record) => record.archived && isInside(read, record))
      .map((record) => toRow(schema, record));
    yield rowsPage(rows, { in: 'archived', afterId: some.at(-1) ?? '' });
  }
  // Earlier deletions concern nobody who begins now.
  if (read.first || hits.length === 0) return;
  yield tombstonesPage(
    hits.map(({ id, stampMs }) => ({ id, deletedAt: toInstant(stampMs) })),
    END,
  );
}
