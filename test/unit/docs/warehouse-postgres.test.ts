import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { keysAt } from '../../../config/mistakes.ts';
import { postgresConfigSchema } from '../../../warehouses/postgres/config.ts';
import { tableType } from '../../../warehouses/postgres/types.ts';

const PAGE = readFileSync('docs/warehouses/postgres.md', 'utf8');

test('the page names every option with its real default', () => {
  const lines = [...PAGE.matchAll(/^\| `(\w+)`\s*\| ([^|]+?)\s*\|/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);
  const options = keysAt(postgresConfigSchema, []);
  const defaults = postgresConfigSchema.parse({ kind: 'postgres', url: 'x' });
  expect(lines.map(([name]) => name).toSorted()).toEqual(options.toSorted());
  for (const [name = '', value = ''] of lines) {
    if (value === '–') continue;
    const real: unknown = Object.entries(defaults).find(([key]) => key === name)?.[1];
    expect([name, value]).toEqual([name, `\`${typeof real === 'string' ? `'${real}'` : String(real)}\``]);
  }
});

test('the page names the type of every kind', () => {
  for (const kind of ['string', 'boolean', 'integer', 'double', 'date', 'json'] as const)
    expect(PAGE).toMatch(new RegExp(`^\\| ${kind}\\s*\\| \`${tableType({ kind })}\``, 'm'));
});
