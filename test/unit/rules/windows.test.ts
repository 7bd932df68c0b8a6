import { describe, expect, test } from '@jest/globals';
import { ORIGIN } from '../../../rules/time.ts';
import {
  decideWindow,
  obsoleteWindows,
  type OpenWindow,
  readFrom,
  windowUntil,
  type WindowState,
} from '../../../rules/windows.ts';
import type { Interval, Owner } from '../../../schemas/window.ts';

const at = (hour: number) => `2026-11-21T${String(hour).padStart(2, '0')}:00:00.000Z`;
const owner = (name: string): Owner => ({ workflowId: `sync/${name}`, runId: `run-${name}` });
const us = owner('us');
const other = owner('other');

function open(from: string, until: string, by: Owner, more: Partial<OpenWindow> = {}): OpenWindow {
  return {
    id: `w_${from}${by.runId}`,
    kind: 'head',
    from,
    until,
    owner: by,
    attempt: 1,
    createdAt: at(0),
    ...more,
  };
}

const covered = (until: string): Interval[] => [{ from: ORIGIN, until }];

function decide(state: WindowState, until: string, closedOwners: Owner[] = [], past?: Interval) {
  return decideWindow(state, { owner: us, until, closedOwners, ...(past === undefined ? {} : { past }) });
}

describe('first', () => {
  test('an object without coverage is read from the beginning of time', () => {
    expect(decide({ coverage: [], open: [] }, at(8))).toEqual({
      kind: 'open',
      windowKind: 'first',
      from: ORIGIN,
      until: at(8),
    });
  });

  test('a backfill is told to run the first load first, even while one is under way', () => {
    const past = { from: at(3), until: at(4) };
    expect(decide({ coverage: [], open: [] }, at(8), [], past)).toEqual({ kind: 'first-load-missing' });
    const running = open(ORIGIN, at(7), other, { kind: 'first' });
    expect(decide({ coverage: [], open: [running] }, at(8), [], past)).toEqual({
      kind: 'first-load-missing',
    });
  });

  test('while the first load runs, the hours behind it are read already, and nothing is read twice', () => {
    const running = open(ORIGIN, at(7), other, { kind: 'first' });
    expect(decide({ coverage: [], open: [running] }, at(7))).toEqual({ kind: 'in-progress', owner: other });
    expect(decide({ coverage: [], open: [running] }, at(8))).toMatchObject({
      windowKind: 'head',
      from: at(7),
      until: at(8),
    });
  });

  test('a first load whose run has died is resumed', () => {
    const dead = open(ORIGIN, at(7), other, { kind: 'first', attempt: 3 });
    expect(decide({ coverage: [], open: [dead] }, at(8), [other])).toEqual({
      kind: 'resume',
      window: dead,
      attempt: 4,
    });
  });
});

describe('head', () => {
  test('reads from the checkpoint to U', () => {
    expect(decide({ coverage: covered(at(7)), open: [] }, at(8))).toEqual({
      kind: 'open',
      windowKind: 'head',
      from: at(7),
      until: at(8),
    });
  });

  test('counts what a live run works on, and not what a dead one left', () => {
    const window = open(at(7), at(8), other);
    expect(decide({ coverage: covered(at(7)), open: [window] }, at(9))).toMatchObject({
      from: at(8),
      until: at(9),
    });
    expect(decide({ coverage: covered(at(7)), open: [window] }, at(8))).toEqual({
      kind: 'in-progress',
      owner: other,
    });
  });

  test('nothing to do at or before the checkpoint', () => {
    for (const until of [at(7), at(6)]) {
      expect(decide({ coverage: covered(at(7)), open: [] }, until)).toEqual({
        kind: 'current',
        checkpoint: at(7),
      });
    }
  });

  test('covered islands beyond a gap do not move the start', () => {
    const state = { coverage: [...covered(at(5)), { from: at(6), until: at(7) }], open: [] };
    expect(decide(state, at(8))).toMatchObject({ windowKind: 'head', from: at(5), until: at(8) });
  });
});

describe('resume', () => {
  const dead = open(at(7), at(8), other, { attempt: 2 });

  test('a window at the checkpoint whose owner has closed: same bounds, attempt + 1', () => {
    expect(decide({ coverage: covered(at(7)), open: [dead] }, at(9), [other])).toEqual({
      kind: 'resume',
      window: dead,
      attempt: 3,
    });
  });

  test('the run’s own window, wherever it is: a repeated plan loses nothing', () => {
    const mine = open(at(8), at(9), us);
    const state = { coverage: covered(at(7)), open: [open(at(7), at(8), other), mine] };
    expect(decide(state, at(9))).toEqual({ kind: 'resume', window: mine, attempt: 2 });
  });

  test('a dead window behind a live one is resumed, not read by a second window', () => {
    const third = owner('third');
    const behind = open(at(8), at(9), third);
    const state = { coverage: covered(at(7)), open: [open(at(7), at(8), other), behind] };
    expect(decide(state, at(10), [third])).toEqual({ kind: 'resume', window: behind, attempt: 2 });
  });

  test('a dead window that others cover is left alone and given up', () => {
    const state = { coverage: covered(at(9)), open: [dead] };
    expect(decide(state, at(10), [other])).toMatchObject({ kind: 'open', from: at(9) });
    expect(obsoleteWindows(state, [other], at(10), null)).toEqual([dead]);
    expect(obsoleteWindows(state, [], at(10), null)).toEqual([]);
    expect(obsoleteWindows({ ...state, coverage: covered(at(7)) }, [other], at(10), null)).toEqual([]);
  });

  test('of two that start together, the one that reaches further', () => {
    const third = owner('third');
    const longer = open(at(7), at(9), third);
    const state = { coverage: covered(at(7)), open: [dead, longer] };
    expect(decide(state, at(10), [other, third])).toMatchObject({ kind: 'resume', window: longer });
  });
});

