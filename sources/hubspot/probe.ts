import { HeadwaterError, type ErrorCode } from '../../rules/errors.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import type { Probe, ProbeRequest } from '../source.ts';
import { ARCHIVE_MS, type ArchivedLists } from './archived.ts';
import { pairOf } from './associations.ts';
import type { HubspotClient } from './client.ts';
import { toInstant } from './records.ts';
import { countLive } from './search.ts';

const PROBES_AT_ONCE_MAX = 8;
/** The Date header has whole seconds: a step of one is no news. */
const CLOCK_STEP_MS = 1000;

const OF_ONE_OBJECT: ReadonlySet<ErrorCode> = new Set([
  'OBJECT_UNKNOWN',
  'PERMISSION_DENIED',
  'SOURCE_REJECTED',
]);

interface Prober {
  client: HubspotClient;
  archived: ArchivedLists;
}

/** One answer per request, in order; one search for a busy object, and the list of archived records too for an idle one. */
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
  const { object } = request;
  try {
    const pair = pairOf(object);
    if (pair !== undefined) return await probePair(prober.client, pair.from, request, signal);
    return await probeByCount(prober, request, signal);
  } catch (error) {
    if (!(error instanceof HeadwaterError) || !OF_ONE_OBJECT.has(error.code)) throw error;
    // One object that is gone or hidden must not stop the others: as busy, it meets the same error by itself.
    return { object, visibleUntil: toInstant(visibleMs(prober.client, request)), idle: false };
  }
}

/** I7: idle is claimed only when the search and the archived records have nothing between `readFrom` and `visibleUntil`. */
async function probeByCount(prober: Prober, request: ProbeRequest, signal: AbortSignal): Promise<Probe> {
  const { client, archived } = prober;
  const { object } = request;
  const from = request.readFrom === ORIGIN ? null : Date.parse(request.readFrom);
  let visible = visibleMs(client, request);
  const clock = client.clockOffset() ?? 0;
  let changed = await countLive(client, object, { from, until: visible }, signal);
  if (Math.abs((client.clockOffset() ?? 0) - clock) > CLOCK_STEP_MS) {
    // The answer told the source's clock, which is not where it was taken to be.
    visible = visibleMs(client, request);
    changed = await countLive(client, object, { from, until: visible }, signal);
  }
  const forgottenBefore = client.sourceNow() - ARCHIVE_MS;
  const forgotten = from !== null && from < forgottenBefore;
  const answer = {
    object,
    visibleUntil: toInstant(visible),
    ...(forgotten ? { deletionsKnownFrom: toInstant(forgottenBefore) } : {}),
  };
  if (from === null || forgotten || changed > 0) return { ...answer, idle: false };
  return { ...answer, idle: (await archived.within(object, { from, until: visible }, signal)).length === 0 };
}

function visibleMs(client: HubspotClient, request: ProbeRequest): number {
  return Math.min(Date.parse(request.until), client.sourceNow() - client.config.lag);
}

/** Nothing tells whether associations changed, so their windows close on a grid: one sweep for each of its steps. */
async function probePair(
  client: HubspotClient,
  from: string,
  request: ProbeRequest,
  signal: AbortSignal,
): Promise<Probe> {
  if (client.clockOffset() === undefined) {
    await client.json({ method: 'GET', path: client.objectPath(from, '?limit=1'), signal });
  }
  const every = client.config.associationsEvery;
  const visibleUntil = toInstant(Math.floor(visibleMs(client, request) / every) * every);
  return { object: request.object, visibleUntil, idle: false };
}
