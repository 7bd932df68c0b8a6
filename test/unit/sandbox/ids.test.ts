import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { INDEX_MAX, checksumOf, idMaker, indexOfId, isId } from '../../../sandbox/salesforce/ids.ts';

const contactId = idMaker('003');
const anyIndex = fc.integer({ min: 0, max: INDEX_MAX });

test.each([
  // Pairs that Salesforce's own documentation and support pages show.
  ['0013000000Td1q5', 'AAB'],
  ['001A0000006Vm9r', 'IAC'],
])('the checksum of %s is %s', (id15, checksum) => {
  expect(checksumOf(id15)).toBe(checksum);
});

test('an id gives back its index, and its order is the order of indexes', () => {
  fc.assert(
    fc.property(anyIndex, anyIndex, (a, b) => {
      const [idA, idB] = [contactId(a), contactId(b)];
      expect(isId(idA)).toBe(true);
      expect(idA.slice(15)).toBe(checksumOf(idA.slice(0, 15)));
      expect(indexOfId('003', idA)).toBe(a);
      expect(indexOfId('003', idA.slice(0, 15))).toBe(a);
      expect(idA < idB).toBe(a < b);
    }),
  );
});

test('ids of another object and with a wrong checksum are not ours', () => {
  const id = contactId(123_456);
  expect(indexOfId('001', id)).toBeUndefined();
  expect(indexOfId('003', `${id.slice(0, 15)}AAC`)).toBeUndefined();
  expect(isId(`${id.slice(0, 15)}555`)).toBe(false);
});
