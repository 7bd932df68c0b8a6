import { describe, expect, test } from '@jest/globals';
import { explainField } from '../../../../rules/golden/explain.ts';
import * as presets from '../../../../rules/golden/presets.ts';
import { asksReview, compileRules, resolveProfile } from '../../../../rules/golden/resolve.ts';
import type { FieldClaim, RecordState } from '../../../../rules/golden/state.ts';
import { type ConflictRules, conflictRulesSchema, type FieldRule } from '../../../../schemas/conflicts.ts';
import type { ClaimValue } from '../../../../schemas/observation.ts';
import { at } from './histories.ts';

type Said = Partial<Omit<FieldClaim, 'value'>> & { value: ClaimValue };

/** A record that changed this field `second` seconds after the start. */
function record(
  source: string,
  claims: Record<string, Said>,
  second = 1,
  rest: Partial<RecordState> = {},
): RecordState {
  const filled = Object.entries(claims).map(([field, said]) => [
    field,
    { changedAt: at(second), claim: `${source}-${second}`, seq: 1, kind: 'explicit', confidence: 1, ...said },
  ]);
  return {
    ref: { source, object: 'Contact', record: '1' },
    deleted: false,
    everDeleted: false,
    stamp: at(second),
    version: '',
    claims: Object.fromEntries(filled),
    retracted: {},
    clamped: false,
    ...rest,
  };
}

const rulesOf = (rest: object): ConflictRules => conflictRulesSchema.parse({ profile: 'contact', ...rest });
const compiled = (rest: object) => compileRules(rulesOf(rest));

function name(rule: object, states: RecordState[], asOf = at(100)) {
  return resolveProfile(states, [], compiled({ fields: { name: rule } }), asOf).fields['name'];
}

const crm = (value: ClaimValue, second = 1, more: Partial<Said> = {}) =>
  record('crm', { name: { value, ...more } }, second);
const desk = (value: ClaimValue, second = 2, more: Partial<Said> = {}) =>
  record('desk', { name: { value, ...more } }, second);
const shop = (value: ClaimValue, second = 3, more: Partial<Said> = {}) =>
  record('shop', { name: { value, ...more } }, second);
const inferred = (confidence: number) => ({ kind: 'inferred' as const, confidence });

