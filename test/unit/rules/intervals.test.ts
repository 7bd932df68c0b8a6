import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { normalize } from '../../../rules/coverage.ts';
import { CELLS_MAX, decideIntervals, gridCells } from '../../../rules/intervals.ts';
import { addMs, fromMs, ORIGIN, toMs } from '../../../rules/time.ts';
import type { OpenWindow } from '../../../rules/windows.ts';

const HOUR = 3_600_000;
const at = (hour: number) => `2026-11-21T${String(hour).padStart(2, '0')}:00:00.000Z`;

function window(from: string, until: string, name: string): OpenWindow {
  const owner = { workflowId: name, runId: name };
  return { id: name, kind: 'past', from, until, owner, attempt: 1, createdAt: at(0) };
}

test('each cell says what is known of it, neighbours of one state joined', () => {
  const state = {
    coverage: [
      { from: ORIGIN, until: at(4) },
      { from: at(5), until: at(6) },
    ],
    open: [window(at(1), at(2), 'dead'), window(at(6), at(8), 'alive')],
  };
  expect(
    decideIntervals(state, { from: at(0), until: at(10) }, HOUR, [{ workflowId: 'dead', runId: 'dead' }]),
  ).toEqual([
    { from: at(0), until: at(1), state: 'covered', cells: 1 },
    { from: at(1), until: at(2), state: 'failed', cells: 1 },
    { from: at(2), until: at(4), state: 'covered', cells: 2 },
    { from: at(4), until: at(5), state: 'missing', cells: 1 },
    { from: at(5), until: at(6), state: 'covered', cells: 1 },
    { from: at(6), until: at(8), state: 'open', cells: 2 },
    { from: at(8), until: at(10), state: 'missing', cells: 2 },
  ]);
});

test('a cell that is covered in part is missing', () => {
  const state = { coverage: [{ from: ORIGIN, until: '2026-11-21T04:30:00.000Z' }], open: [] };
  expect(decideIntervals(state, { from: at(4), until: at(5) }, HOUR, [])).toMatchObject([
    { state: 'missing' },
  ]);
});

test('the cells are the range, cut on the grid', () => {
  const day = Date.parse('2026-11-21T00:00:00.000Z');
  const moment = fc.integer({ min: 0, max: 72 * HOUR });
  fc.assert(
    fc.property(moment, moment, fc.integer({ min: HOUR / 4, max: 30 * HOUR }), (start, end, everyMs) => {
      const range = { from: fromMs(day + start), until: fromMs(day + end) };
      const cells = gridCells(range, everyMs);
      expect(normalize(cells)).toEqual(normalize([range]));
      for (const [index, cell] of cells.entries()) {
        expect(toMs(cell.until) - toMs(cell.from)).toBeLessThanOrEqual(everyMs);
        if (index > 0) expect(toMs(cell.from) % everyMs).toBe(0);
      }
    }),
  );
});

test('a range without a beginning, or too fine a grid, is refused', () => {
  const refused = expect.objectContaining({ code: 'INPUT_INVALID' });
  expect(() => gridCells({ from: ORIGIN, until: at(1) }, HOUR)).toThrow(refused);
  expect(gridCells({ from: at(0), until: addMs(at(0), CELLS_MAX * HOUR) }, HOUR)).toHaveLength(CELLS_MAX);
  expect(() => gridCells({ from: at(0), until: addMs(at(0), CELLS_MAX * HOUR + 1) }, HOUR)).toThrow(refused);
  expect(gridCells({ from: at(1), until: at(1) }, HOUR)).toEqual([]);
});
