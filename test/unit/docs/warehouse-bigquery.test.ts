import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { keysAt } from '../../../config/mistakes.ts';
import { bigqueryConfigSchema } from '../../../warehouses/bigquery/config.ts';
import { tableType } from '../../../warehouses/bigquery/types.ts';

const PAGE = readFileSync('docs/warehouses/bigquery.md', 'utf8');

test('the page names every option with its real default', () => {
  const lines = [...PAGE.matchAll(/^\| `(\w+)`\s*\| ([^|]+?)\s*\|/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);
  const defaults = bigqueryConfigSchema.parse({ kind: 'bigquery', project: 'acme-data' });
  expect(lines.map(([name]) => name).toSorted()).toEqual(keysAt(bigqueryConfigSchema, []).toSorted());
  for (const [name = '', value = ''] of lines) {
    if (value === '–') continue;
    const real: unknown = Object.entries(defaults).find(([key]) => key === name)?.[1];
    expect([name, value]).toEqual([name, `\`${typeof real === 'string' ? `'${real}'` : String(real)}\``]);
  }
});

test('the page names the type of every kind, and says that it never ran on the real service', () => {
  for (const kind of ['string', 'boolean', 'integer', 'double', 'date', 'time', 'timestamp', 'json'] as const)
    expect(PAGE).toMatch(new RegExp(`^\\| ${kind}\\s*\\| \`${tableType({ kind })}\``, 'm'));
  expect(PAGE).toContain('never ran against the real service');
});
