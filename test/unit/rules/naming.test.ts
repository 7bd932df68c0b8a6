import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { IDENTIFIER_CHARS_MAX, snakeCase, warehouseNames } from '../../../rules/naming.ts';

test.each([
  ['MailingCity', 'mailing_city'],
  ['Id', 'id'],
  ['SFDC_Id__c', 'sfdc_id__c'],
  ['Subscription__c', 'subscription__c'],
  ['MonthlyPrice__c', 'monthly_price__c'],
  ['HTTPServer2Name', 'http_server2_name'],
  ['HasOptedOutOfEmail', 'has_opted_out_of_email'],
  ['_deleted', 'x_deleted'],
  ['__proto__', 'x__proto__'],
  ['2ndAddress', 'x_2nd_address'],
  ['Größe', 'gro_e'],
  ['"; drop--', 'x___drop__'],
  ['', 'x'],
  ['😀', 'x__'],
])('%j becomes %j', (name, expected) => {
  expect(snakeCase(name)).toBe(expected);
});

test('of colliding names the one in snake case keeps it, whatever the order', () => {
  const names = ['FooBar', 'foo_bar', 'Foobar'];
  const result = warehouseNames(names);
  expect(result.get('foo_bar')).toBe('foo_bar');
  expect(result.get('Foobar')).toBe('foobar');
  expect(result.get('FooBar')).toMatch(/^foo_bar_[0-9a-z]{6}$/);
  for (const name of names) expect(warehouseNames(names.toReversed()).get(name)).toBe(result.get(name));
});

test('leaving out a name that collides with nothing renames nobody', () => {
  const all = warehouseNames(['A', 'FooBar', 'foo_bar']);
  const fewer = warehouseNames(['FooBar', 'foo_bar']);
  for (const [name, column] of fewer) expect(all.get(name)).toBe(column);
});

const name = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.stringMatching(/^[A-Za-z_]{1,8}$/),
  fc.string({ unit: fc.constantFrom('a', 'A', 'b', '_', '1'), minLength: 58, maxLength: 70 }),
);

test('names are unique, legal, bounded and never reserved', () => {
  fc.assert(
    fc.property(fc.array(name, { maxLength: 40 }), (names) => {
      const result = warehouseNames(names);
      expect(result.size).toBe(new Set(names).size);
      expect(new Set(result.values()).size).toBe(result.size);
      for (const column of result.values()) {
        expect(column).toMatch(/^[a-z][a-z0-9_]*$/);
        expect(column.length).toBeLessThanOrEqual(IDENTIFIER_CHARS_MAX);
      }
    }),
  );
});

test('the order of the names has no influence', () => {
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 20 }), (names) => {
      const forward = warehouseNames(names);
      const backward = warehouseNames(names.toReversed());
      for (const one of names) expect(backward.get(one)).toBe(forward.get(one));
    }),
  );
});
