import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { TYPES_PAGE, typesPage } from '../../../scripts/types-page.ts';
import { sources } from '../../../sources/registry.ts';

test('docs/types.md is what `npm run docs:types` makes', async () => {
  expect(readFileSync(TYPES_PAGE, 'utf8')).toBe(await typesPage());
});

test('no source names a type twice, and what it leaves out has a reason', () => {
  for (const { types } of Object.values(sources)) {
    expect(new Set(types.map(({ name }) => name)).size).toBe(types.length);
    for (const { type, note = '' } of types) if (type === null) expect(note).not.toBe('');
  }
});
