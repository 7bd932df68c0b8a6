import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { ERRORS } from '../../../rules/errors.ts';
import { ERRORS_PAGE, errorsPage } from '../../../scripts/errors-page.ts';

test('docs/errors.md is what the catalog says; `npm run docs:errors` makes it again', () => {
  expect(readFileSync(ERRORS_PAGE, 'utf8')).toBe(errorsPage());
});

test('every code has one row, and each remedy is one sentence or more, with a full stop', () => {
  const rows = errorsPage().match(/^\| `[A-Z_]+` \| (?:yes|no) \| .+\. \|$/gm) ?? [];
  expect(rows).toHaveLength(Object.keys(ERRORS).length);
});