describe('prefer', () => {
  test.each<[string, object[], RecordState[], ClaimValue, string]>([
    ['latest', [{ by: 'latest' }], [crm('a'), desk('b')], 'b', 'latest'],
    ['earliest', [{ by: 'earliest' }], [crm('a'), desk('b')], 'a', 'earliest'],
    ['source', [{ by: 'source', order: ['crm', 'desk'] }], [desk('b'), crm('a')], 'a', 'source crm'],
    ['an unlisted source', [{ by: 'source', order: ['desk'] }], [shop('c'), desk('b')], 'b', 'source desk'],
    ['kind', [{ by: 'kind' }], [crm('a'), desk('b', 2, inferred(1))], 'a', 'explicit before inferred'],
    [
      'confidence',
      [{ by: 'confidence' }],
      [crm('a', 1, inferred(0.9)), desk('b', 2, inferred(0.2))],
      'a',
      'highest confidence',
    ],
    ['longest', [{ by: 'longest' }], [crm('Margaret'), desk('Maggie')], 'Margaret', 'longest'],
    ['frequency', [{ by: 'frequency' }], [crm('a'), desk('a'), shop('b')], 'a', 'most frequent'],
    ['frequency by kind', [{ by: 'frequency' }], [crm('1.50'), desk(1.5), shop(7)], 1.5, 'most frequent'],
    ['max of numbers', [{ by: 'max' }], [crm('9.5'), desk(10)], 10, 'greatest value'],
    [
      'max of long decimals',
      [{ by: 'max' }],
      [crm('9007199254740993.1'), desk('9007199254740993.01')],
      '9007199254740993.1',
      'greatest value',
    ],
    [
      'min of dates',
      [{ by: 'min' }],
      [crm('2026-02-01'), desk('2026-01-31T23:59:59.5Z')],
      '2026-01-31T23:59:59.5Z',
      'least value',
    ],
    [
      'a chain',
      [{ by: 'kind' }, { by: 'source', order: ['crm'] }],
      [crm('a', 1, inferred(1)), desk('b'), shop('c')],
      'c',
      'tie, the newest kept',
    ],
    [
      'what made a difference',
      [{ by: 'source', order: ['crm'] }, { by: 'latest' }],
      [crm('a'), desk('a', 9), shop('b')],
      'a',
      'source crm',
    ],
    [
      'the last that made a difference',
      [{ by: 'kind' }, { by: 'earliest' }],
      [crm('a'), desk('b'), shop('c', 3, inferred(1))],
      'a',
      'earliest',
    ],
    ['agreement', [{ by: 'latest' }], [crm('a'), desk('a')], 'a', 'all agree'],
    ['one claim', [{ by: 'latest' }], [crm('a')], 'a', 'only claim'],
  ])('%s', (_, prefer, states, value, decidedBy) => {
    expect(name({ prefer }, states)).toMatchObject({ value, decidedBy });
    expect(name({ prefer }, states.toReversed())).toMatchObject({ value, decidedBy });
  });

  test('nonBlank first, where a blank may win', () => {
    const prefer = [{ by: 'nonBlank' }, { by: 'latest' }];
    expect(name({ prefer, blank: 'clears' }, [crm('a'), desk('')])).toMatchObject({
      value: 'a',
      decidedBy: 'not blank',
    });
  });

  test.each(['max', 'min'])('a blank is neither great nor small: %s', (by) => {
    const prefer = [{ by }, { by: 'source', order: ['crm'] }];
    expect(name({ prefer, blank: 'clears' }, [crm(''), desk(0), shop(null)])?.value).toBe(0);
    expect(name({ prefer, blank: 'clears' }, [crm(''), shop(null)])?.value).toBe('');
    expect(name({ prefer, blank: 'clears' }, [crm(null), shop('')])?.value).toBe(null);
  });

  test('a tie is different values, not different claims', () => {
    const prefer = [{ by: 'source', order: ['crm'] }];
    expect(name({ prefer }, [desk('b'), shop('c')])).toMatchObject({ value: 'c', tied: true });
    expect(name({ prefer }, [desk('b'), shop('b')])).toMatchObject({ value: 'b', tied: false });
    expect(asksReview(compiled({ fields: { name: { prefer, onTie: 'review' } } }), 'name')).toBe(true);
    expect(asksReview(compiled({}), 'name')).toBe(false);
  });

  test('the total order goes on to the version, the claim and the record', () => {
    const [a, b] = [crm('a', 2), desk('b', 2)];
    expect(name({ prefer: [{ by: 'latest' }] }, [{ ...a, version: '2' }, b])).toMatchObject({ value: 'a' });
    expect(name({ prefer: [{ by: 'latest' }] }, [a, b])).toMatchObject({ value: 'b', claim: 'desk-2' });
    const same = [crm('a', 2, { claim: 'x' }), desk('b', 2, { claim: 'x' })];
    expect(name({ prefer: [{ by: 'latest' }] }, same)).toMatchObject({ value: 'b' });
  });

  test('contested: another source says something else, a blank says nothing', () => {
    const prefer = [{ by: 'source', order: ['crm'] }];
    expect(name({ prefer }, [crm('a'), desk('b')])?.contested).toBe(true);
    expect(name({ prefer }, [crm('1.50'), desk(1.5)])?.contested).toBe(false);
    expect(name({ prefer }, [crm('a'), desk(null)])?.contested).toBe(false);
    const twin = { ...crm('b', 0), ref: { source: 'crm', object: 'Contact', record: '2' } };
    expect(name({ prefer }, [crm('a'), twin])?.contested).toBe(false);
  });
});

describe('where and blank', () => {
  const fallback = { where: [{ sources: ['crm'] }, {}], prefer: [{ by: 'latest' }] };

  test.each<[string, object, RecordState[], ClaimValue | undefined]>([
    ['the first group that leaves a claim', fallback, [crm('a'), desk('b')], 'a'],
    ['the next group, when the first is empty', fallback, [desk('b'), shop('c')], 'c'],
    ['the next group, when the first is blank', fallback, [crm(null), desk('b')], 'b'],
    ['a blank that may win stays', { ...fallback, blank: 'clears' }, [crm(null), desk('b')], null],
    ['all are blank', fallback, [crm(null), desk('')], null],
    ['no group left', { ...fallback, where: [{ sources: ['shop'] }] }, [crm('a')], undefined],
    ['kinds', { ...fallback, where: [{ kinds: ['inferred'] }] }, [crm('a', 1, inferred(1)), desk('b')], 'a'],
    ['not yet too old', { ...fallback, where: [{ maxAgeMs: 98_000 }] }, [desk('b')], 'b'],
    ['too old', { ...fallback, where: [{ maxAgeMs: 97_999 }] }, [desk('b')], undefined],
  ])('%s', (_, rule, states, value) => {
    expect(name(rule, states)?.value).toEqual(value);
  });
});

