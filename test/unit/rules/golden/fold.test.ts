import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { canonicalJson } from '../../../../rules/golden/canonical.ts';
import { foldRecord } from '../../../../rules/golden/fold.ts';
import type { Retraction, Version } from '../../../../rules/golden/state.ts';
import type { ClaimValue } from '../../../../schemas/observation.ts';
import { at, law, SKEW_MS, value } from './histories.ts';

const REF = { source: 'crm', object: 'Contact', record: '1' };
let made = 0;

/** Read at once after it was made, unless said otherwise. */
function version(stamp: number, fields: Record<string, ClaimValue>, rest: Partial<Version> = {}): Version {
  made += 1;
  return {
    id: `o${made}`,
    seq: made,
    stamp: at(stamp),
    version: '',
    firstSeen: at(stamp),
    confirmedAt: at(stamp),
    deleted: false,
    fields,
    ...rest,
  };
}

const fold = (versions: Version[], retractions: Retraction[] = []) =>
  foldRecord(REF, versions, retractions, SKEW_MS);
const nameOf = (versions: Version[], retractions: Retraction[] = []) =>
  fold(versions, retractions).claims['name']?.value;

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  );
}

describe('canonical JSON', () => {
  test.each<[ClaimValue, string]>([
    [{ b: 1, a: [true, null, 'x"y'] }, '{"a":[true,null,"x\\"y"],"b":1}'],
    [-0, '0'],
    ['é', '"é"'],
    [{ '10': 1, '9': 2 }, '{"10":1,"9":2}'],
    [{}, '{}'],
  ])('of %j', (given, text) => expect(canonicalJson(given)).toBe(text));

  law(
    'canonical JSON is JSON, and the same for every order of keys',
    fc.property(fc.dictionary(fc.string(), value), (given) => {
      const { ['__proto__']: _, ...object } = given;
      expect(JSON.parse(canonicalJson(object))).toEqual(JSON.parse(JSON.stringify(object)));
      expect(canonicalJson(Object.fromEntries(Object.entries(object).toReversed()))).toBe(
        canonicalJson(object),
      );
    }),
  );
});

describe('what a record says now', () => {
  test('the newest version, and of a field that it did not read the newest that did', () => {
    const state = fold([version(2, { name: 'b' }), version(1, { name: 'a', city: 'x' })]);
    expect(state).toMatchObject({ stamp: at(2), deleted: false, clamped: false });
    expect(state.claims).toMatchObject({
      name: { value: 'b', changedAt: at(2) },
      city: { value: 'x', changedAt: at(1) },
    });
  });

  test('null claims that there is nothing, absent claims nothing', () => {
    expect(fold([version(1, { name: 'a' }), version(2, { name: null })]).claims['name']?.value).toBe(null);
    expect(fold([version(1, { name: 'a' }), version(2, {})]).claims['name']?.value).toBe('a');
  });

  test('changed_at is the start of the newest unbroken run, over versions that did not read the field', () => {
    const versions = [
      version(1, { name: 'a' }),
      version(2, { name: 'b' }),
      version(3, { name: 'a' }, { id: 'start' }),
      version(4, { city: 'x' }),
      version(5, { name: 'a' }),
    ];
    expect(fold(versions).claims['name']).toMatchObject({ changedAt: at(3), claim: 'start' });
  });

  test("the source's own time of a field replaces the run's start", () => {
    const times = { name: at(-50), constructor: at(-60) };
    const one = version(3, { name: 'a', constructor: 1, toString: 2 }, { times });
    expect(fold([one]).claims).toMatchObject({
      name: { changedAt: at(-50) },
      constructor: { changedAt: at(-60) },
      toString: { changedAt: at(3), kind: 'explicit' },
    });
    expect(fold([one, version(4, { name: 'a' })]).claims['name']?.changedAt).toBe(at(-50));
    expect(fold([one, version(4, { name: 'b' })]).claims['name']?.changedAt).toBe(at(4));
  });

  test('kind and confidence are those of the newest version that read it', () => {
    const inferred = { name: 0.4 };
    expect(fold([version(1, { name: 'a' }, { inferred })]).claims['name']).toMatchObject({
      kind: 'inferred',
      confidence: 0.4,
    });
    const confirmed = [version(1, { name: 'a' }, { inferred }), version(2, { name: 'a' })];
    expect(fold(confirmed).claims['name']).toMatchObject({
      kind: 'explicit',
      confidence: 1,
      changedAt: at(1),
    });
  });

  test('equal stamps are decided by the version, then by what was read last, then by the id', () => {
    const late = { confirmedAt: at(9) };
    expect(
      nameOf([
        version(1, { name: 'a' }, { version: '2' }),
        version(1, { name: 'b' }, { version: '1', ...late }),
      ]),
    ).toBe('a');
    expect(nameOf([version(1, { name: 'a' }, late), version(1, { name: 'b' })])).toBe('a');
    expect(nameOf([version(1, { name: 'a' }, { id: 'z' }), version(1, { name: 'b' }, { id: 'y' })])).toBe(
      'a',
    );
  });

  test('a record without versions makes no claims', () => {
    expect(fold([])).toMatchObject({ deleted: true, claims: {} });
  });

  law(
    'a single version costs no generality: alone and beside its own repetition it is folded alike',
    fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c'), value), fc.boolean(), (fields, deleted) => {
      const one = version(5, fields, {
        deleted,
        times: { a: at(1) },
        inferred: { b: 0.3 },
        firstSeen: at(-400),
      });
      expect(fold([one, one])).toEqual(fold([one]));
    }),
  );
});

