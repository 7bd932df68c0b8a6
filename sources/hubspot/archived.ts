import { HeadwaterError } from '../../rules/errors.ts';
import type { HubspotClient } from './client.ts';
import { listPages } from './object-api.ts';
import { stampOf, stampProperty, type HubspotRecord } from './records.ts';
import type { Hit, StampRange } from './search.ts';

/** HubSpot keeps archived records so long; after that they are gone without a trace. */
export const ARCHIVE_MS = 90 * 86_400_000;
/** A list is used again for so long: records enter it with the time of their archiving, which lies behind closed windows. */
const AGE_MS_MAX = 5 * 60_000;
/** Larger lists are read anew each time instead of being kept in memory. */
const KEPT_IDS_MAX = 200_000;
const OBJECTS_MAX = 1000;

interface Scan {
  atMs: number;
  hits: Promise<Hit[]>;
}

/**
 * What was archived and when. HubSpot lists archived records in the order of their ids and can neither filter nor count
 * them, so each question costs the whole list, 100 a call; one list serves the probe, the plan and the read of a window.
 */
export class ArchivedLists {
  private readonly client: HubspotClient;
  private readonly scans = new Map<string, Scan>();

  constructor(client: HubspotClient) {
    this.client = client;
  }

  /** Archived records of a range, ascending by stamp and id. */
  async within(object: string, range: StampRange, signal?: AbortSignal): Promise<Hit[]> {
    if (range.from !== null && range.from >= range.until) return [];
    const hits = await this.scan(object, range.until, signal);
    return hits.filter(
      (hit) => hit.stampMs < range.until && (range.from === null || hit.stampMs >= range.from),
    );
  }

  /** A list that began at or after `until` and is not old. */
  private async scan(object: string, until: number, signal: AbortSignal | undefined): Promise<Hit[]> {
    const nowMs = this.client.sourceNow();
    const known = this.scans.get(object);
    if (known !== undefined && known.atMs >= until && nowMs - known.atMs <= AGE_MS_MAX) return known.hits;
    const hits = this.read(object, signal);
    const fresh = { atMs: nowMs, hits };
    if (this.scans.size >= OBJECTS_MAX) this.scans.clear();
    this.scans.set(object, fresh);
    const forget = (): void => {
      if (this.scans.get(object) === fresh) this.scans.delete(object);
    };
    hits.then((list) => {
      if (list.length > KEPT_IDS_MAX) forget();
    }, forget);
    return hits;
  }

  private async read(object: string, signal: AbortSignal | undefined): Promise<Hit[]> {
    const hits = new Map<string, Hit>();
    const request = { archived: true, properties: [stampProperty(object)], after: null };
    for await (const { records } of listPages(this.client, object, request, signal)) {
      for (const record of records)
        hits.set(record.id, { id: record.id, stampMs: archivedStamp(record, object) });
    }
    return [...hits.values()].toSorted(byStampAndId);
  }
}

function archivedStamp(record: HubspotRecord, object: string): number {
  const stampMs = record.archived && record.archivedAt !== null ? stampOf(record, object) : null;
  if (stampMs === null) {
    throw new HeadwaterError('SOURCE_PROTOCOL', `an archived record of ${object} came without archivedAt`);
  }
  return stampMs;
}

export function byStampAndId(a: Hit, b: Hit): number {
  return a.stampMs - b.stampMs || (a.id < b.id ? -1 : Number(a.id > b.id));
}
