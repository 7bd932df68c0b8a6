/** Routes of /services/data: versions, limits, describes, records, queries and bulk jobs. */
import { ApiError, notFound } from './api-error.ts';
import { answerJob, answerJobs } from './bulk.ts';
import { describeGlobal, describeObject } from './describe.ts';
import type { Exchange } from '../exchange.ts';
import type { Org } from './org.ts';
import type { Table } from './table.ts';
import { wholeSecond } from '../clock.ts';
import { answerMore, answerQuery } from './query-api.ts';
import { answerCreate, answerExternal, answerRecord } from './records.ts';
import { answerReplication } from './replication.ts';

const VERSION_MIN = 31;
export const VERSION_MAX = 66;

export async function answerRest(exchange: Exchange, org: Org): Promise<void> {
  const parts = exchange.path
    .split('/')
    .filter((part) => part !== '')
    .slice(2)
    .map(decoded);
  const version = parts[0];
  if (version === undefined) {
    await exchange.sendJson(200, versions());
    return;
  }
  const number = /^v(\d{2})\.0$/.exec(version)?.[1];
  if (number === undefined || Number(number) < VERSION_MIN || Number(number) > VERSION_MAX) throw notFound();
  org.tokens.authorize(exchange.header('authorization'));
  spend(exchange, org, parts[1] === 'jobs');
  await route(exchange, org, version, parts.slice(1));
}

function versions(): { label: string; url: string; version: string }[] {
  return Array.from({ length: VERSION_MAX - VERSION_MIN + 1 }, (_, n) => {
    const version = `${VERSION_MIN + n}.0`;
    return { label: `Version ${version}`, url: `/services/data/v${version}`, version };
  });
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw notFound();
  }
}

/** Counts the call against the day's limit. Bulk answers do not carry the usage header. */
function spend(exchange: Exchange, org: Org, isBulk: boolean): void {
  const { stats, behaviour } = org;
  stats.startDay(org.store.clock.now());
  if (stats.apiRequests >= behaviour.apiRequestsMax) {
    throw new ApiError(403, 'REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.', {
      'sforce-limit-info': `api-usage=${stats.apiRequests}/${behaviour.apiRequestsMax}`,
    });
  }
  stats.apiRequests++;
  if (!isBulk)
    exchange.setHeader('sforce-limit-info', `api-usage=${stats.apiRequests}/${behaviour.apiRequestsMax}`);
}

async function route(exchange: Exchange, org: Org, version: string, parts: readonly string[]): Promise<void> {
  const [resource, first, second] = parts;
  if (resource === undefined) await exchange.sendJson(200, resources(version));
  else if (resource === 'limits') await exchange.sendJson(200, limits(org));
  else if (resource === 'query' || resource === 'queryAll') {
    if (first === undefined) await answerQuery(exchange, org, version, resource === 'queryAll');
    else await answerMore(exchange, org, first);
  } else if (resource === 'jobs' && first === 'query') {
    if (second === undefined) await answerJobs(exchange, org, version);
    else await answerJob(exchange, org, second, parts[3], version);
  } else if (resource === 'sobjects') await routeObject(exchange, org, version, parts.slice(1));
  else throw notFound();
}

function resources(version: string): Record<string, string> {
  const base = `/services/data/${version}`;
  const names = ['sobjects', 'query', 'queryAll', 'limits', 'jobs'];
  return {
    ...Object.fromEntries(names.map((name) => [name, `${base}/${name}`])),
    identity: '/services/oauth2/userinfo',
  };
}

function limits(org: Org): Record<string, { Max: number; Remaining: number }> {
  const { behaviour, stats } = org;
  const entry = (max: number, used: number) => ({ Max: max, Remaining: Math.max(0, max - used) });
  return {
    DailyApiRequests: entry(behaviour.apiRequestsMax, stats.apiRequests),
    DailyBulkV2QueryJobs: entry(behaviour.bulkQueryJobsMax, stats.bulkQueryJobs),
    DailyBulkV2QueryFileStorageMB: entry(976_562, 0),
    DailyBulkApiBatches: entry(15_000, 0),
    ConcurrentAsyncGetReportInstances: entry(200, 0),
    DataStorageMB: entry(20_480, 1024),
    FileStorageMB: entry(20_480, 0),
  };
}

/** A client that names a time since which nothing changed gets 304 and no body. */
async function answerDescribe(exchange: Exchange, table: Table, version: string): Promise<void> {
  const since = Date.parse(exchange.header('if-modified-since') ?? '');
  exchange.setHeader('last-modified', new Date(table.describedAt).toUTCString());
  if (since >= wholeSecond(table.describedAt)) await exchange.sendNothing(304);
  else await exchange.sendJson(200, describeObject(table, version));
}

async function routeObject(
  exchange: Exchange,
  org: Org,
  version: string,
  parts: readonly string[],
): Promise<void> {
  const [object, second, third] = parts;
  if (object === undefined) {
    await exchange.sendJson(200, describeGlobal(org.store.visibleTables(), version));
    return;
  }
  const table = org.store.find(object);
  if (table === undefined) throw notFound();
  if (second === undefined) {
    if (exchange.method === 'POST') await answerCreate(exchange, org, table);
    else await exchange.sendJson(200, { objectDescribe: describeObject(table, version), recentItems: [] });
  } else if (second === 'describe') await answerDescribe(exchange, table, version);
  else if (second === 'updated' || second === 'deleted')
    await answerReplication(exchange, org, table, second);
  else if (third === undefined) await answerRecord(exchange, org, table, second, version);
  else await answerExternal(exchange, org, table, second, third, version);
}
