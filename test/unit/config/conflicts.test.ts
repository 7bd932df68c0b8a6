import { describe, expect, test } from '@jest/globals';
import { customRules, defineConflicts, defineCustomRule, parseConflicts } from '../../../config/conflicts.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import * as presets from '../../../rules/golden/presets.ts';
import { conflictRulesSchema } from '../../../schemas/conflicts.ts';
import { KINDS, valid } from './kinds.ts';

const parse = (rest: object) => parseConflicts({ profile: 'contact', ...rest }, 'f.ts');
const lines = (rest: object) => {
  const parsed = parse(rest);
  return parsed.ok ? [] : parsed.lines;
};
const rules = (rest: object) => {
  const parsed = parse(rest);
  if (!parsed.ok) throw new Error(parsed.lines.join('\n'));
  return parsed.rules;
};

describe('as written, as stored', () => {
  test('durations become milliseconds, and the form is the canonical one', () => {
    const made = rules(
      defineConflicts({
        profile: 'contact',
        clock: { maxSkew: '2m' },
        fields: {
          value: { where: [{ maxAge: '90d', kinds: ['explicit'] }, {}], prefer: [{ by: 'max' }] },
          tags: { combine: 'union', limit: 9 },
          owner: presets.always('a'),
          all: presets.union(),
        },
        groups: { address: ['street', 'city'] },
      }),
    );
    expect(made.clock.maxSkewMs).toBe(120_000);
    expect(made.fields['value']?.where).toEqual([{ maxAgeMs: 7_776_000_000, kinds: ['explicit'] }, {}]);
    expect(conflictRulesSchema.parse(made)).toEqual(made);
  });

  test('nothing written is the newest claim of each field', () => {
    expect(rules({})).toEqual(conflictRulesSchema.parse({ profile: 'contact' }));
  });

  test('what a field does not say, the defaults say', () => {
    const defaults = {
      where: [{ sources: ['a'] }],
      prefer: [{ by: 'longest' }],
      blank: 'clears',
      onTie: 'review',
    };
    const { fields } = rules({
      defaults,
      fields: {
        a: { onTie: 'stable' },
        b: { combine: 'all', blank: 'skip' },
        c: { prefer: [{ by: 'max' }] },
        d: { where: [{}] },
      },
    });
    expect(fields['a']).toEqual({ ...defaults, onTie: 'stable' });
    expect(fields['b']).toEqual({ combine: 'all', blank: 'skip', onTie: 'review' });
    expect(fields['c']).toEqual({ prefer: [{ by: 'max' }], blank: 'clears', onTie: 'review' });
    expect(fields['d']).toEqual({ ...defaults, where: [{}] });
  });
});

describe('each mistake is one line', () => {
  const field = (rule: object) => ({ fields: { x: rule } });
  const order = { by: 'source', order: ['a'] };
  test.each<[string, object, string]>([
    ['an unknown key', { feilds: {} }, 'f.ts: feilds: is unknown. Did you mean fields?'],
    [
      'an unknown key of a rule',
      field({ perfer: [] }),
      'f.ts: fields.x.perfer: is unknown. Did you mean prefer?',
    ],
    [
      'an unknown criterion',
      field({ prefer: [{ by: 'lates' }] }),
      `f.ts: fields.x.prefer[0].by: "lates" is not possible here. Did you mean 'latest'? Write 'latest', 'earliest', 'source', 'kind', 'nonBlank', 'longest', 'confidence', 'frequency', 'max' or 'min'.`,
    ],
    [
      'a source without its order',
      field({ prefer: [{ by: 'source' }] }),
      `f.ts: fields.x.prefer[0].order: is missing. Write the sources, the best first, such as ['crm', 'shop'].`,
    ],
    [
      'an order without its source',
      field({ prefer: [{ ...order, by: 'latest' }] }),
      `f.ts: fields.x.prefer[0].order: belongs to by: 'source'. Remove it, or write by: 'source'.`,
    ],
    [
      'both prefer and combine',
      field({ prefer: [order], combine: 'all' }),
      'f.ts: fields.x.combine: a rule has either prefer or combine. Remove one of them.',
    ],
    [
      'a limit of something else',
      field({ combine: 'all', limit: 3 }),
      `f.ts: fields.x.limit: needs combine: 'union'.`,
    ],
    ['a function without its rule', field({ fn: 'a@1' }), `f.ts: fields.x.fn: needs combine: 'custom'.`],
    [
      'a custom rule without its function',
      field({ combine: 'custom' }),
      `f.ts: fields.x.fn: is missing. Write the function's name, such as 'riskScore@3'.`,
    ],
    [
      'a function without a version',
      field({ combine: 'custom', fn: 'a' }),
      `f.ts: fields.x.fn: "a" is not possible here: write a name with its version, such as 'riskScore@3'.`,
    ],
    [
      'a function that nobody registered',
      field({ combine: 'custom', fn: 'never@1' }),
      `f.ts: fields.x.fn: 'never@1' is not registered. Write defineCustomRule('never@1', …) first.`,
    ],
    [
      'a duration',
      field({ where: [{ maxAge: '90' }] }),
      `f.ts: fields.x.where[0].maxAge: "90" is not a duration. Write for example '1h' or '15m'.`,
    ],
    [
      'a member with a rule of its own',
      { ...field({ prefer: [order] }), groups: { g: ['x', 'y'] } },
      'f.ts: fields.x: is ruled by its group. Write the rule as fields.g, or take x out of the group.',
    ],
    [
      'a group of one',
      { groups: { g: ['x'] } },
      'f.ts: groups.g: A list is not possible here. Write a list of at least 2.',
    ],
    ['no profile', { profile: undefined }, 'f.ts: profile: is missing. Write text.'],
  ])('%s', (_, rest, line) => {
    expect(lines(rest).map((found) => found.replace(/ Registered: .*$/, ''))).toEqual([line]);
  });

  test('in a configuration the path begins with its place', () => {
    const input = (conflicts: object) =>
      parseConfig({ ...valid(), conflicts }, { file: 'f.ts', home: '/home', kinds: KINDS });
    const parsed = input({ contact: { profile: 'contact', deletes: { golden: 'some' } } });
    expect(parsed).toMatchObject({
      lines: [`f.ts: conflicts.contact.deletes.golden: "some" is not possible here. Write 'all' or 'any'.`],
    });
    expect(input({ contact: { profile: 'kontact' } })).toMatchObject({
      lines: [
        `f.ts: conflicts.contact.profile: 'kontact' stands under 'contact'. Write the same name in both places.`,
      ],
    });
    expect(input({ contact: { profile: 'contact' } })).toMatchObject({
      config: { conflicts: { contact: { clock: { maxSkewMs: 300_000 } } } },
    });
  });
});

describe('custom rules', () => {
  test('are known by name and version, and the same code may come again', () => {
    const make = () => () => null;
    expect(defineCustomRule('test-rule@1', make())).toBe('test-rule@1');
    defineCustomRule('test-rule@1', make());
    expect(customRules().has('test-rule@1')).toBe(true);
    expect(rules({ fields: { x: { combine: 'custom', fn: 'test-rule@1' } } }).fields['x']).toMatchObject({
      fn: 'test-rule@1',
    });
    expect(() => defineCustomRule('test-rule@1', () => 1)).toThrow('is defined twice');
    expect(() => defineCustomRule('test-rule', () => 1)).toThrow('has no version');
  });
});
