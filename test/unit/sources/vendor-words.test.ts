import { expect, test } from '@jest/globals';
import { httpError, vendorCode, vendorWords, type HttpFailure } from '../../../sources/http.ts';
import { apiError as hubspotError } from '../../../sources/hubspot/api-error.ts';
import { PLAIN_CATEGORIES, READ_IN as HUBSPOT_READ_IN } from '../../../sources/hubspot/plain-texts.ts';
import { apiError as salesforceError } from '../../../sources/salesforce/api-error.ts';
import {
  LOGIN_HISTORY,
  PLAIN_CODES,
  PLAIN_LOGIN_CODES,
  READ_BULK_IN,
  READ_IN,
} from '../../../sources/salesforce/plain-texts.ts';

/** A bare name: nothing about its form tells that it is personal. */
const CANARY = 'Jane Canary';

function failure(body: unknown, status = 400): HttpFailure {
  return { status, headers: {}, text: JSON.stringify(body), retryAfterMs: undefined };
}

const said = ({ message, details }: { message: string; details: unknown }) =>
  message + JSON.stringify(details);

test.each([
  ['DUPLICATES_DETECTED', `${CANARY} exists already`],
  ['FIELD_CUSTOM_VALIDATION_EXCEPTION', `${CANARY} must have a phone`],
  ['UNKNOWN_EXCEPTION', `formula of ${CANARY} failed`],
  [CANARY, 'a name in the place of a code'],
  ['', CANARY],
])('I5: Salesforce: %s: %s', (errorCode, message) => {
  for (const status of [400, 401, 403, 404, 429, 500]) {
    const error = salesforceError(failure([{ errorCode, message }], status), 'acme.example');
    expect(said(error)).not.toContain('Canary');
  }
  const oauth = salesforceError(failure({ error: errorCode, error_description: message }), 'acme.example');
  expect(said(oauth)).not.toContain('Canary');
});

test('what is about fields, syntax and limits is said, with its code', () => {
  const error = salesforceError(
    failure([{ errorCode: 'INVALID_FIELD', message: "No such column 'Nope__c' on entity 'Contact'" }]),
    'acme.example',
  );
  expect(error.message).toBe(
    "acme.example answered 400 INVALID_FIELD: No such column 'Nope__c' on entity 'Contact'",
  );
});

test('what is withheld says so, and where it can be read', () => {
  const error = salesforceError(
    failure([{ errorCode: 'DUPLICATES_DETECTED', message: `${CANARY} exists` }]),
    'acme.example',
  );
  expect(error.message).toBe(
    'acme.example answered 400: DUPLICATES_DETECTED: its text is withheld, since it may hold personal values; ' +
      "it can be read in Salesforce's Developer Console, by repeating the query",
  );
});

test.each([
  [{ category: 'VALIDATION_ERROR', message: `firstname ${CANARY} is not valid` }],
  [{ category: CANARY, message: CANARY }],
  [{ message: CANARY }],
  [{ category: 'RATE_LIMITS', policyName: CANARY, message: 'wait' }],
  [{ error: CANARY, error_description: CANARY }],
])('I5: HubSpot: %j', (body) => {
  for (const status of [400, 401, 403, 404, 429, 500])
    expect(said(hubspotError(failure(body, status), 'api.example'))).not.toContain('Canary');
});

test('I5: an answer without a code of the vendor is a status alone', () => {
  expect(httpError(failure(CANARY), 'acme.example').message).toBe('acme.example answered 400');
  expect(salesforceError(failure(`<html>${CANARY}</html>`), 'acme.example').message).not.toContain('Canary');
});

test('even a code whose words are plain has its values masked', () => {
  const words = vendorWords('A', `bad value '${CANARY}' of jane@example.com`, {
    codes: new Set(['A']),
    readIn: 'the log',
  });
  expect(words).toBe("bad value '[value]' of [value]");
  expect(vendorCode('INVALID_FIELD')).toBe('INVALID_FIELD');
});

test('where a text can be read holds no arrow: that is what separates a message from its remedy', () => {
  for (const place of [READ_IN, READ_BULK_IN, LOGIN_HISTORY, HUBSPOT_READ_IN])
    expect(place).not.toContain('→');
});

test('no list has a code whose text repeats values', () => {
  const repeating =
    /DUPLICATE|VALIDATION|STRING_TOO_LONG|PICKLIST|REQUIRED|EMAIL|UNKNOWN_EXCEPTION|API_ERROR/i;
  for (const list of [PLAIN_CODES, PLAIN_LOGIN_CODES, PLAIN_CATEGORIES])
    expect([...list].filter((code) => repeating.test(code))).toEqual([]);
});