describe('combine', () => {
  test.each<[string, ClaimValue[], ClaimValue, string]>([
    ['union', [['b', 'a'], 'c', ['a'], null], ['a', 'b', 'c'], 'union of 3'],
    ['sum', ['0.10', '0.20', 3], '3.30', 'sum of 3'],
    ['sum', [0.1, 0.2], 0.3, 'sum of 2'],
    ['sum', ['9007199254740993', '1e3', 'x'], '9007199254740993', 'sum of 3'],
    ['sum', ['-1.5', '1.25'], '-0.25', 'sum of 2'],
    ['sum', ['x', null], null, 'sum of 1'],
    ['any', [false, true, null], true, 'any of 2'],
    ['any', [false, null], false, 'any of 1'],
    ['all', [true, true], true, 'all of 2'],
    ['all', [true, false], false, 'all of 2'],
    ['all', [null, null], null, 'all of 0'],
    ['max', [2, '10.5', 10], '10.5', 'max of 3'],
    ['min', ['2026-01-02', '2026-01-01T12:00:00Z'], '2026-01-01T12:00:00Z', 'min of 2'],
  ])('%s of %j is %j', (combine, values, value, decidedBy) => {
    const states = values.map((one, index) => record(`s${index}`, { name: { value: one } }, index));
    const golden = name({ combine }, states);
    expect(golden).toMatchObject({ value, decidedBy, ref: null, claim: null });
    expect(name({ combine }, states.toReversed())).toEqual(golden);
  });

  test('where blanks count, an unknown stays unknown unless a known value settles it', () => {
    const rule = { combine: 'all', blank: 'clears' };
    expect(name(rule, [crm(true), desk(null)])?.value).toBe(null);
    expect(name(rule, [crm(false), desk(null)])?.value).toBe(false);
    expect(name({ ...rule, combine: 'any' }, [crm(true), desk(null)])?.value).toBe(true);
  });

  test('a union over its limit keeps what was said last', () => {
    const rule = { combine: 'union', limit: 2 };
    expect(name(rule, [crm(['a', 'b']), desk(['c'])])?.value).toEqual(['a', 'c']);
  });

  test('a custom rule gets the claims newest first', () => {
    const rules = rulesOf({ fields: { name: { combine: 'custom', fn: 'joined@1' } } });
    const custom = new Map([
      [
        'joined@1',
        (claims: readonly { value: ClaimValue }[]) => claims.map(({ value }) => JSON.stringify(value)).join(),
      ],
    ]);
    const { fields } = resolveProfile([crm('a'), desk('b')], [], compileRules(rules, custom), at(9));
    expect(fields['name']).toMatchObject({ value: '"b","a"', decidedBy: 'custom joined@1' });
    expect(() => compileRules(rules)).toThrow(/fields\.name\.fn: 'joined@1' is not registered/);
  });

  test('a custom rule that fails gives nothing, and says so without the error', () => {
    const rules = rulesOf({ fields: { name: { combine: 'custom', fn: 'broken@1' } } });
    const broken = () => {
      throw new Error('jane@example.com');
    };
    const { fields } = resolveProfile(
      [crm('a')],
      [],
      compileRules(rules, new Map([['broken@1', broken]])),
      at(9),
    );
    expect(fields['name']).toMatchObject({ value: null, decidedBy: 'custom broken@1 failed' });
  });
});

describe('groups, deletes, overrides', () => {
  const address = {
    groups: { address: ['street', 'city'] },
    fields: { address: { prefer: [{ by: 'latest' }] } },
  };
  const states = [
    record('crm', { street: { value: 'S', changedAt: at(1) }, city: { value: 'C', changedAt: at(9) } }),
    record('desk', { street: { value: 'T', changedAt: at(5) } }),
  ];

  test('the record with the newest part gives all parts', () => {
    const { fields } = resolveProfile(states, [], compiled(address), at(9));
    expect(fields).toMatchObject({
      street: { value: 'S', decidedBy: 'group address: latest', contested: true },
      city: { value: 'C', contested: false },
    });
    const { ref } = states[1] ?? {};
    const other = resolveProfile(
      states,
      [],
      compiled({ ...address, fields: { address: { prefer: [{ by: 'source', order: ['desk'] }] } } }),
      at(9),
    );
    expect(other.fields['street']?.ref).toEqual(ref);
    expect(Object.keys(other.fields)).toEqual(['street']);
  });

  test.each([
    ['all', 'newer-wins', [false, true], false],
    ['any', 'newer-wins', [false, true], true],
    ['all', 'newer-wins', [true, true], true],
    ['any', 'newer-wins', [false, false], false],
  ])('golden %s, undelete %s, records %j', (golden, undelete, gone, deleted) => {
    const all = gone.map((one, index) => ({
      ...(index ? desk('b') : crm('a')),
      deleted: one,
      everDeleted: one,
    }));
    const found = resolveProfile(all, [], compiled({ deletes: { golden, undelete } }), at(9));
    expect([found.deleted, 'name' in found.fields]).toEqual([deleted, gone.includes(false)]);
  });

  test('a record that came back counts, unless the rules let none come back', () => {
    const back = [{ ...crm('a'), everDeleted: true }];
    expect(resolveProfile(back, [], compiled({}), at(9)).deleted).toBe(false);
    const never = resolveProfile(back, [], compiled({ deletes: { undelete: 'never' } }), at(9));
    expect(never).toEqual({ deleted: true, fields: {} });
  });

  test('the last override of a field wins over every claim', () => {
    const said = [1, 2].map((seq) => ({ field: 'name', value: seq, id: `v${seq}`, seq, at: at(seq) }));
    const { fields } = resolveProfile([crm('a')], said.toReversed(), compiled({}), at(9));
    expect(fields['name']).toMatchObject({
      value: 2,
      claim: 'v2',
      ref: null,
      decidedBy: 'override',
      contested: true,
    });
  });

  test('rules that contradict themselves are refused', () => {
    const refused = (rest: object) => () => compiled(rest);
    const groups = { address: ['street', 'city'] };
    expect(refused({ groups, fields: { city: { prefer: [{ by: 'max' }] } } })).toThrow(
      'fields.city: is ruled by its group',
    );
    expect(refused({ groups: { ...groups, place: ['city', 'x'] } })).toThrow(
      'city is in the group address too',
    );
    expect(refused({ groups, fields: { address: { combine: 'union' } } })).toThrow(
      'Write fields.address with prefer',
    );
  });
});

