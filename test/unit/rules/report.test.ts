import { expect, test } from '@jest/globals';
import {
  deliveryReport,
  formatCalls,
  formatCount,
  formatInstant,
  formatWindow,
  runReport,
  waitingText,
} from '../../../rules/report.ts';
import { ORIGIN } from '../../../schemas/instant.ts';
import type { ObjectSummary, RunSummary } from '../../../schemas/run.ts';

const line: ObjectSummary = {
  object: 'Contact',
  window: 'w_1',
  from: '2026-11-20T08:00:00.000Z',
  until: '2026-11-20T09:00:00.000Z',
  state: 'landed',
  rows: 1_234_567,
  inserted: 1,
  updated: 2,
  unchanged: 0,
  deleted: 3,
  quarantined: 4,
  verdict: 'proven',
  seconds: 1.25,
};
const run: RunSummary = {
  connection: 'salesforce',
  workflowId: 'sync/salesforce/now',
  runId: 'r',
  trigger: 'manual',
  outcome: 'ok',
  startedAt: '2026-11-20T09:00:01.000Z',
  endedAt: null,
  idle: 2,
  objects: [line],
};

test.each([
  [0, '0'],
  [999, '999'],
  [1_000, '1,000'],
  [1_234_567, '1,234,567'],
])('a count of %d reads %s', (count, text) => expect(formatCount(count)).toBe(text));

test('moments are minutes, seconds where they have any, and -inf has a name', () => {
  expect(formatInstant('2026-11-20T08:00:00.000Z')).toBe('2026-11-20 08:00');
  expect(formatInstant('2026-11-20T08:00:07.000Z')).toBe('2026-11-20 08:00:07');
  expect(formatInstant(ORIGIN)).toBe('the beginning');
  expect(formatWindow(ORIGIN, '2026-11-20T08:00:00.000Z')).toBe('the beginning → 2026-11-20 08:00');
});

test('the table holds one row an object, in cells that do not wrap, and failures with code and remedy below', () => {
  const failed: ObjectSummary = {
    ...line,
    object: 'Lead',
    state: 'failed',
    verdict: null,
    code: 'X_Y',
    message: 'why → what',
  };
  const report = runReport({ ...run, objects: [line, failed] }, 'moving');
  const [head, , , , contact, lead] = report.split('\n');
  expect(head).toBe('**salesforce** · moving · 2 with changes · 2 idle');
  expect(contact).toBe(
    '|\u00A0Contact\u00A0|\u00A0✓\u00A0proven\u00A0|\u00A008:00\u00A0→\u00A009:00\u00A0|\u00A01,234,567\u00A0|\u00A01\u00A0|\u00A02\u00A0|\u00A03\u00A0|\u00A04\u00A0|\u00A01.3\u00A0s\u00A0|',
  );
  expect(lead).toContain('✗\u00A0X_Y');
  expect(report).toContain('- **Lead** `X_Y` why → what');
});

test('a run of hundreds of objects stays a bounded table', () => {
  const objects = Array.from({ length: 500 }, () => line);
  const report = runReport({ ...run, objects }, 'ok');
  expect(report.split('\n').length).toBeLessThan(70);
  expect(report).toContain('440\u00A0more');
});

test('a run that leaves a warehouse behind says why, and what goes on by itself', () => {
  const behind = [{ sink: 'lake', code: 'WAREHOUSE_UNAVAILABLE', message: 'Postgres does not answer' }];
  expect(runReport({ ...run, behind }, 'behind')).toContain(
    '- **lake** is behind: `WAREHOUSE_UNAVAILABLE` Postgres does not answer. What it lacks lands by itself, by `deliver/salesforce/lake`.',
  );
});

test('a delivery says where to, and how far; one that waits why, until when, and what helps', () => {
  const staged = (object: string): ObjectSummary => ({
    ...{ ...line, object, state: 'staged', code: 'WAREHOUSE_UNAVAILABLE', message: 'it does not answer' },
  });
  expect(deliveryReport({ ...run, objects: [line] }, 'lake', 'delivering').split('\n')[0]).toBe(
    '**salesforce → lake** · delivering · 1 window with 1,234,567 rows',
  );
  expect(deliveryReport({ ...run, objects: [] }, 'lake', 'away')).toBe('**salesforce → lake** · away');
  const next = '2026-11-20T09:05:00.000Z';
  const text = waitingText('salesforce', 'lake', [staged('Contact'), staged('Lead')], next);
  expect(text).toMatch(/^`WAREHOUSE_UNAVAILABLE` Contact: it does not answer\n/);
  expect(text).toContain('2 objects wait: Contact, Lead. The next look is at 2026-11-20 09:05 UTC');
  expect(text).toContain('`npx headwater check salesforce`');
  expect(text).toContain('`npx headwater migrate salesforce --to lake`');
  expect(waitingText('salesforce', 'lake', [staged('Lead')], null)).toContain(
    '1 object waits: Lead. It looks now. ',
  );
  const many = Array.from({ length: 12 }, (_, index) => staged(`Object${index}`));
  expect(waitingText('salesforce', 'lake', many, next)).toContain('Object9 and 2 more. ');
});

test.each([
  [0, 'no calls'],
  [1, "about 1 call, 1.0 % of a day's"],
])('%d calls read %s', (calls, text) => expect(formatCalls(calls, { limit: 100 })).toBe(text));
