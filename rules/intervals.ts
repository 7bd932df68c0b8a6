import type { Instant } from '../schemas/instant.ts';
import type { IntervalState } from '../schemas/backfill.ts';
import type { Interval, Owner } from '../schemas/window.ts';
import { contains, overlaps } from './coverage.ts';
import { HeadwaterError } from './errors.ts';
import { addMs, earliest, gridFloor, ORIGIN, toMs } from './time.ts';
import { isOneOf, type WindowState } from './windows.ts';

export interface IntervalCells extends Interval {
  state: IntervalState;
  /** Grid cells that were joined. */
  cells: number;
}

/** Two years of hours. */
export const CELLS_MAX = 17_568;

/**
 * The grid of a range (end exclusive) with the state of each cell, neighbours of one state joined. The first and the last
 * cell are cut where the range starts and ends, so no moment outside the range is touched.
 */
export function decideIntervals(
  state: WindowState,
  range: Interval,
  everyMs: number,
  closedOwners: readonly Owner[],
): IntervalCells[] {
  const joined: IntervalCells[] = [];
  for (const cell of gridCells(range, everyMs)) {
    const cellState = stateOf(state, cell, closedOwners);
    const last = joined.at(-1);
    if (last !== undefined && last.state === cellState) {
      last.until = cell.until;
      last.cells += 1;
    } else joined.push({ ...cell, state: cellState, cells: 1 });
  }
  return joined;
}

/** The cells of a range, oldest first; INPUT_INVALID for one without a beginning or with too many cells. */
export function gridCells(range: Interval, everyMs: number): Interval[] {
  if (range.from >= range.until) return [];
  if (range.from === ORIGIN)
    throw new HeadwaterError('INPUT_INVALID', 'a range needs a beginning to be cut into intervals');
  const start = gridFloor(range.from, everyMs);
  const count = Math.ceil((toMs(range.until) - toMs(start)) / everyMs);
  if (count > CELLS_MAX) {
    throw new HeadwaterError(
      'INPUT_INVALID',
      `the range has ${count} intervals, more than ${CELLS_MAX}; ask for a shorter one`,
    );
  }
  const cells: Interval[] = [];
  let from: Instant = range.from;
  for (let index = 1; index <= count; index += 1) {
    const until = earliest(addMs(start, index * everyMs), range.until);
    cells.push({ from, until });
    from = until;
  }
  return cells;
}

function stateOf(state: WindowState, cell: Interval, closedOwners: readonly Owner[]): IntervalState {
  const touching = state.open.filter((one) => one.fields === undefined && overlaps(one, cell));
  if (touching.some((one) => !isOneOf(closedOwners, one.owner))) return 'open';
  if (touching.length > 0) return 'failed';
  return contains(state.coverage, cell) ? 'covered' : 'missing';
}
