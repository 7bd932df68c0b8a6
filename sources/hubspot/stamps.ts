import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { Interval } from '../../schemas/window.ts';
import type { RecordStamp } from '../source.ts';
import { byStampAndId, type ArchivedLists } from './archived.ts';
import { pairOf } from './associations.ts';
import type { HubspotClient } from './client.ts';
import { toInstant } from './records.ts';
import { rangeOf, searchHits, type Hit } from './search.ts';

interface Reader {
  client: HubspotClient;
  archived: ArchivedLists;
}

/** Ids and stamps of an interval, archived ones included, ascending by stamp; within one millisecond by id. */
export async function* recordStamps(
  { client, archived }: Reader,
  schema: ObjectSchema,
  interval: Interval,
  signal: AbortSignal,
): AsyncGenerator<RecordStamp[]> {
  // Associations have no stamps to tell.
  if (pairOf(schema.object) !== undefined) return;
  const range = rangeOf(interval);
  // What is archived between the two reads is in neither; the counts around this list then differ, and it is read again.
  const gone = await archived.within(schema.object, range, signal);
  const ids = new Set(gone.map((hit) => hit.id));
  let told = 0;
  for await (const { hits, next } of searchHits(client, schema.object, range, undefined, signal)) {
    const reached = next.from ?? range.until;
    const end = gone.findIndex((hit) => hit.stampMs >= reached);
    const among = gone.slice(told, end < 0 ? gone.length : Math.max(told, end));
    told += among.length;
    const live = hits.filter((hit) => !ids.has(hit.id));
    yield [...live.map(alive), ...among.map(dead)].toSorted(byStampAndId).map(toStamp);
  }
  if (told < gone.length) yield gone.slice(told).map(dead).map(toStamp);
}

type Marked = Hit & { deleted: boolean };
const alive = (hit: Hit): Marked => ({ ...hit, deleted: false });
const dead = (hit: Hit): Marked => ({ ...hit, deleted: true });

function toStamp({ id, stampMs, deleted }: Marked): RecordStamp {
  return { id, stamp: toInstant(stampMs), deleted };
}
