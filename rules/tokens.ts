import type { CallClass, Quota } from '../schemas/quota.ts';
import { HeadwaterError } from './errors.ts';

export interface BucketRule {
  /** Calls per second that flow in, and how many the bucket holds. */
  perSecond: number;
  burst: number;
}

export interface Bucket {
  tokens: number;
  /** When `tokens` was true, ms since 1970. */
  atMs: number;
}

/** Share of the bucket that a class leaves to those before it: a webhook may drain it, a backfill may not. */
export const RESERVE_SHARE: Record<CallClass, number> = { webhook: 0, hourly: 0.1, backfill: 0.3 };

const DAY_MS = 86_400_000;
/** A wait longer than this is asked again in between; it also bounds a rate of nearly nothing. */
const WAIT_MS_MAX = 60_000;
/** Below the hour of a usual schedule, so that each run asks once. */
const REPORT_AGE_MS_MAX = 30 * 60_000;

/**
 * Takes `calls` tokens at once, or says when asking again makes sense. More than the bucket may ever give a class is granted
 * on a full bucket and leaves a debt, so the average rate holds for any size.
 */
export function takeTokens(
  bucket: Bucket | null,
  calls: number,
  callClass: CallClass,
  rule: BucketRule,
  nowMs: number,
): { bucket: Bucket; granted: boolean; waitMs: number } {
  if (!(rule.perSecond > 0) || !(rule.burst > 0)) {
    throw new HeadwaterError('CONFIG_INVALID', 'calls per second and burst must be above zero');
  }
  const full = refill(bucket, rule, nowMs);
  const reserve = rule.burst * RESERVE_SHARE[callClass];
  const needed = Math.min(reserve + calls, rule.burst);
  // The refill is a sum of fractions: a billionth of a call must not cost a wait.
  if (full.tokens + 1e-9 >= needed) {
    return { bucket: { tokens: full.tokens - calls, atMs: full.atMs }, granted: true, waitMs: 0 };
  }
  const waitMs = Math.ceil(((needed - full.tokens) / rule.perSecond) * 1_000);
  return { bucket: full, granted: false, waitMs: Math.min(Math.max(waitMs, 1), WAIT_MS_MAX) };
}

/** A clock that another process has ahead of ours adds nothing and takes nothing away. */
function refill(bucket: Bucket | null, rule: BucketRule, nowMs: number): Bucket {
  if (bucket === null) return { tokens: rule.burst, atMs: nowMs };
  const elapsedMs = Math.max(0, nowMs - bucket.atMs);
  const tokens = Math.min(rule.burst, bucket.tokens + (elapsedMs * rule.perSecond) / 1_000);
  return { tokens, atMs: Math.max(bucket.atMs, nowMs) };
}

/**
 * The stop line of the daily quota. A report of an earlier UTC day says nothing about today and is ignored; an old one too,
 * or nobody would ever learn that a rolling quota has room again: its first answer makes a new report.
 * QUOTA_EXHAUSTED carries the time until the next UTC day.
 */
export function assertQuota(
  connection: string,
  quota: (Quota & { atMs: number }) | null,
  callClass: CallClass,
  shareMax: Record<CallClass, number>,
  nowMs: number,
): void {
  if (quota === null || quota.limit <= 0 || nowMs - quota.atMs > REPORT_AGE_MS_MAX) return;
  if (Math.floor(quota.atMs / DAY_MS) < Math.floor(nowMs / DAY_MS)) return;
  if (quota.used / quota.limit < shareMax[callClass]) return;
  const line = Math.round(shareMax[callClass] * 100);
  throw new HeadwaterError(
    'QUOTA_EXHAUSTED',
    `${connection}: ${quota.used} of ${quota.limit} daily calls are used; ${callClass} calls stop at ${line} %`,
    { details: { used: quota.used, limit: quota.limit, callClass }, retryAfterMs: DAY_MS - (nowMs % DAY_MS) },
  );
}