describe('deletes', () => {
  const deletion = (stamp: number) => version(stamp, { name: 'gone' }, { deleted: true });

  test('a deleted version makes no claim; what the record said last is kept for explain', () => {
    expect(fold([deletion(1)])).toMatchObject({ deleted: true, everDeleted: true, claims: {} });
    expect(fold([version(1, { name: 'a' }), deletion(2)])).toMatchObject({
      deleted: true,
      claims: { name: { value: 'a' } },
    });
  });

  law(
    'a deletion and a later return, in every order: the newer wins',
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), (gone, back) => {
      fc.pre(gone !== back);
      for (const order of permutations([
        version(0, { name: 'a' }),
        deletion(gone),
        version(back, { name: 'a' }),
      ])) {
        expect(fold(order)).toMatchObject({ deleted: gone > back, everDeleted: true });
      }
    }),
  );
});

describe('times', () => {
  law(
    'two edits in one second, a fetch between and one after, in every order and whatever their ids: the later wins',
    fc.property(
      fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 2 }),
      value,
      value,
      (ids, before, after) => {
        const [one = '', two = ''] = ids;
        const first = version(7, { name: before }, { id: one, confirmedAt: at(7.5), firstSeen: at(7.6) });
        const second = version(7, { name: after }, { id: two, confirmedAt: at(7.9), firstSeen: at(8) });
        // The webhook of the second edit and the next poll deliver the same content once more.
        const webhook = { ...second, confirmedAt: at(8.5), firstSeen: at(7.9) };
        const backfill = { ...first, firstSeen: at(90) };
        for (const order of permutations([first, second, webhook, backfill])) {
          expect(nameOf(order)).toEqual(after);
        }
      },
    ),
  );

  law(
    'a clock in the far future is clamped by the first observation on any road, and loses to the next real change',
    fc.property(
      fc.integer({ min: 400, max: 1e8 }),
      fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 3_000 }),
      (ahead, seen, later) => {
        const wrong = version(ahead, { name: 'wrong' }, { id: 'w' });
        const roads = seen.map((second) => ({ ...wrong, firstSeen: at(second) }));
        const limit = Math.min(...seen) + SKEW_MS / 1_000;
        const alone = fold(roads);
        expect(alone.stamp).toBe(at(Math.min(ahead, limit)));
        expect(alone.clamped).toBe(ahead > limit);
        const real = version(limit + later, { name: 'right' }, { firstSeen: at(limit + later) });
        const orders = [
          [...roads, real],
          [real, ...roads.toReversed()],
          [...roads, real, ...roads],
        ];
        for (const order of orders) {
          expect(nameOf(order)).toBe(ahead > limit + later && limit >= limit + later ? 'wrong' : 'right');
        }
      },
    ),
  );

  test("a field's own time is clamped as well", () => {
    const one = version(1, { name: 'a' }, { times: { name: at(9_000_000) } });
    expect(fold([one]).claims['name']?.changedAt).toBe(at(1 + SKEW_MS / 1_000));
  });
});

