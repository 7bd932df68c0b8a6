import { z } from 'zod';
import type { Quota } from '../../schemas/quota.ts';

/** On most answers to a static token; answers of searches and to OAuth apps do not have these headers. */
export function parseDailyLimit(headers: Record<string, string>): Quota | undefined {
  const limit = countOf(headers['x-hubspot-ratelimit-daily']);
  const remaining = countOf(headers['x-hubspot-ratelimit-daily-remaining']);
  if (limit === undefined || remaining === undefined || limit === 0) return undefined;
  return { used: Math.max(0, limit - remaining), limit };
}

function countOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

const usageSchema = z.object({
  results: z.array(z.object({ usageLimit: z.number(), currentUsage: z.number() })),
});

/** The answer of `/account-info/…/api-usage/daily/private-apps`: all private apps of the account share one limit. */
export function quotaOf(answer: unknown): Quota | undefined {
  const first = usageSchema.safeParse(answer).data?.results[0];
  return first === undefined || first.usageLimit <= 0
    ? undefined
    : { used: first.currentUsage, limit: first.usageLimit };
}

/** An idle object costs one search and one page of archived records; associations are read on their own schedule. */
const IDLE_CALLS_PER_OBJECT = 2;
const RUNS_PER_DAY = 24;
/** Above this share of the account's limit, `check` warns: other applications live from the same limit. */
export const DAILY_SHARE_WARN = 0.25;

/** Calls that hourly runs make in a day when nothing changes; busy windows come on top. */
export function idleCallsPerDay(objects: number): number {
  return RUNS_PER_DAY * objects * IDLE_CALLS_PER_OBJECT;
}
