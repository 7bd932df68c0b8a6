import { HeadwaterError, type ErrorCode } from '../../rules/errors.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import type { Probe, ProbeRequest } from '../source.ts';
import { ARCHIVE_MS, type ArchivedLists } from './archived.ts';
import { pairOf } from './associations.ts';
import type { HubspotClient } from './client.ts';
import { toInstant } from './records.ts';
import { countLive } from './search.ts';

const PROBES_AT_ONCE_MAX = 8;
/** The Date header has whole seconds: a step back of one is no news. */
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
  if (pairOf(object) !== undefined)
    return { object, visibleUntil: sweepTime(prober.client, request), idle: false };
  try {
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
  const asked = visibleMs(client, request);
  const all = await countLive(client, object, { from, until: asked }, signal);
  // The answer told the source's clock anew; before the first one ours had to do.
  const visible = asked - visibleMs(client, request) > CLOCK_STEP_MS ? visibleMs(client, request) : asked;
  const forgottenBefore = client.sourceNow() - ARCHIVE_MS;
  const forgotten = from !== null && from < forgottenBefore;
  const answer = {
    object,
    visibleUntil: toInstant(visible),
    ...(forgotten ? { deletionsKnownFrom: toInstant(forgottenBefore) } : {}),
  };
  if (from === null || forgotten) return { ...answer, idle: false };
  const range = { from, until: visible };
  if (all > 0 && (visible === asked || (await countLive(client, object, range, signal)) > 0)) {
    return { ...answer, idle: false };
  }
  return { ...answer, idle: (await archived.within(object, range, signal)).length === 0 };
}

function visibleMs(client: HubspotClient, request: ProbeRequest): number {
  return Math.min(Date.parse(request.until), client.sourceNow() - client.config.lag);
}

/** Nothing tells whether associations changed, so their windows close on a grid: one sweep for each of its steps. */
function sweepTime(client: HubspotClient, request: ProbeRequest): string {
  const every = client.config.associationsEvery;
  return toInstant(Math.floor(visibleMs(client, request) / every) * every);
}
