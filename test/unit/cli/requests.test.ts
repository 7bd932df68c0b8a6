import { describe, expect, test } from '@jest/globals';
import { checkObjects, oneOf, wholeNumber } from '../../../cli/chosen.ts';
import { backfillId, instantOf } from '../../../cli/commands/backfill.ts';
import { splitTarget } from '../../../cli/objects.ts';
import { failureOf } from '../../../cli/watch.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import type { BackfillRequest } from '../../../schemas/inputs.ts';
import { KINDS, valid } from '../config/kinds.ts';

const invalid = (remedy: string) => expect.objectContaining({ code: 'INPUT_INVALID', remedy });

const REQUEST: BackfillRequest = {
  connection: 'acme',
  from: '2026-11-01T00:00:00.000Z',
  to: '2026-11-02T00:00:00.000Z',
  reprocess: 'missing',
  maxActive: 2,
  newestFirst: false,
  dryRun: false,
};

describe('the id of a backfill', () => {
  test('is the same for the same request in any order of keys', () => {
    const reversed = Object.fromEntries(Object.entries(REQUEST).toReversed());
    expect(backfillId({ ...REQUEST, ...reversed })).toBe(backfillId(REQUEST));
    expect(backfillId(REQUEST)).toMatch(/^backfill\/acme\/[0-9a-f]{12}$/);
  });

  test.each<Partial<BackfillRequest>>([
    { dryRun: true },
    { objects: ['Lead'] },
    { to: '2026-11-03T00:00:00.000Z' },
  ])('differs with %j', (change) =>
    expect(backfillId({ ...REQUEST, ...change })).not.toBe(backfillId(REQUEST)),
  );
});

describe('a time as people type it', () => {
  test.each([
    ['2026-11-01', '2026-11-01T00:00:00.000Z'],
    ['2026-11-01T08:00', '2026-11-01T08:00:00.000Z'],
    ['2026-11-01T08:00:30Z', '2026-11-01T08:00:30.000Z'],
    ['2026-11-01T08:00+02:00', '2026-11-01T06:00:00.000Z'],
  ])('%s', (text, instant) => expect(instantOf('--from', text)).toBe(instant));

  test.each(['yesterday', '2026', '2026-13-01', '1', ''])('%j is refused', (text) => {
    expect(() => instantOf('--from', text)).toThrow(
      invalid('Write a UTC time such as 2026-11-01 or 2026-11-01T08:00.'),
    );
  });
});

test('objects must be configured', () => {
  const parsed = parseConfig(valid(), { file: 'f', home: '/h', kinds: KINDS });
  const acme = parsed.ok ? parsed.config.connections['acme'] : undefined;
  if (acme === undefined) throw new Error('there is no acme');
  expect(() => checkObjects(acme, ['Contact'])).not.toThrow();
  expect(() => checkObjects(acme, ['Contct'])).toThrow(invalid('Did you mean Contact?'));
  expect(() =>
    checkObjects({ ...acme, exclude: ['Contact'], objects: ['Contact', 'Lead'] }, ['Contact']),
  ).toThrow(invalid('It syncs: Lead.'));
  expect(() => checkObjects({ ...acme, objects: 'all' }, ['Anything'])).not.toThrow();
});

test('words and numbers are checked', () => {
  expect(oneOf('it', 'b', ['a', 'b'])).toBe('b');
  expect(() => oneOf('it', 'x', ['left', 'right'])).toThrow(invalid('Write left or right.'));
  expect(wholeNumber('it', undefined, { min: 1, max: 9, or: 5 })).toBe(5);
  for (const text of ['0', '10', '1.5', '-1', '', 'x'])
    expect(() => wholeNumber('it', text, { min: 1, max: 9, or: 5 })).toThrow(
      invalid('Write a whole number from 1 to 9.'),
    );
});

test('a target is a connection, or an object of one', () => {
  expect(splitTarget('acme')).toEqual({ connection: 'acme', object: undefined });
  expect(splitTarget('acme/Contact')).toEqual({ connection: 'acme', object: 'Contact' });
});

test('a failure in Temporal is what and remedy again', () => {
  const ended = { kind: 'failed' as const, code: 'AUTH_FAILED' as const, details: [] };
  expect(failureOf({ ...ended, message: 'refused → ask' })).toMatchObject({
    message: 'refused',
    remedy: 'ask',
  });
  expect(failureOf({ ...ended, message: 'refused' }).remedy).toMatch(/^Check the client id/);
});