describe('explain', () => {
  test('each claim has a verdict that a person can read', () => {
    const rules = compiled({
      fields: {
        name: {
          where: [{ sources: ['crm', 'desk', 'shop'] }],
          prefer: [{ by: 'source', order: ['crm', 'desk'] }],
        },
      },
    });
    const gone = { ...record('old', { name: { value: 'z' } }, 4), deleted: true };
    const taken = { ...crm(null), ref: { source: 'crm', object: 'Contact', record: '9' } };
    const retracted = { name: { ...taken.claims['name'], value: 'bad' } as FieldClaim };
    const states = [
      record('web', { name: { value: 'w' } }),
      gone,
      shop('c'),
      { ...taken, retracted },
      desk('b'),
      crm('a'),
    ];
    const { golden, considered } = explainField('name', states, [], rules, at(9));
    expect(golden).toMatchObject({ value: 'a', decidedBy: 'source crm' });
    expect(considered.map(({ ref, value, outcome, why }) => [ref.source, value, outcome, why])).toEqual([
      ['crm', 'a', 'won', 'The rule puts crm first.'],
      ['shop', 'c', 'lost', 'The rule does not list shop, so crm comes first.'],
      ['desk', 'b', 'lost', 'The rule puts crm before desk.'],
      ['crm', null, 'blank', 'It is blank, and a value wins over a blank here.'],
      ['web', 'w', 'filtered', 'The rule takes claims of crm, desk, shop only.'],
      ['crm', 'bad', 'retracted', 'An operator took this value back.'],
      ['old', 'z', 'deleted', `Its record is deleted since ${at(4)}.`],
    ]);
  });

  test('under an override nothing wins, and it says what would', () => {
    const said = [{ field: 'name', value: 'x', id: 'v', seq: 1, at: at(1) }];
    const { golden, considered } = explainField('name', [crm('a')], said, compiled({}), at(9));
    expect(golden?.value).toBe('x');
    expect(considered[0]).toMatchObject({
      outcome: 'lost',
      why: expect.stringContaining('Without it: No other record'),
    });
  });

  test('a combined value tells its parts', () => {
    const rules = compiled({ fields: { name: { combine: 'sum' } } });
    const { considered } = explainField('name', [crm(1), desk(2)], [], rules, at(9));
    expect(considered.map(({ outcome }) => outcome)).toEqual(['won', 'won']);
  });
});

describe('presets', () => {
  const both = [crm(''), desk('b')];
  test.each<[string, FieldRule, RecordState[], ClaimValue | undefined]>([
    ['lastWriteWins', presets.lastWriteWins(), [crm('a'), desk(null)], null],
    ['sourcePriority', presets.sourcePriority(['shop', 'crm']), [crm('a'), desk('b')], 'a'],
    ['preferUnlessBlank', presets.preferUnlessBlank('crm'), both, 'b'],
    ['always', presets.always('crm'), both, ''],
    ['twoWay', presets.twoWay(['crm', 'desk']), [...both, shop('c')], 'b'],
    ['notSynced', presets.notSynced('shop'), both, undefined],
    ['explicitOverInferred', presets.explicitOverInferred(), [crm('a'), desk('b', 2, inferred(1))], 'a'],
    ['mostFrequent', presets.mostFrequent(), [crm('a'), desk('a'), shop('c')], 'a'],
    ['union', presets.union(5), [crm('a'), desk('b')], ['a', 'b']],
    ['max', presets.max(), [crm(2), desk(1)], 2],
  ])('%s', (_, rule, states, value) => {
    expect(name(rule, states)?.value).toEqual(value);
  });
});
