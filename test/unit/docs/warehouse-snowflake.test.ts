import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { snowflakeConfigSchema } from '../../../warehouses/snowflake/config.ts';
import { tableType } from '../../../warehouses/snowflake/types.ts';

const PAGE = readFileSync('docs/warehouses/snowflake.md', 'utf8');

test('the page names every option with its real default', () => {
  const lines = [...PAGE.matchAll(/^\| `(\w+)`\s*\| ([^|]+?)\s*\|/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);
  const options = Object.keys(snowflakeConfigSchema.shape);
  const written = { kind: 'snowflake', account: 'a', user: 'u', token: 't', database: 'D' };
  const defaults = snowflakeConfigSchema.parse(written);
  expect(lines.map(([name]) => name).toSorted()).toEqual(options.toSorted());
  for (const [name = '', value = ''] of lines) {
    const real: unknown =
      name in written ? undefined : Object.entries(defaults).find(([key]) => key === name)?.[1];
    const told =
      real === undefined ? '–' : `\`${typeof real === 'string' ? `'${real}'` : JSON.stringify(real)}\``;
    expect([name, value]).toEqual([name, told]);
  }
});

test('the page names the type of every kind', () => {
  for (const kind of ['string', 'boolean', 'integer', 'double', 'date', 'time', 'timestamp', 'json'] as const)
    expect(PAGE).toMatch(
      new RegExp(`^\\| ${kind}\\s*\\| \`${tableType({ kind }).replaceAll(/[()]/g, String.raw`\$&`)}\``, 'm'),
    );
});
