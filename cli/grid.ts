import type { Verdict } from '../schemas/receipt.ts';
import type { Interval, Window } from '../schemas/window.ts';
import type { Receipt } from '../schemas/receipt.ts';

/** Columns of the grid: what fits beside names on a wide terminal. */
export const CELLS_MAX = 120;

export type CellState = Verdict | 'covered' | 'open' | 'missing';

export const GLYPHS: Record<CellState, string> = {
  proven: '●',
  moved: '◐',
  'transport-only': '○',
  accepted: '!',
  failed: '✗',
  covered: '■',
  open: '…',
  missing: '·',
};

export type GridWindow = Pick<Window, 'object' | 'from' | 'until' | 'state'> & { receipt: Receipt | null };

/** The newest `count` whole intervals that end at or before `now`, and the one that is running, oldest first. */
export function gridIntervals(nowMs: number, everyMs: number, count: number): Interval[] {
  const last = Math.floor(nowMs / everyMs) * everyMs;
  return Array.from({ length: Math.min(count, CELLS_MAX) }, (_, index) => {
    const from = last - (Math.min(count, CELLS_MAX) - 1 - index) * everyMs;
    return { from: new Date(from).toISOString(), until: new Date(from + everyMs).toISOString() };
  });
}

/**
 * What is known of one object in one interval: the worst verdict of the windows that cover it now. `windows` are newest
 * first, so that an interval read again counts with its newest receipt. `coverage` outlives them: what it alone still knows
 * is covered, by a receipt that is past the retention.
 */
export function cellState(
  interval: Interval,
  windows: readonly GridWindow[],
  now: string,
  coverage: readonly Interval[] = [],
): CellState {
  const until = interval.until < now ? interval.until : now;
  let uncovered: Interval[] = [{ from: interval.from, until }];
  const seen = new Set<CellState>();
  for (const window of windows) {
    if (window.state === 'abandoned') continue;
    const before = uncovered.length === 0 ? '' : JSON.stringify(uncovered);
    uncovered = uncovered.flatMap((part) => without(part, window));
    if (before === '' || before === JSON.stringify(uncovered)) continue;
    seen.add(window.receipt?.verdict ?? 'open');
  }
  const left = coverage.reduce((parts, one) => parts.flatMap((part) => without(part, one)), uncovered);
  if (JSON.stringify(left) !== JSON.stringify(uncovered)) seen.add('covered');
  uncovered = left;
  for (const state of [
    'failed',
    'open',
    'accepted',
    'transport-only',
    'covered',
    'moved',
    'proven',
  ] as const) {
    // The running interval is covered up to its newest window; a finished one must be covered whole.
    if (seen.has(state))
      return uncovered.length > 0 && interval.until <= now && state !== 'failed' ? 'missing' : state;
  }
  return 'missing';
}

function without(part: Interval, taken: Interval): Interval[] {
  if (taken.until <= part.from || taken.from >= part.until) return [part];
  const rest: Interval[] = [];
  if (taken.from > part.from) rest.push({ from: part.from, until: taken.from });
  if (taken.until < part.until) rest.push({ from: taken.until, until: part.until });
  return rest;
}
