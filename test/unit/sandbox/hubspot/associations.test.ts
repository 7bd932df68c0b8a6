import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Associations } from '../../../../sandbox/hubspot/associations.ts';
import { Twins } from '../../../../sandbox/hubspot/twins.ts';

const ROWS = 40;
const make = (): Associations =>
  new Associations({
    seed: 5,
    countOf: () => ROWS,
    twins: new Twins(5, { Contact: ROWS, Lead: 8, Account: 10 }),
  });

const changes = fc.array(
  fc.record({
    kind: fc.constantFrom('add', 'label', 'remove', 'move'),
    reversed: fc.boolean(),
    contact: fc.nat(ROWS + 5),
    company: fc.nat(ROWS + 5),
  }),
  { maxLength: 60 },
);

test('both directions tell of the same associations, and a removed one is gone', () => {
  fc.assert(
    fc.property(changes, (list) => {
      const links = make();
      for (const { kind, reversed, contact, company } of list) {
        const ends: readonly [string, number, string, number] = reversed
          ? ['companies', company, 'contacts', contact]
          : ['contacts', contact, 'companies', company];
        if (kind === 'add') links.add(...ends, []);
        else if (kind === 'label') links.add(...ends, [reversed ? 37 : 36]);
        else if (kind === 'remove') links.remove(...ends);
        else if (contact !== company) links.move('contacts', contact, company);
        const found = links.of('contacts', contact, 'companies').find((one) => one.index === company);
        if (kind === 'add' || kind === 'label')
          expect(found?.types.map(({ typeId }) => typeId)).toContain(279);
        if (kind === 'label') expect(found?.types.map(({ label }) => label)).toContain('Decision maker');
        if (kind === 'remove') expect(found).toBeUndefined();
        if (kind === 'move' && contact !== company)
          expect(links.of('contacts', contact, 'companies')).toEqual([]);
      }
      const forward: string[] = [];
      const backward: string[] = [];
      for (let n = 0; n <= ROWS + 5; n++) {
        for (const one of links.of('contacts', n, 'companies')) forward.push(`${n}-${one.index}`);
        for (const one of links.of('companies', n, 'contacts')) backward.push(`${one.index}-${n}`);
      }
      expect(backward.toSorted()).toEqual(forward.toSorted());
    }),
  );
});

test('types are told in the direction of the asker', () => {
  const links = make();
  const forward = links.typesBetween('contacts', 'companies')?.map(({ typeId }) => typeId);
  const backward = links.typesBetween('companies', 'contacts')?.map(({ typeId }) => typeId);
  expect([forward, backward]).toEqual([
    [279, 1, 36],
    [280, 2, 37],
  ]);
  expect(links.typesBetween('products', 'contacts')).toBeUndefined();
});
