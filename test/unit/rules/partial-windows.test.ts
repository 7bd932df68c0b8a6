import { expect, test } from '@jest/globals';
import { decideIntervals } from '../../../rules/intervals.ts';
import { ORIGIN } from '../../../rules/time.ts';
import { decideWindow, type OpenWindow, type WindowRequest } from '../../../rules/windows.ts';

const hour = (count: number) => new Date(Date.UTC(2026, 10, 1, count)).toISOString();
const owner = (name: string) => ({ workflowId: name, runId: name });
const coverage = [{ from: ORIGIN, until: hour(4) }];
const open = (more: Partial<OpenWindow>): OpenWindow => ({
  ...{ id: 'w', kind: 'past', owner: owner('other'), attempt: 1, createdAt: hour(0) },
  ...{ from: ORIGIN, until: hour(3), fields: ['A'] },
  ...more,
});
const request = (more: Partial<WindowRequest> = {}): WindowRequest => ({
  owner: owner('me'),
  until: hour(9),
  closedOwners: [],
  ...more,
});
const asked = (fields: string[], more: Partial<WindowRequest> = {}) =>
  request({ past: { from: ORIGIN, until: hour(9) }, fields, ...more });

test('a partial window reads from the beginning to the checkpoint, and not before a first load', () => {
  expect(decideWindow({ coverage, open: [] }, asked(['A']))).toEqual({
    ...{ kind: 'open', windowKind: 'past', from: ORIGIN, until: hour(4) },
  });
  expect(decideWindow({ coverage: [], open: [] }, asked(['A'])).kind).toBe('first-load-missing');
});

test('one that a dead run left is resumed for the same fields, whatever its end', () => {
  const left = open({ fields: ['B', 'A'] });
  const dead = { closedOwners: [owner('other')] };
  expect(decideWindow({ coverage, open: [left] }, asked(['A', 'B'], dead))).toEqual({
    ...{ kind: 'resume', window: left, attempt: 2 },
  });
  expect(decideWindow({ coverage, open: [left] }, asked(['A'], dead)).kind).toBe('open');
  expect(decideWindow({ coverage, open: [open({ owner: owner('me') })] }, asked(['A'])).kind).toBe('resume');
});

test('one at a time: beside a live one nothing is begun', () => {
  const live = { coverage, open: [open({})] };
  expect(decideWindow(live, asked(['B']))).toEqual({ kind: 'in-progress', owner: owner('other') });
});

test('it never holds back, resumes as or stands for a window of all fields', () => {
  const state = { coverage, open: [open({ until: hour(9) })] };
  expect(decideWindow(state, request())).toMatchObject({ kind: 'open', windowKind: 'head', from: hour(4) });
  const past = { from: ORIGIN, until: hour(3) };
  expect(
    decideWindow({ coverage, open: [open({})] }, request({ past, closedOwners: [owner('other')] })),
  ).toEqual({
    ...{ kind: 'open', windowKind: 'past', ...past },
  });
  expect(decideIntervals(state, { from: hour(1), until: hour(3) }, 3_600_000, [])).toEqual([
    { from: hour(1), until: hour(3), state: 'covered', cells: 2 },
  ]);
});
