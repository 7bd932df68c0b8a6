import { expect, test } from '@jest/globals';
import { rawTable, warehouses } from '../../../warehouses/registry.ts';

test('a statement names the table of a connection as each warehouse keeps it, behind its prefix', () => {
  const named = Object.keys(warehouses).map((kind) => [
    kind,
    rawTable({ kind, options: { schemaPrefix: 'eu_' } }, 'crm', 'contact'),
  ]);
  expect(Object.fromEntries(named)).toEqual({
    // Its own words, and its prefix, come with the statement.
    bigquery: '"crm"."contact"',
    duckdb: '"crm"."contact"',
    postgres: '"eu_crm"."contact"',
    redshift: '"eu_crm"."contact"',
    snowflake: '"EU_CRM"."CONTACT"',
  });
});

test('a name that is too long is cut as the warehouse cut it', () => {
  const long = 'a'.repeat(80);
  const name = rawTable({ kind: 'postgres', options: {} }, 'crm', long);
  expect(name).toMatch(/^"crm"\."a+_[0-9a-f]{8}"$/);
  expect(name.length).toBeLessThan(80);
});
