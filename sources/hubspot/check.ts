import { HeadwaterError } from '../../rules/errors.ts';
import type { Quota } from '../../schemas/quota.ts';
import type { CheckResult } from '../source.ts';
import { pairOf } from './associations.ts';
import { whyNot, type Catalog } from './catalog.ts';
import type { HubspotClient } from './client.ts';
import { DAILY_SHARE_WARN, idleCallsPerDay } from './limits.ts';

type Line = Omit<CheckResult, 'check'>;

/** The lines of `headwater check`, in the order in which they can fail; a refused token ends it. */
export async function checkConnection(
  client: HubspotClient,
  catalog: Catalog,
  quota: () => Promise<Quota | undefined>,
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  const line = async (check: string, run: () => Promise<Line>): Promise<boolean> => {
    const result = await run().catch((error: unknown) => failed(error));
    results.push({ check, ...result });
    return result.ok;
  };
  const objects = client.config.objects === 'all' ? undefined : await selectedObjects(client, catalog);
  const sample = objects?.map((object) => pairOf(object)?.from ?? object)[0] ?? 'contacts';
  if (!(await line('token', () => checkToken(client, sample)))) return results;
  await line('objects', () => checkObjects(client, catalog));
  await line('calls per day', async () =>
    checkCalls((await selectedObjects(client, catalog)).length, await quota()),
  );
  return results;
}

/** The objects that a connection syncs: those named, or all that `list` calls syncable, less `exclude`. */
async function selectedObjects(client: HubspotClient, catalog: Catalog): Promise<string[]> {
  const { objects, exclude } = client.config;
  const named =
    objects === 'all'
      ? (await catalog.list()).filter((listing) => listing.syncable).map((listing) => listing.object)
      : objects;
  return named.filter((object) => !exclude.includes(object));
}

/** Any answer but a 401 means that the token is known; what it may read is the next line's question. */
async function checkToken(client: HubspotClient, object: string): Promise<Line> {
  await whyNot(client, object);
  return passed(`accepted by ${new URL(client.config.baseUrl).host}`);
}

async function checkObjects(client: HubspotClient, catalog: Catalog): Promise<Line> {
  const selected = await selectedObjects(client, catalog);
  const types = new Set(
    selected.flatMap((object) => {
      const pair = pairOf(object);
      return pair === undefined ? [object] : [pair.from, pair.to];
    }),
  );
  const bad: string[] = [];
  for (const object of types) {
    const why = await whyNot(client, object);
    if (why !== undefined) bad.push(`${object}: ${why}`);
  }
  if (bad.length === 0) return passed(`${selected.length} objects, all readable`);
  return {
    ok: false,
    detail:
      bad.length === types.size
        ? `none can be read with API version ${client.config.apiVersion}; ${bad.join('; ')}`
        : bad.join('; '),
    remedy: 'Correct `objects` or `apiVersion`, or give the app the scopes that docs/hubspot.md lists.',
  };
}

function checkCalls(objects: number, quota: Quota | undefined): Line {
  const calls = idleCallsPerDay(objects);
  if (quota === undefined)
    return passed(`about ${calls} a day when idle; HubSpot does not tell this app its limit`);
  const share = calls / quota.limit;
  const detail = `about ${calls} a day when idle and hourly, ${(share * 100).toFixed(1)} % of ${quota.limit}; used now: ${quota.used}`;
  if (share < DAILY_SHARE_WARN) return passed(detail);
  return {
    ok: false,
    detail,
    remedy: 'Sync fewer objects or less often: other applications share this limit.',
  };
}

function passed(detail: string): Line {
  return { ok: true, detail };
}

function failed(error: unknown): Line {
  if (!(error instanceof HeadwaterError)) throw error;
  return { ok: false, detail: error.message, remedy: error.remedy };
}
