import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { expect, test } from '@jest/globals';
import { conflictPresets, defineConflicts, defineCustomRule } from '../../../config/define-config.ts';
import { conflictsSchema, parseConflicts } from '../../../config/conflicts.ts';
import { keysAt } from '../../../config/mistakes.ts';

const PAGE = readFileSync('docs/conflicts.md', 'utf8');
const examples = [...PAGE.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code);

/** Runs an example with the package's functions in place of its import; gives what it defines. */
function run(code: string): unknown {
  const body = stripTypeScriptTypes(code)
    .replace(/^import .*$/m, '')
    .replace(/export const \w+ =/, 'return');
  const names = ['conflictPresets', 'defineConflicts', 'defineCustomRule'];
  // oxlint-disable-next-line typescript/no-implied-eval -- the page's own code
  return new Function(...names, body)(conflictPresets, defineConflicts, defineCustomRule);
}

test.each(examples)('example %# is accepted as it is written', (code) => {
  expect(parseConflicts(run(code), 'page')).toMatchObject({ ok: true });
});

test('there are examples', () => expect(examples).toHaveLength(2));

test('the tables name every criterion, combination and preset', () => {
  const rows = [...PAGE.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)/g)].map(([, name]) => name),
  );
  const known = (rule: object) => {
    const parsed = parseConflicts({ profile: 'x', fields: { a: rule } }, 'page');
    const [line = ''] = parsed.ok ? [] : parsed.lines;
    const [, choices = ''] = line.split('Write ');
    return [...choices.matchAll(/'(\w+)'/g)].map(([, name]) => name);
  };
  const criteria = known({ prefer: [{ by: '?' }] });
  expect(criteria.length).toBeGreaterThan(9);
  expect(rows).toEqual(expect.arrayContaining([...criteria, ...known({ combine: '?' })]));
  for (const preset of Object.keys(conflictPresets)) expect(PAGE).toContain(`\`${preset}(`);
});

test('every key of the rules is explained', () => {
  const keys = [...keysAt(conflictsSchema, []), ...keysAt(conflictsSchema, ['fields', 'a'])];
  expect(keys.length).toBeGreaterThan(10);
  expect(keys.filter((key) => !new RegExp(`\\b${key}\\b`).test(PAGE))).toEqual([]);
});

test('the mistakes on the page are what is said', () => {
  const said = (fields: object, rest: object = {}) => {
    const parsed = parseConflicts({ profile: 'contact', fields, ...rest }, 'f');
    return parsed.ok
      ? []
      : parsed.lines.map((line) => line.replace('f: ', 'headwater.config.ts: conflicts.contact.'));
  };
  const prefer = [{ by: 'latest' }];
  const lines = [
    ...said({ email: { prefer: [{ by: 'newest' }] } }),
    ...said({ email: { perfer: [] } }),
    ...said({ phone: { where: [{ maxAge: '90' }] } }),
    ...said({ tags: { prefer, combine: 'union' } }),
    ...said({ city: { prefer } }, { groups: { address: ['street', 'city'] } }),
  ];
  const [, block = ''] = /^```text\n([\s\S]*?)\n```$/m.exec(PAGE) ?? [];
  expect(lines).toEqual(block.split('\n'));
});
