import { expect, test } from '@jest/globals';
import { mapTo } from '../../../mapping/mapping.ts';
import { targetsOf } from '../../../mapping/targets.ts';
import { consent, contact } from '../../../schemas/entities/index.ts';
import type { GoldenField } from '../../../schemas/profile.ts';

const MAPPINGS = [
  mapTo(contact, { fields: { jobTitle: 'Title', leadSource: { constant: 'web' } } }),
  mapTo(consent, { part: 'consent', fields: { email: 'Email' } }),
];
const record = (source: string, name: string, object = 'Contact', deleted = false) => ({
  ...{ source, object, record: name, deleted },
});
const heldBy = (source: string, name: string): GoldenField => ({
  ...{ value: 'x', ref: { source, object: 'Contact', record: name }, claim: 'c', kind: 'explicit' },
  ...{ confidence: 1, changedAt: '', decidedBy: 'latest', contested: false, tied: false },
});

function targets(
  records: ReturnType<typeof record>[],
  fields: string[],
  golden: Record<string, GoldenField> = {},
  entity = 'contact',
) {
  return targetsOf({
    profile: { entity, fields: golden, records },
    fields,
    systems: (field) =>
      field === 'email' || field === 'jobTitle' || field === 'leadSource' ? ['crm', 'hub'] : [],
    mappings: () => MAPPINGS,
  });
}

test('one record of each system, in the order of the systems: the one that holds the value, else the first', () => {
  const records = [
    record('hub', '9'),
    record('crm', '2'),
    record('crm', '1'),
    record('crm', '0', 'Contact', true),
  ];
  const ids = (found: ReturnType<typeof targets>) =>
    found.targets.map(({ source, record: name }) => `${source} ${name}`);
  expect(ids(targets(records, ['jobTitle']))).toEqual(['crm 1', 'hub 9']);
  expect(ids(targets(records, ['jobTitle'], { jobTitle: heldBy('crm', '2') }))).toEqual(['crm 2', 'hub 9']);
});

test('a field that no system can hold is refused with the reason; a system that does not know the customer is left out', () => {
  const found = targets([record('hub', '9')], ['jobTitle', 'leadSource', 'city']);
  expect(found.targets).toEqual([{ source: 'hub', object: 'Contact', record: '9', fields: ['jobTitle'] }]);
  expect(found.refused).toEqual([
    { field: 'leadSource', reason: 'is in no record of crm or hub that can be written' },
    { field: 'city', reason: 'has no system of record' },
  ]);
});

test('of an object with several mappings, the one that the record is of', () => {
  const records = [record('crm', '1', 'Contact/consent')];
  expect(targets(records, ['email'], {}, 'consent').targets).toHaveLength(1);
  expect(targets([record('crm', '1')], ['email'], {}, 'consent').targets).toEqual([]);
});
