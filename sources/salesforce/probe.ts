import { HeadwaterError, type ErrorCode } from '../../rules/errors.ts';
import { ORIGIN, type Instant } from '../../schemas/instant.ts';
import type { Interval } from '../../schemas/window.ts';
import type { Probe, ProbeRequest } from '../source.ts';
import type { Catalog } from './catalog.ts';
import type { SalesforceClient } from './client.ts';
import { readDeleted, readUpdated, REPLICATION_MS_MAX } from './deletions.ts';
import type { Describer } from './describe.ts';
import { countRows } from './query.ts';

const PROBES_AT_ONCE_MAX = 8;
const MINUTE_MS = 60_000;
/** A first load asks for the horizon only, so any short range will do. */
const HORIZON_MS = 3_600_000;

const OF_ONE_OBJECT: ReadonlySet<ErrorCode> = new Set([
  'OBJECT_UNKNOWN',
  'PERMISSION_DENIED',
  'SOURCE_REJECTED',
]);

interface Prober {
  client: SalesforceClient;
  catalog: Catalog;
  describer: Describer;
  lagMs: number;
}

/** One answer per request, in order; two calls for an object that can be replicated, one for any other. */
export async function probeAll(
  prober: Prober,
  requests: readonly ProbeRequest[],
  signal: AbortSignal,
): Promise<Probe[]> {
  const results: Probe[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < requests.length; at = next++) {
      const request = requests[at];
      if (request !== undefined) results[at] = await probeOne(prober, request, signal);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PROBES_AT_ONCE_MAX, requests.length) }, worker));
  return results;
}

async function probeOne(prober: Prober, request: ProbeRequest, signal: AbortSignal): Promise<Probe> {
  try {
    const { replicateable } = await prober.catalog.find(request.object);
    const probe = replicateable ? probeByLists : probeByCount;
    return await probe(prober, request, signal);
  } catch (error) {
    if (!(error instanceof HeadwaterError) || !OF_ONE_OBJECT.has(error.code)) throw error;
    // One object that is gone or hidden must not stop the others: as busy, it meets the same error by itself.
    return { object: request.object, visibleUntil: visible(prober, request.until, []), idle: false };
  }
}

/**
 * `latestDateCovered` is where Salesforce itself vouches that no transaction is still open, which a fixed lag only hopes
 * for. I7: idle is claimed only when both lists are empty and cover everything from `readFrom` to `visibleUntil`.
 */
async function probeByLists(prober: Prober, request: ProbeRequest, signal: AbortSignal): Promise<Probe> {
  const { client, lagMs } = prober;
  const { object } = request;
  const until = Date.parse(request.until);
  const oldest = client.sourceNow() - REPLICATION_MS_MAX + MINUTE_MS;
  if (request.readFrom === ORIGIN) {
    const updated = await readUpdated(client, object, Math.max(until - HORIZON_MS, oldest), until, signal);
    return { object, visibleUntil: visible(prober, request.until, [updated.latestDateCovered]), idle: false };
  }
  const readFrom = Date.parse(request.readFrom);
  if (until <= oldest) {
    // Far behind the source's memory: settled for long, and nothing can be said of its deletions.
    return {
      object,
      visibleUntil: request.until,
      idle: false,
      deletionsKnownFrom: new Date(oldest).toISOString(),
    };
  }
  const from = Math.max(readFrom, oldest);
  const [updated, deleted] = await Promise.all([
    readUpdated(client, object, from, until, signal),
    readDeleted(client, object, from, until, signal),
  ]);
  const knownFrom = Math.max(Date.parse(deleted.earliestDateAvailable), from);
  const forgotten = knownFrom > readFrom;
  return {
    object,
    visibleUntil: visible({ client, lagMs }, request.until, [
      updated.latestDateCovered,
      deleted.latestDateCovered,
    ]),
    idle: updated.empty && deleted.deletions.length === 0 && !forgotten,
    ...(forgotten ? { deletionsKnownFrom: new Date(knownFrom).toISOString() } : {}),
  };
}

/** What `/updated` names in the interval, as far back as it remembers; undefined for an object that it does not know. */
export async function listChanges(
  { client, catalog }: Pick<Prober, 'client' | 'catalog'>,
  object: string,
  interval: Interval,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  if (!(await catalog.find(object)).replicateable) return undefined;
  const until = Date.parse(interval.until);
  const oldest = client.sourceNow() - REPLICATION_MS_MAX + MINUTE_MS;
  if (until <= oldest) return undefined;
  const from = interval.from === ORIGIN ? until - HORIZON_MS : Date.parse(interval.from);
  return (await readUpdated(client, object, Math.max(from, oldest), until, signal)).ids;
}

async function probeByCount(prober: Prober, request: ProbeRequest, signal: AbortSignal): Promise<Probe> {
  const schema = await prober.describer.cached(request.object);
  const visibleUntil = visible(prober, request.until, []);
  const { object, readFrom } = request;
  if (schema.stamp === null || readFrom === ORIGIN) return { object, visibleUntil, idle: false };
  const range = { readFrom, until: visibleUntil, idFrom: null, idUntil: null };
  return { object, visibleUntil, idle: (await countRows(prober.client, schema, range, signal)) === 0 };
}

function visible(
  prober: Pick<Prober, 'client' | 'lagMs'>,
  until: Instant,
  covered: readonly Instant[],
): Instant {
  const settled = new Date(prober.client.sourceNow() - prober.lagMs).toISOString();
  return [until, settled, ...covered].reduce((least, instant) => (instant < least ? instant : least));
}
