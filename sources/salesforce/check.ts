import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { CheckResult } from '../source.ts';
import type { Catalog } from './catalog.ts';
import type { SalesforceClient } from './client.ts';
import type { SalesforceConfig } from './config.ts';
import { DAILY_SHARE_WARN, idleCallsPerDay, quotaOf } from './limits.ts';

const versionsSchema = z.array(z.object({ version: z.string() }));

/** The lines of `headwater check`, in the order in which they can fail; the first failure of the session ends it. */
export async function checkConnection(
  client: SalesforceClient,
  catalog: Catalog,
  config: SalesforceConfig,
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  const line = async (check: string, run: () => Promise<Omit<CheckResult, 'check'>>): Promise<boolean> => {
    const result = await run().catch((error: unknown) => failed(error));
    results.push({ check, ...result });
    return result.ok;
  };
  if (!(await line('token', async () => passed(`logged in at ${new URL(await client.login()).host}`))))
    return results;
  if (!(await line('API version', () => checkVersion(client, config)))) return results;
  await line('objects', () => checkObjects(catalog, config));
  await line('calls per day', () => checkCalls(client, catalog, config));
  return results;
}

/** The objects that a connection syncs: those named, or all that `list` calls syncable, less `exclude`. */
export async function selectedObjects(catalog: Catalog, config: SalesforceConfig): Promise<string[]> {
  const named =
    config.objects === 'all'
      ? (await catalog.list()).filter((listing) => listing.syncable).map((listing) => listing.object)
      : config.objects;
  return named.filter((object) => !config.exclude.includes(object));
}

async function checkVersion(
  client: SalesforceClient,
  config: SalesforceConfig,
): Promise<Omit<CheckResult, 'check'>> {
  const answer = await client.json({ method: 'GET', path: '/services/data/' });
  const versions = (versionsSchema.safeParse(answer).data ?? []).map((entry) => entry.version);
  if (versions.includes(config.apiVersion)) return passed(config.apiVersion);
  return {
    ok: false,
    detail: `${config.apiVersion} is not among the versions of this org (newest: ${String(versions.at(-1))})`,
    remedy: 'Set apiVersion to one that the org has.',
  };
}

async function checkObjects(catalog: Catalog, config: SalesforceConfig): Promise<Omit<CheckResult, 'check'>> {
  const selected = await selectedObjects(catalog, config);
  const queryable = new Map((await catalog.objects()).map((object) => [object.name, object.queryable]));
  const bad = selected.filter((object) => queryable.get(object) !== true);
  if (bad.length === 0) return passed(`${selected.length} objects, all queryable`);
  const unknown = bad.filter((object) => !queryable.has(object));
  const hidden = bad.filter((object) => queryable.has(object));
  return {
    ok: false,
    detail: [
      unknown.length === 0 ? '' : `unknown or hidden from this user: ${unknown.join(', ')}`,
      hidden.length === 0 ? '' : `not queryable: ${hidden.join(', ')}`,
    ]
      .filter((text) => text !== '')
      .join('; '),
    remedy: 'Correct `objects`, or grant the integration user "View All Records" on them.',
  };
}

async function checkCalls(
  client: SalesforceClient,
  catalog: Catalog,
  config: SalesforceConfig,
): Promise<Omit<CheckResult, 'check'>> {
  const quota = quotaOf(await (await client.metadata()).limits());
  const calls = idleCallsPerDay((await selectedObjects(catalog, config)).length);
  if (quota === undefined) return passed(`about ${calls} a day when idle; the org does not tell its limit`);
  const share = calls / quota.limit;
  const detail = `about ${calls} a day when idle and hourly, ${(share * 100).toFixed(1)} % of ${quota.limit}; used now: ${quota.used}`;
  if (share < DAILY_SHARE_WARN) return passed(detail);
  return {
    ok: false,
    detail,
    remedy: 'Sync fewer objects or less often: other applications share this limit.',
  };
}

function passed(detail: string): Omit<CheckResult, 'check'> {
  return { ok: true, detail };
}

function failed(error: unknown): Omit<CheckResult, 'check'> {
  if (!(error instanceof HeadwaterError)) throw error;
  return { ok: false, detail: error.message, remedy: error.remedy };
}
