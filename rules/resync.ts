import type { Instant } from '../schemas/instant.ts';
import type { ResyncState } from '../schemas/resync.ts';
import { formatInstant } from './report.ts';
import { toMs } from './time.ts';

/** One that failed, or still goes on, is not started again before this. */
const AGAIN_MS = 86_400_000;

/** Where the ledger keeps when a re-reading was started, as JSON. */
export const resyncKey = (connection: string, object: string): string => `resync/${connection}/${object}`;

/** `wholeAt`: when the last reading of all records and fields that has landed began; null: never told. */
export function resyncDue(look: {
  wholeAt: Instant | null;
  tried: ResyncState | null;
  everyMs: number;
  now: Instant;
  /** The same run plans the same thing when it is asked twice. */
  run: string;
}): boolean {
  const { wholeAt, tried, everyMs, now, run } = look;
  if (wholeAt !== null && toMs(now) - toMs(wholeAt) < everyMs) return false;
  return tried === null || tried.run === run || toMs(now) - toMs(tried.at) >= AGAIN_MS;
}

export function resyncText(wholeAt: Instant | null): string {
  const last = wholeAt === null ? 'an unknown time ago' : `at ${formatInstant(wholeAt)}`;
  return `full re-sync is due, the last whole reading was ${last}`;
}
