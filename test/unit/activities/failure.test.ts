import { expect, test } from '@jest/globals';
import { withoutRoot } from '../../../activities/failure.ts';
import { namesOf } from '../../../activities/names.ts';
import { ERRORS, withNames } from '../../../rules/errors.ts';
import { ORIGIN } from '../../../schemas/instant.ts';
import type { Ledger } from '../../../stores/ledger/ledger.ts';

const ALL = {
  connection: 'acme',
  object: 'Contact',
  window: 'w_1',
  from: 'beginning',
  until: '2026-11-21T09:00:00.000Z',
};

test('a stack names files within the project, not where the project lies', () => {
  const stack = `Error: no
    at run (file:///home/me/water/activities/plan.ts:3:1)
    at work (/home/me/water/node_modules/x/y.js:1:2)
    at node:internal/timers:5:1`;
  expect(withoutRoot(stack, '/home/me/water')).toBe(`Error: no
    at run (activities/plan.ts:3:1)
    at work (node_modules/x/y.js:1:2)
    at node:internal/timers:5:1`);
  expect(withoutRoot(new Error('here').stack ?? '')).toContain('(test/unit/activities/failure.test.ts:');
});

test('every remedy is a sentence without placeholders once its names are known', () => {
  for (const { remedy } of Object.values(ERRORS)) expect(withNames(remedy, ALL)).not.toMatch(/<\w+>/);
});

test.each([
  ['Run `npx headwater discover <connection>` and', {}, 'Run `npx headwater discover` and'],
  ['`npx headwater sync <connection> --allow-shrink`', {}, '`npx headwater sync --allow-shrink`'],
  ['`npx headwater receipts <connection> <object>`', { connection: 'acme' }, '`npx headwater receipts acme`'],
  ['`npx headwater receipts <connection> <object>`', {}, '`npx headwater receipts`'],
  ['`npx headwater logs <connection>/<object>`', { connection: 'acme' }, '`npx headwater logs acme`'],
  ['`npx headwater logs <connection>/<object>`', {}, '`npx headwater logs`'],
])('%s with %j', (remedy, names, said) => expect(withNames(remedy, names)).toBe(said));

test('a failed step is named by its window, or by what its input says', async () => {
  const window = { object: 'Contact', from: ORIGIN, until: ALL.until };
  const ledger = { progress: () => Promise.resolve({ window }) } as unknown as Ledger;
  expect(await namesOf(ledger, { connection: 'acme', window: 'w_1' })).toEqual(ALL);
  expect(await namesOf(ledger, { given: { connection: 'acme' } })).toEqual({ connection: 'acme' });
  const broken = { progress: () => Promise.reject(new Error('no')) } as unknown as Ledger;
  expect(await namesOf(broken, { connection: 'acme', window: 'w_1' })).toEqual({
    connection: 'acme',
    window: 'w_1',
  });
});
