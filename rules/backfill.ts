import type { Interval } from '../schemas/window.ts';
import type { IntervalCells } from './intervals.ts';
import { addMs, gridFloor } from './time.ts';

export interface SizedWindow extends Interval {
  /** Grid cells that it covers. */
  cells: number;
  rowsEstimate: number | null;
}

/**
 * Turns a stretch of neighbouring grid cells into windows of about `rowsTarget` rows: a year of quiet hours becomes one
 * window. Halves what is too large, along the grid, so it asks for at most two counts per window that it makes.
 */
export async function cutToSize(
  stretch: IntervalCells,
  everyMs: number,
  rowsTarget: number,
  count: (interval: Interval) => Promise<number | 'unknown'>,
): Promise<SizedWindow[]> {
  const { from, until, cells } = stretch;
  const rows = await count({ from, until });
  if (rows === 'unknown' || rows <= rowsTarget || cells <= 1) {
    return [{ from, until, cells, rowsEstimate: rows === 'unknown' ? null : rows }];
  }
  const firstCells = cells >> 1;
  const middle = addMs(gridFloor(from, everyMs), firstCells * everyMs);
  const first = await cutToSize({ ...stretch, until: middle, cells: firstCells }, everyMs, rowsTarget, count);
  const second = await cutToSize(
    { ...stretch, from: middle, cells: cells - firstCells },
    everyMs,
    rowsTarget,
    count,
  );
  return [...first, ...second];
}

/** Two counts for the receipt, then pages of 2,000 rows, or a bulk job with pages of 50,000. */
export function estimateCalls(rows: number | null): number {
  if (rows === null) return 10;
  return 3 + (rows > 10_000 ? 4 + Math.ceil(rows / 50_000) : Math.ceil(rows / 2_000));
}
