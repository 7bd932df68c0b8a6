import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import type { Interval } from '../../schemas/window.ts';
import type { HubspotClient } from './client.ts';
import { readRecord, stampOf, stampProperty } from './records.ts';

const ID_PROPERTY = 'hs_object_id';
const PAGES_MAX = 1_000_000;

interface Filter {
  propertyName: string;
  operator: 'GTE' | 'LTE' | 'LT' | 'GT';
  value: string;
}

export interface Hit {
  id: string;
  stampMs: number;
}

/** Stamps in `[from, until)`, ms; `from` null: no lower bound. */
export interface StampRange {
  from: number | null;
  until: number;
}

/** Where a search goes on: at `from`, or among the records of one millisecond behind an id. */
export const keysetSchema = z.strictObject({
  from: z.number().int().nullable(),
  drain: z.strictObject({ at: z.number().int(), afterId: z.string() }).nullable(),
});
export type Keyset = z.infer<typeof keysetSchema>;

export function rangeOf(interval: Interval): StampRange {
  return {
    from: interval.from === ORIGIN ? null : Date.parse(interval.from),
    until: Date.parse(interval.until),
  };
}

const searchSchema = z.object({ total: z.number().int().nonnegative(), results: z.array(z.unknown()) });

async function search(
  client: HubspotClient,
  object: string,
  filters: readonly Filter[],
  options: { sort: string; limit: number; signal: AbortSignal | undefined },
): Promise<{ total: number; hits: Hit[] }> {
  const stamp = stampProperty(object);
  const answer = searchSchema.safeParse(
    await client.json({
      method: 'POST',
      path: client.objectPath(object, '/search'),
      body: {
        filterGroups: [{ filters }],
        sorts: [{ propertyName: options.sort, direction: 'ASCENDING' }],
        properties: [stamp, ID_PROPERTY],
        limit: options.limit,
      },
      search: true,
      signal: options.signal,
    }),
  ).data;
  if (answer === undefined) throw new HeadwaterError('SOURCE_PROTOCOL', `the search of ${object} is no list`);
  const hits = answer.results.map((value) => {
    const record = readRecord(value, object);
    const stampMs = stampOf(record, object);
    if (stampMs === null) throw new HeadwaterError('SOURCE_PROTOCOL', `a ${object} came without ${stamp}`);
    return { id: record.id, stampMs };
  });
  return { total: answer.total, hits };
}

function within(object: string, range: StampRange): Filter[] {
  const propertyName = stampProperty(object);
  const until: Filter = { propertyName, operator: 'LT', value: String(range.until) };
  if (range.from === null) return [until];
  return [{ propertyName, operator: 'GTE', value: String(range.from) }, until];
}

/** Live records of a range by the index's own count, which is exact beyond 10,000 too; one call. */
export async function countLive(
  client: HubspotClient,
  object: string,
  range: StampRange,
  signal?: AbortSignal,
): Promise<number> {
  if (range.from !== null && range.from >= range.until) return 0;
  const sort = stampProperty(object);
  return (await search(client, object, within(object, range), { sort, limit: 1, signal })).total;
}

/**
 * Live records of a range, ascending by stamp. HubSpot ends a search at 10,000 results and pages it by position, which
 * skips records when others leave the range meanwhile. So each page is a search of its own that begins at the greatest
 * stamp seen; of a page that is not the last only the rows below its greatest stamp count, since more may share it. A
 * millisecond that fills a page is read by id.
 */
export async function* searchHits(
  client: HubspotClient,
  object: string,
  range: StampRange,
  start: Keyset | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ hits: Hit[]; next: Keyset }> {
  let state: Keyset = start ?? { from: range.from, drain: null };
  for (let n = 0; n < PAGES_MAX; n++) {
    if (state.drain === null) {
      if (state.from !== null && state.from >= range.until) return;
      const page = await searchAscending(client, object, { from: state.from, until: range.until }, signal);
      const top = page.hits.at(-1)?.stampMs;
      if (!page.more || top === undefined) {
        if (page.hits.length > 0) yield { hits: page.hits, next: { from: range.until, drain: null } };
        return;
      }
      const below = page.hits.filter((hit) => hit.stampMs < top);
      state = below.length > 0 ? { from: top, drain: null } : { from: top, drain: { at: top, afterId: '0' } };
      if (below.length > 0) yield { hits: below, next: state };
    } else {
      const page = await searchMillisecond(client, object, state.drain, signal);
      const last = page.hits.at(-1)?.id;
      const { at } = state.drain;
      state =
        page.more && last !== undefined
          ? { from: at, drain: { at, afterId: last } }
          : { from: at + 1, drain: null };
      if (page.hits.length > 0) yield { hits: page.hits, next: state };
    }
  }
  throw new HeadwaterError('SOURCE_PROTOCOL', `the search of ${object} does not end`);
}

async function searchAscending(
  client: HubspotClient,
  object: string,
  range: StampRange,
  signal: AbortSignal | undefined,
): Promise<{ hits: Hit[]; more: boolean }> {
  const limit = client.config.thresholds.searchRows;
  const sort = stampProperty(object);
  const page = await search(client, object, within(object, range), { sort, limit, signal });
  const more = page.total > page.hits.length;
  // The index may show a record for a moment by a stamp that it no longer has.
  const hits = page.hits.filter(
    (hit) => hit.stampMs < range.until && (range.from === null || hit.stampMs >= range.from),
  );
  for (const [index, hit] of hits.entries()) {
    const before = hits[index - 1];
    if (before !== undefined && before.stampMs > hit.stampMs) throw unordered(object, sort);
  }
  return { hits: progress(object, hits, more), more };
}

async function searchMillisecond(
  client: HubspotClient,
  object: string,
  { at, afterId }: { at: number; afterId: string },
  signal: AbortSignal | undefined,
): Promise<{ hits: Hit[]; more: boolean }> {
  const limit = client.config.thresholds.searchRows;
  const propertyName = stampProperty(object);
  const filters: Filter[] = [
    { propertyName, operator: 'GTE', value: String(at) },
    { propertyName, operator: 'LTE', value: String(at) },
    { propertyName: ID_PROPERTY, operator: 'GT', value: afterId },
  ];
  const page = await search(client, object, filters, { sort: ID_PROPERTY, limit, signal });
  const more = page.total > page.hits.length;
  const hits = page.hits.filter((hit) => hit.stampMs === at);
  let last = afterId;
  for (const { id } of hits) {
    if (!/^\d+$/.test(id) || BigInt(id) <= BigInt(last)) throw unordered(object, ID_PROPERTY);
    last = id;
  }
  return { hits: progress(object, hits, more), more };
}

/** I2: what is announced and cannot be reached must not end as a shorter list. */
function progress(object: string, hits: Hit[], more: boolean): Hit[] {
  if (!more || hits.length > 0) return hits;
  throw new HeadwaterError('SOURCE_PROTOCOL', `the search of ${object} announces rows that it does not send`);
}

function unordered(object: string, property: string): HeadwaterError {
  return new HeadwaterError('SOURCE_PROTOCOL', `the search of ${object} is not ordered by ${property}`);
}