describe('past', () => {
  const past = { from: at(3), until: at(4) };
  const state = (...windows: OpenWindow[]): WindowState => ({ coverage: covered(at(7)), open: windows });

  test('reads a covered interval again', () => {
    expect(decide(state(), at(4), [], past)).toEqual({ kind: 'open', windowKind: 'past', ...past });
  });

  test('inside a live window it is in progress; beside one it is not', () => {
    const window = open(at(2), at(5), other, { kind: 'past' });
    expect(decide(state(window), at(4), [], past)).toEqual({ kind: 'in-progress', owner: other });
    const beside = open(at(2), at(3), other, { kind: 'past' });
    expect(decide(state(beside), at(4), [], past)).toMatchObject({ kind: 'open', windowKind: 'past' });
  });

  test('its repetition resumes its window; another interval of a dead backfill does not', () => {
    const same = open(at(3), at(4), other, { kind: 'past' });
    expect(decide(state(same), at(4), [other], past)).toMatchObject({ kind: 'resume', window: same });
    const wider = open(at(2), at(5), other, { kind: 'past' });
    expect(decide(state(wider), at(4), [other], past)).toMatchObject({ kind: 'open', windowKind: 'past' });
    expect(obsoleteWindows(state(wider), [other], at(4), null)).toEqual([]);
    expect(obsoleteWindows(state(wider), [other], '2026-11-29T00:00:00.000Z', null)).toEqual([wider]);
  });

  test('an interval beyond the checkpoint is the head, up to the end of the interval', () => {
    expect(decide(state(), at(12), [], { from: at(8), until: at(9) })).toMatchObject({
      windowKind: 'head',
      from: at(7),
      until: at(9),
    });
  });

  test('never reaches past what the source can prove visible', () => {
    expect(decide(state(), at(6), [], { from: at(5), until: at(8) })).toEqual({
      kind: 'open',
      windowKind: 'past',
      from: at(5),
      until: at(6),
    });
    expect(decide(state(), at(5), [], { from: at(6), until: at(8) })).toEqual({
      kind: 'current',
      checkpoint: at(7),
    });
  });

  test('a window that a dead run left at the checkpoint does not stand in for the past', () => {
    const dead = open(at(7), at(8), other);
    expect(decide(state(dead), at(4), [other], past)).toEqual({ kind: 'open', windowKind: 'past', ...past });
    expect(decide(state(dead), at(9), [other], { from: at(6), until: at(9) })).toMatchObject({
      kind: 'resume',
      window: dead,
    });
  });

  test('one backfill run works on several intervals and takes none from itself', () => {
    const head = open(at(7), at(8), us);
    expect(decide(state(head), at(4), [], past)).toEqual({ kind: 'open', windowKind: 'past', ...past });
    expect(decide(state(head), at(9), [], { from: at(8), until: at(9) })).toMatchObject({
      windowKind: 'head',
      from: at(8),
    });
    expect(decide(state(head), at(8), [], { from: at(7), until: at(8) })).toEqual({
      kind: 'resume',
      window: head,
      attempt: 2,
    });
  });

  test('a sync run never takes a backfill’s window', () => {
    const window = open(at(6), at(7), other, { kind: 'past' });
    expect(decide(state(window), at(8), [other])).toMatchObject({
      kind: 'open',
      windowKind: 'head',
      from: at(7),
    });
  });
});

test('U is the grid time for the schedule and now by hand, never past the visible', () => {
  const now = '2026-11-21T08:20:00.000Z';
  const base = { now, everyMs: 3_600_000, visibleUntil: '2026-11-21T08:15:00.000Z' };
  expect(windowUntil({ ...base, scheduled: true })).toBe(at(8));
  expect(windowUntil({ ...base, scheduled: false })).toBe(base.visibleUntil);
  expect(windowUntil({ ...base, scheduled: true, visibleUntil: '2026-11-21T07:50:00.000Z' })).toBe(
    '2026-11-21T07:50:00.000Z',
  );
});

test('reads start before the window, except at the beginning of time', () => {
  expect(readFrom(at(8), 300_000)).toBe('2026-11-21T07:55:00.000Z');
  expect(readFrom(ORIGIN, 300_000)).toBe(ORIGIN);
});
