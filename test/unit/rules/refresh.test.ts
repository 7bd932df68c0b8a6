import { describe, expect, test } from '@jest/globals';
import type { Field, ObjectSchema } from '../../../schemas/object-schema.ts';
import { refreshStateSchema, type RefreshPolicy, type RefreshState } from '../../../schemas/refresh.ts';
import {
  addedFields,
  describeDue,
  dueReasons,
  NOTHING_DUE,
  onlyFields,
  refreshOf,
  refreshText,
  settled,
  withAdded,
} from '../../../rules/refresh.ts';

const at = (hour: number) => new Date(Date.UTC(2026, 10, 1, hour)).toISOString();
const field = (name: string, calculated = false): Field => ({
  ...{ name, column: name.toLowerCase(), type: { kind: 'string' as const }, sourceType: 'string' },
  ...{ nullable: true, calculated, custom: false },
});
const schemaOf = (...fields: Field[]): ObjectSchema => ({
  ...{ object: 'Contact', table: 'contact', key: 'Id', stamp: 'Stamp', deleted: null, hash: 'h' },
  fields: [field('Id'), field('Stamp'), ...fields],
});
const policy: RefreshPolicy = { formulasMs: 86_400_000, added: 'next-run', quotaShareMax: 0.2 };
const fresh: RefreshState = { ...NOTHING_DUE, formulasAt: at(0) };
const now = { now: at(1), run: 'two', checkpoint: at(5) };

test('the state that nothing is due is one that the ledger can keep', () => {
  expect(refreshStateSchema.parse(NOTHING_DUE)).toEqual(NOTHING_DUE);
});

describe('describing', () => {
  test('once a day, and when the configuration chooses other fields', () => {
    const state = { ...NOTHING_DUE, describedAt: at(0), choice: 'a' };
    expect(describeDue(NOTHING_DUE, '', at(0))).toBe(true);
    expect(describeDue(state, 'a', at(23))).toBe(false);
    expect(describeDue(state, 'a', at(24))).toBe(true);
    expect(describeDue(state, 'b', at(1))).toBe(true);
  });

  test('added is what the last description lacks; a first one adds nothing', () => {
    const known = schemaOf(field('A'), field('Gone'));
    expect(addedFields(schemaOf(field('A'), field('B'), field('C')), known)).toEqual(['B', 'C']);
    expect(addedFields(known, undefined)).toEqual([]);
  });

  test('two finds become one that holds for both', () => {
    const once = withAdded(NOTHING_DUE, ['B'], at(5), 'one');
    expect(withAdded(once, ['A', 'B'], at(3), 'two').added).toEqual({
      ...{ fields: ['A', 'B'], since: at(5), run: 'two' },
    });
    expect(withAdded(once, [], at(9), 'two')).toBe(once);
  });
});

describe('what is due', () => {
  const added = withAdded(fresh, ['B'], at(5), 'one');

  test('a new field: by a later run than the one that found it, once the rows before have landed', () => {
    expect(dueReasons(added, policy, now)).toEqual(['added']);
    expect(dueReasons(added, policy, { ...now, run: 'one' })).toEqual([]);
    expect(dueReasons(added, policy, { ...now, checkpoint: at(4) })).toEqual([]);
    expect(dueReasons(added, { ...policy, added: 'ask' }, now)).toEqual([]);
  });

  test('formulas: by their age, never when they are off', () => {
    expect(dueReasons(fresh, policy, { ...now, now: at(23) })).toEqual([]);
    expect(dueReasons(fresh, policy, { ...now, now: at(24) })).toEqual(['formulas']);
    expect(dueReasons(NOTHING_DUE, policy, now)).toEqual(['formulas']);
    expect(dueReasons(NOTHING_DUE, { ...policy, formulasMs: null }, now)).toEqual([]);
  });

  test('together: one reading of all fields', () => {
    const schema = schemaOf(field('A'), field('B'), field('F', true));
    const all = { ...added, formulasAt: null, deletionsLostBefore: at(0) };
    const due = dueReasons(all, policy, now);
    expect(refreshOf(all, due, schema)).toEqual({
      reasons: ['added', 'formulas', 'deletions'],
      fields: ['B', 'F'],
    });
    // Fields that are gone again, and an object without formulas.
    expect(refreshOf(all, ['added', 'formulas'], schemaOf(field('A')))).toBeNull();
    expect(refreshOf(all, ['deletions'], schema)).toEqual({ reasons: ['deletions'], fields: [] });
  });

  test('is told in words', () => {
    expect(refreshText({ reasons: ['added'], fields: ['B'] })).toBe('only B (new fields)');
    expect(refreshText({ reasons: [], fields: [] })).toBe('only ids');
    const many = Array.from({ length: 7 }, (_, index) => `F${index}`);
    expect(refreshText({ reasons: [], fields: many })).toBe('only F0, F1, F2, F3, F4 and 2 more');
  });
});

describe('settling', () => {
  const schema = schemaOf(field('A'), field('B'), field('F', true));
  const state = { ...withAdded(fresh, ['A', 'B'], at(5), 'one'), deletionsLostBefore: at(0) };
  const read = { fields: ['A'], schema, readAt: at(9), until: at(5), absentFound: true };

  test('takes away what was read, and only that', () => {
    expect(settled(state, read)).toMatchObject({
      ...{ added: { fields: ['B'] }, formulasAt: at(0), deletionsLostBefore: null, partialAt: at(9) },
    });
    expect(settled(state, { ...read, fields: ['A', 'B', 'F'] })).toMatchObject({
      ...{ added: null, formulasAt: at(9) },
    });
    expect(settled(state, { ...read, fields: undefined })).toMatchObject({
      ...{ added: null, formulasAt: at(9), partialAt: null },
    });
    expect(settled(state, { ...read, absentFound: false }).deletionsLostBefore).toBe(at(0));
  });

  test('not by a reading that ends before the rows that have the field by themselves', () => {
    expect(settled(state, { ...read, until: at(4) }).added?.fields).toEqual(['A', 'B']);
  });

  test('not by a reading that a later partial one has overtaken: its rows were stale', () => {
    const overtaken = { ...state, partialAt: at(10) };
    const after = settled(overtaken, { ...read, fields: undefined });
    expect(after.added?.fields).toEqual(['A', 'B']);
    expect(after.partialAt).toBe(at(10));
  });

  test('twice is once', () => {
    const once = settled(state, read);
    expect(settled(once, read)).toEqual(once);
  });
});

test('what a partial window reads: key, stamp, deleted flag and its fields, under a hash of its own', () => {
  const schema = { ...schemaOf(field('A'), field('D'), field('F')), deleted: 'D' };
  const part = onlyFields(schema, ['F']);
  expect(part.fields.map((one) => one.name)).toEqual(['Id', 'Stamp', 'D', 'F']);
  expect(part.hash).not.toBe(schema.hash);
  expect(onlyFields(schema, []).fields).toHaveLength(3);
});
