import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { diffGolden } from '../../../../rules/golden/diff.ts';
import { explainField } from '../../../../rules/golden/explain.ts';
import { foldRecord } from '../../../../rules/golden/fold.ts';
import { compileRules, resolveProfile } from '../../../../rules/golden/resolve.ts';
import type { Override } from '../../../../rules/golden/state.ts';
import type { ConflictRules } from '../../../../schemas/conflicts.ts';
import { conflictRulesSchema } from '../../../../schemas/conflicts.ts';
import {
  at,
  conflictRules,
  FIELDS,
  history,
  law,
  overrides,
  rearranged,
  type RecordHistory,
  SKEW_MS,
} from './histories.ts';
import { oracleProfile, oracleRecord } from './oracle.ts';

const NOW = at(20);

const fold = ({ ref, deliveries, retractions }: RecordHistory) =>
  foldRecord(ref, deliveries, retractions, SKEW_MS);

function golden(records: readonly RecordHistory[], said: readonly Override[], rules: ConflictRules) {
  return resolveProfile(records.map(fold), said, compileRules(rules), NOW);
}

describe('I1: golden values are a function of the set of versions', () => {
  const twoOrders = history.chain((records) => fc.tuple(fc.constant(records), rearranged(records)));

  law(
    'order and repetition change no byte, whatever the rules',
    fc.property(twoOrders, overrides, conflictRules, ([records, again], said, rules) => {
      expect(JSON.stringify(golden(again, said.toReversed(), rules))).toBe(
        JSON.stringify(golden(records, said, rules)),
      );
    }),
  );

  law(
    'explanations do not depend on the order either',
    fc.property(twoOrders, conflictRules, fc.constantFrom(...FIELDS), ([records, again], rules, field) => {
      const explain = (all: RecordHistory[]) =>
        JSON.stringify(explainField(field, all.map(fold), [], compileRules(rules), NOW));
      expect(explain(again)).toBe(explain(records));
    }),
  );

  law(
    'an oracle that was written apart agrees',
    fc.property(history, overrides, conflictRules, (records, said, rules) => {
      const slow = records.map(({ ref, deliveries, retractions }) =>
        oracleRecord(ref, deliveries, retractions, SKEW_MS, rules.deletes.undelete),
      );
      const { deleted, fields } = golden(records, said, rules);
      const expected = oracleProfile(slow, said, rules, NOW);
      expect(deleted).toBe(expected.deleted);
      expect(Object.keys(fields)).toEqual(Object.keys(expected.fields));
      for (const [field, found] of Object.entries(fields)) {
        expect(found).toEqual({ ...expected.fields[field], decidedBy: found.decidedBy });
      }
    }),
  );

  law(
    'a road that missed older versions gives the same values for what it read',
    fc.property(history, ([record]) => {
      if (!record) return;
      const all = foldRecord(record.ref, record.deliveries, [], SKEW_MS);
      const newest = record.deliveries.filter(
        ({ id }) =>
          foldRecord(
            record.ref,
            record.deliveries.filter((one) => one.id !== id),
            [],
            SKEW_MS,
          ).stamp < all.stamp,
      );
      const late = foldRecord(record.ref, newest, [], SKEW_MS);
      for (const [field, { value }] of Object.entries(late.claims)) {
        expect([field, all.claims[field]?.value]).toEqual([field, value]);
      }
    }),
  );
});

describe('what explains and compares', () => {
  law(
    'an explanation has the golden value of the profile and a verdict for every claim',
    fc.property(history, overrides, conflictRules, (records, said, rules) => {
      const states = records.map(fold);
      const compiled = compileRules(rules);
      const { fields } = resolveProfile(states, said, compiled, NOW);
      for (const field of FIELDS) {
        const { golden: found, considered } = explainField(field, states, said, compiled, NOW);
        expect(found).toEqual(fields[field] ?? null);
        const told = considered.filter(({ outcome }) => outcome !== 'retracted');
        expect(told).toHaveLength(states.filter(({ claims }) => Object.hasOwn(claims, field)).length);
        const won = considered.filter(({ outcome }) => outcome === 'won');
        if (found?.ref)
          expect(won.map(({ ref, value }) => ({ ref, value }))).toEqual([
            { ref: found.ref, value: found.value },
          ]);
        if (found?.decidedBy === 'override') expect(won).toEqual([]);
        for (const { why } of considered) expect(why).toMatch(/^[A-Z].*\.$/);
      }
    }),
  );

  law(
    'a difference names the fields whose value changed, and no others',
    fc.property(history, conflictRules, conflictRules, (records, rules, others) => {
      const [before, after] = [golden(records, [], rules).fields, golden(records, [], others).fields];
      const changes = diffGolden(before, after);
      const named = changes.map(({ field }) => field);
      for (const field of FIELDS) {
        const same = JSON.stringify(before[field]?.value) === JSON.stringify(after[field]?.value);
        expect([field, named.includes(field)]).toEqual([field, !same]);
      }
      expect(diffGolden(before, before)).toEqual([]);
    }),
  );
});

describe('rules that hold one by one', () => {
  law(
    'a group is whole: every field of it comes from one record, and none is filled from another',
    fc.property(history, conflictRules, (records, rules) => {
      const grouped = { ...rules, groups: { address: ['street', 'city'] } };
      const states = records.map(fold);
      const { fields } = resolveProfile(states, [], compileRules(grouped), NOW);
      const refs = ['street', 'city'].flatMap((field) => fields[field]?.ref ?? []);
      expect(new Set(refs.map((ref) => JSON.stringify(ref))).size).toBeLessThan(2);
      const [ref] = refs;
      const state = states.find((one) => one.ref === ref);
      for (const field of ['street', 'city'])
        expect(fields[field]?.value).toEqual(state?.claims[field]?.value);
    }),
  );

  law(
    "an operator's value stands above every rule, and releasing it brings the old one back",
    fc.property(history, overrides, conflictRules, (records, said, rules) => {
      const without = golden(records, [], rules).fields;
      const { fields } = golden(records, said, rules);
      for (const field of new Set([...Object.keys(fields), ...Object.keys(without)])) {
        const newest = said
          .filter((one) => one.field === field)
          .toSorted((a, b) => a.seq - b.seq)
          .at(-1);
        if (newest) expect(fields[field]).toMatchObject({ decidedBy: 'override', claim: newest.id });
        else expect(fields[field]).toEqual(without[field]);
      }
    }),
  );

  test('rules as they are stored give the same as compiled from their defaults', () => {
    const rules = conflictRulesSchema.parse({ profile: 'contact' });
    expect(compileRules(rules).defaults.plain).toBe(true);
  });
});
