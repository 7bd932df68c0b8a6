import { z } from 'zod';
import { ORIGIN } from '../../schemas/instant.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { Interval } from '../../schemas/window.ts';
import type { ExtractPlan, ExtractRequest } from '../source.ts';
import type { ArchivedLists } from './archived.ts';
import { pairOf } from './associations.ts';
import type { HubspotClient } from './client.ts';
import { countLive, rangeOf } from './search.ts';

/** list: everything, from the store. search: what changed, from the index. sweep: all associations of two objects. */
export const sliceRequestSchema = z.strictObject({ read: z.enum(['list', 'search', 'sweep']) });

interface Planner {
  client: HubspotClient;
  archived: ArchivedLists;
}

/**
 * A first load reads the list: it is complete whatever the index knows, which makes the search's count a second witness. Each
 * page of a list and of a search depends on the one before, so a window is one slice.
 */
export async function planExtract(planner: Planner, request: ExtractRequest): Promise<ExtractPlan> {
  const { schema, from, until } = request;
  const countBefore = await count(planner, schema, { from, until });
  const read =
    pairOf(schema.object) !== undefined ? 'sweep' : request.readFrom === ORIGIN ? 'list' : 'search';
  const rowsEstimate = countBefore === 'unknown' ? null : countBefore;
  return { slices: [{ slice: 0, api: read, request: { read }, rowsEstimate }], countBefore };
}

/** Live records by the index, archived ones by their list. */
export async function count(
  { client, archived }: Planner,
  schema: ObjectSchema,
  interval: Interval,
  signal?: AbortSignal,
): Promise<number | 'unknown'> {
  if (pairOf(schema.object) !== undefined) return 'unknown';
  const range = rangeOf(interval);
  const live = await countLive(client, schema.object, range, signal);
  return live + (await archived.within(schema.object, range, signal)).length;
}
