import type { Instant } from '../schemas/instant.ts';
import { addMs } from './time.ts';

export const RAW_AGE_MS_MAX = 7 * 86_400_000;
export const RAW_BYTES_MAX = 10 * 1024 ** 3;

/** Windows, receipts, runs and batches are told this long by default. */
export const FACTS_AGE_MS_MAX = 90 * 86_400_000;

/** What is older goes. Never while the stage still holds the files: a window that can land again needs its slices. */
export function factsBefore(now: Instant, factsMs: number, stageMs: number): Instant {
  return addMs(now, -Math.max(factsMs, stageMs));
}

export interface StagedWindow {
  window: string;
  bytes: number;
  newest: Instant;
}

/**
 * Which windows' files go, in this order: those past the age, then, while the stage is too large, those that every sink has
 * applied, then the others, the oldest first. A window that is being worked on (`open`) never goes.
 */
export function decideRemovals(
  staged: readonly StagedWindow[],
  options: {
    applied: ReadonlySet<string>;
    open: ReadonlySet<string>;
    now: Instant;
    ageMsMax?: number;
    bytesMax?: number;
  },
): string[] {
  const bytesMax = options.bytesMax ?? RAW_BYTES_MAX;
  const oldestKept = addMs(options.now, -(options.ageMsMax ?? RAW_AGE_MS_MAX));
  let bytes = staged.reduce((sum, one) => sum + one.bytes, 0);
  const removable = staged.filter((one) => !options.open.has(one.window)).sort(byAge);
  const expired = removable.filter((one) => one.newest < oldestKept);
  for (const one of expired) bytes -= one.bytes;
  const rest = removable.filter((one) => one.newest >= oldestKept);
  const inOrder = [
    ...rest.filter((one) => options.applied.has(one.window)),
    ...rest.filter((one) => !options.applied.has(one.window)),
  ];
  const removed = expired.map((one) => one.window);
  for (const one of inOrder) {
    if (bytes <= bytesMax) break;
    bytes -= one.bytes;
    removed.push(one.window);
  }
  return removed;
}

function byAge(a: StagedWindow, b: StagedWindow): number {
  if (a.newest !== b.newest) return a.newest < b.newest ? -1 : 1;
  return a.window < b.window ? -1 : 1;
}
