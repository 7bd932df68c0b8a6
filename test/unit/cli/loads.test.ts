import { expect, test } from '@jest/globals';
import { loadLines } from '../../../cli/loads.ts';
import type { Config, ConnectionConfig } from '../../../config/schema.ts';

const MINUTE_MS = 60_000;
const config = (kind: string, ...copies: string[]) =>
  ({
    warehouse: { kind, options: {} },
    copies: copies.map((name) => ({ kind: name, name, options: {} })),
  }) as unknown as Config;
const connection = (everyMs: number, landEvery?: number) =>
  ({
    schedule: { everyMs },
    ...(landEvery === undefined ? {} : { webhooks: { landEvery } }),
  }) as unknown as ConnectionConfig;

test('a warehouse that neither counts loads nor pays for them has no line', () => {
  expect(loadLines(config('duckdb', 'postgres'), connection(60 * MINUTE_MS, 5_000))).toEqual([]);
});

test('runs and pushed changes are loads, and the latter come no more often than the warehouse bears', () => {
  expect(loadLines(config('duckdb', 'snowflake'), connection(60 * MINUTE_MS))).toEqual([
    'snowflake: at most 24 loads per object and day (24 by runs)',
  ]);
  expect(loadLines(config('snowflake'), connection(60 * MINUTE_MS, 5_000))).toEqual([
    'snowflake: at most 312 loads per object and day (24 by runs; 288 of pushed changes, no more often than every 5m: its compute would never sleep)',
  ]);
  expect(loadLines(config('snowflake'), connection(60 * MINUTE_MS, 10 * MINUTE_MS))).toEqual([
    'snowflake: at most 168 loads per object and day (24 by runs; 144 of pushed changes)',
  ]);
});

test('more loads than the warehouse takes in a day are marked', () => {
  const [often = ''] = loadLines(config('bigquery'), connection(MINUTE_MS, 5_000));
  expect(often).toMatch(/^✗ bigquery: at most 2,880 loads per object and day of 1,500 that it takes/);
  const [hourly = ''] = loadLines(config('bigquery'), connection(60 * MINUTE_MS, 5_000));
  expect(hourly).toMatch(/^bigquery: at most 1,464 .* no more often than every 1m/);
});