describe('rollback', () => {
  const good = version(1, { name: 'good' });
  const bad = version(3, { name: 'bad' });
  const taken = (hold = false): Retraction => ({ field: 'name', value: '"bad"', runStart: at(3), hold });

  test('brings back what the record said before, or nothing', () => {
    const state = fold([good, bad], [taken()]);
    expect(state.claims['name']).toMatchObject({ value: 'good', changedAt: at(1) });
    expect(state.retracted['name']).toMatchObject({ value: 'bad', changedAt: at(3) });
    expect(fold([bad], [taken()]).claims).toEqual({});
  });

  law(
    'a rollback stays through every later poll that delivers the same value, and a new value counts',
    fc.property(fc.array(fc.integer({ min: 4, max: 99 }), { maxLength: 5 }), fc.boolean(), (polls, hold) => {
      const again = polls.map((second) => version(second, { name: 'bad', city: second }));
      for (const order of [
        [good, bad, ...again],
        [...again, bad, good],
      ]) {
        expect(nameOf(order, [taken(hold)])).toBe('good');
        expect(nameOf([...order, version(100, { name: 'new' })], [taken(hold)])).toBe(hold ? 'good' : 'new');
        expect(nameOf(order, [])).toBe('bad');
      }
    }),
  );

  test('a hold pins against every later run, the good old one does count', () => {
    const later = [version(5, { name: 'new' }), version(6, { name: 'bad' }), version(7, { name: 'newer' })];
    expect(nameOf([good, bad, ...later], [taken(true)])).toBe('good');
    expect(nameOf([good, bad, ...later.slice(0, 2)], [taken()])).toBe('bad');
  });

  test('an older version of the same run that arrives late changes nothing', () => {
    const early = version(2, { name: 'bad' });
    expect(nameOf([good, bad, early], [taken()])).toBe('good');
    expect(nameOf([good, bad, version(2, { name: 'between' })], [taken()])).toBe('between');
  });

  test("a run whose start is the source's own time is found by that time too", () => {
    const timed = version(3, { name: 'bad' }, { times: { name: at(2.5) } });
    for (const runStart of [at(2.5), at(3)]) {
      expect(nameOf([good, timed], [{ ...taken(), runStart }])).toBe('good');
    }
  });

  test('the same value in an earlier run of its own is not taken back', () => {
    const versions = [version(1, { name: 'bad' }), version(2, { name: 'good' }), bad];
    const both = [taken(), { ...taken(), value: '"good"', runStart: at(2) }];
    expect(fold(versions, both).claims['name']).toMatchObject({ value: 'bad', changedAt: at(1) });
  });

  test('a time of the field that comes with a later version names the run too', () => {
    const timed = version(4, { name: 'bad' }, { times: { name: at(2.5) } });
    expect(nameOf([good, bad, timed], [{ ...taken(), runStart: at(2.5) }])).toBe('good');
  });

  test('a time of the field that moves later does not bring a run back', () => {
    const timed = version(3, { name: 'bad' }, { times: { name: at(2.5) } });
    const saved = version(6, { name: 'bad' }, { times: { name: at(6) } });
    expect(fold([good, timed, saved]).claims['name']?.changedAt).toBe(at(6));
    expect(nameOf([good, timed, saved], [{ ...taken(), runStart: at(2.5) }])).toBe('good');
  });

  test('a hold whose run has moved away still pins from its time on', () => {
    const versions = [good, bad, version(5, { name: 'next' }), version(9, { name: 'new' })];
    const moved = { ...taken(true), runStart: at(8) };
    expect(nameOf(versions, [moved])).toBe('next');
    expect(nameOf(versions, [{ ...moved, hold: false }])).toBe('new');
  });

  test('a hold pins even against a later version with an older time of its own', () => {
    const merged = version(5, { name: 'other' }, { times: { name: at(-9) } });
    expect(nameOf([good, bad, merged], [taken(true)])).toBe('good');
    expect(nameOf([good, bad, merged], [taken()])).toBe('other');
  });

  test('another field, another value or an earlier run is not concerned', () => {
    expect(nameOf([good, bad], [{ ...taken(), field: 'city' }])).toBe('bad');
    expect(nameOf([good, bad], [{ ...taken(), value: '"else"' }])).toBe('bad');
    expect(nameOf([good, bad], [{ ...taken(), value: '"good"', runStart: at(1) }])).toBe('bad');
  });
});
