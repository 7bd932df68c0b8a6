import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { keysAt } from '../../../config/mistakes.ts';
import { duckdbConfigSchema } from '../../../warehouses/duckdb/config.ts';
import { tableType } from '../../../warehouses/duckdb/types.ts';

const PAGE = readFileSync('docs/warehouses/duckdb.md', 'utf8');

test('the page names every option with its real default', () => {
  const lines = [...PAGE.matchAll(/^\| `(\w+)`\s*\| ([^|]+?)\s*\|/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);
  const defaults = duckdbConfigSchema.parse({ kind: 'duckdb', path: 'x' });
  expect(lines.map(([name]) => name).toSorted()).toEqual(keysAt(duckdbConfigSchema, []).toSorted());
  const told = lines.filter(([, value]) => value !== '–');
  expect(told).toEqual([['lockWaitMsMax', `\`${defaults.lockWaitMsMax}\``]]);
});

test('the page names the type of every kind', () => {
  for (const kind of ['string', 'boolean', 'integer', 'double', 'date', 'time', 'timestamp', 'json'] as const)
    expect(PAGE).toMatch(new RegExp(`^\\| ${kind}\\s*\\| \`${tableType({ kind })}\``, 'm'));
});
