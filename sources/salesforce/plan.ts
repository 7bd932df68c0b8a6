import { z } from 'zod';
import { instantSchema, ORIGIN } from '../../schemas/instant.ts';
import type { Slice } from '../../schemas/window.ts';
import type { ExtractPlan, ExtractRequest } from '../source.ts';
import type { Catalog } from './catalog.ts';
import type { SalesforceClient } from './client.ts';
import type { SalesforceConfig } from './config.ts';
import { idBoundaries, stampBoundaries } from './id-ranges.ts';
import {
  countOrUnknown,
  firstQuery,
  fitsInPath,
  idOf,
  queryPath,
  readQueryPage,
  REST_START,
} from './query.ts';
import { inRange, soql, type RowRange } from './soql.ts';

const SLICES_MAX = 10_000;

/** What a slice keeps: bounds only. The ids are interpolated, not those of records. */
export const sliceRequestSchema = z.strictObject({
  readFrom: instantSchema,
  until: instantSchema,
  idFrom: z.string().nullable(),
  idUntil: z.string().nullable(),
  /** Whether the tombstones of the whole window follow after the rows. */
  deletions: z.boolean(),
});

interface Planner {
  client: SalesforceClient;
  catalog: Catalog;
  thresholds: SalesforceConfig['thresholds'];
}

/** REST for few rows, Bulk for many or for a query too long for a URI; large windows in several slices. */
export async function planExtract(planner: Planner, request: ExtractRequest): Promise<ExtractPlan> {
  const { schema, from, readFrom, until } = request;
  const { client, thresholds } = planner;
  const range: RowRange = { readFrom, until, idFrom: null, idUntil: null };
  const countBefore = await countOrUnknown(client, schema, { from, until });
  const select = schema.fields.map((field) => field.name);
  const small = countBefore !== 'unknown' && countBefore < thresholds.bulkRowsMin;
  const api = small && fitsInPath(client, firstQuery(schema, select, range, REST_START)) ? 'rest' : 'bulk';
  const first = from === ORIGIN;
  const ranges =
    countBefore === 'unknown' || countBefore <= thresholds.sliceRowsTarget
      ? [range]
      : await cut(
          planner,
          request,
          range,
          Math.min(Math.ceil(countBefore / thresholds.sliceRowsTarget), SLICES_MAX),
        );
  // A first load begins with what exists; earlier deletions concern nobody.
  const deletions = !first && (await planner.catalog.find(schema.object)).replicateable;
  const rowsEstimate = countBefore === 'unknown' ? null : Math.ceil(countBefore / ranges.length);
  const slices: Slice[] = ranges.map((bounds, slice) => ({
    slice,
    api,
    request: { ...bounds, deletions: deletions && slice === ranges.length - 1 },
    rowsEstimate,
  }));
  return { slices, countBefore };
}

/** A first load by id, whose order never changes; a window by stamp. Uneven is fine: receipts prove the sum. */
async function cut(
  planner: Planner,
  request: ExtractRequest,
  range: RowRange,
  parts: number,
): Promise<RowRange[]> {
  if (request.readFrom !== ORIGIN && request.schema.stamp !== null) {
    return pairs(stampBoundaries(range.readFrom, range.until, parts)).map(([from, until]) => ({
      ...range,
      readFrom: from ?? range.readFrom,
      until: until ?? range.until,
    }));
  }
  const [least, greatest] = await Promise.all([
    edgeId(planner.client, request, range, false),
    edgeId(planner.client, request, range, true),
  ]);
  if (least === undefined || greatest === undefined) return [range];
  return pairs(idBoundaries(least, greatest, parts)).map(([idFrom, idUntil]) => ({
    ...range,
    idFrom,
    idUntil,
  }));
}

async function edgeId(
  client: SalesforceClient,
  { schema }: ExtractRequest,
  range: RowRange,
  descending: boolean,
): Promise<string | undefined> {
  const query = soql(schema, {
    select: [schema.key],
    where: inRange(schema, range),
    orderBy: [schema.key],
    descending,
    limit: 1,
  });
  const record = (await readQueryPage(client, queryPath(client, query), {})).records[0];
  return record === undefined ? undefined : idOf(schema, record);
}

/** n inner boundaries make n + 1 ranges; the outermost have no bound. */
function pairs(boundaries: readonly string[]): [string | null, string | null][] {
  return Array.from({ length: boundaries.length + 1 }, (_, n) => [
    boundaries[n - 1] ?? null,
    boundaries[n] ?? null,
  ]);
}
