import { expect, test } from '@jest/globals';
import { maskValues } from '../../../sources/http.ts';

test.each([
  ["No such column 'Nope__c' on entity 'Contact'", "No such column 'Nope__c' on entity 'Contact'"],
  ['duplicate value found: jane.doe+x@example.co.uk is taken', 'duplicate value found: [value] is taken'],
  ["bad value for restricted picklist: 'Jane Doe'", "bad value for restricted picklist: '[value]'"],
  ['phone +1 (555) 123-4567 is wrong', 'phone [value] is wrong'],
  ['ERROR at Row:1:Column:8', 'ERROR at Row:1:Column:8'],
])('%s', (text, masked) => expect(maskValues(text)).toBe(masked));
