import type { Quota } from '../../schemas/quota.ts';

/** The header on every REST answer: `api-usage=18/15000; per-app-api-usage=17/250(appName=…)`. */
export function parseLimitInfo(header: string | undefined): Quota | undefined {
  const match = /(?:^|[;,\s])api-usage=(\d+)\/(\d+)/.exec(header ?? '');
  if (match === null) return undefined;
  return { used: Number(match[1]), limit: Number(match[2]) };
}

/** From `/limits`: what remains of the calls in the rolling 24 hours. */
export function quotaOf(
  limits: Record<string, { Max: number; Remaining: number } | undefined>,
): Quota | undefined {
  const daily = limits['DailyApiRequests'];
  if (daily === undefined) return undefined;
  return { used: daily.Max - daily.Remaining, limit: daily.Max };
}

/** An idle object costs `/updated` and `/deleted`; one describeGlobal serves them all. */
const IDLE_CALLS_PER_OBJECT = 2;
const SHARED_CALLS_PER_RUN = 1;
const RUNS_PER_DAY = 24;
/** Above this share of the org's limit, `check` warns: other applications live from the same limit. */
export const DAILY_SHARE_WARN = 0.25;

/** Calls that hourly runs make in a day when nothing changes; busy windows come on top. */
export function idleCallsPerDay(objects: number): number {
  return RUNS_PER_DAY * (objects * IDLE_CALLS_PER_OBJECT + SHARED_CALLS_PER_RUN);
}
