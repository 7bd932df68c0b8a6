import { expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pickPort } from '../../../cli/dev/ports.ts';
import { loadLines, readLines } from '../../../cli/loads.ts';
import { startFakeBigquery } from '../../support/fake-bigquery.ts';
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

/** What `plan` says of a BigQuery at this address. */
async function readBy(endpoint: string, objects: string[], ...kinds: string[]): Promise<string[]> {
  const home = await mkdtemp(join(tmpdir(), 'headwater-loads-'));
  const options = { kind: 'bigquery', project: 'fake-project', endpoint };
  const placed = {
    warehouse: { kind: 'bigquery', options },
    copies: kinds.map((name) => ({ kind: name, name, options: {} })),
    worker: { memoryMb: 200, threads: 1 },
  } as unknown as Config;
  const hourly = { ...connection(60 * MINUTE_MS), name: 'crm' };
  try {
    return await readLines({ config: placed, home }, hourly, objects);
  } finally {
    await rm(home, { recursive: true });
  }
}

test('what loads read is told by object, the largest first, with its day; a warehouse that is not paid so is not asked', async () => {
  const fake = await startFakeBigquery();
  try {
    expect(await readBy(fake.endpoint, ['Contact'])).toEqual([
      'bigquery: nothing was loaded yet that a load would read',
    ]);
    fake.tables.add('_headwater/batches');
    const fields = ['object', 'table'].map((name) => ({ name, type: 'STRING' }));
    const rows = [
      ['Contact', 'contact'],
      ['Lead', 'lead'],
    ];
    fake.plan = [{ fields, rows }, ...[2 ** 30, 2 ** 29, 2 ** 31, 2 ** 31].map((bytes) => ({ bytes }))];
    expect(await readBy(fake.endpoint, ['Contact', 'Lead', 'Never'], 'duckdb', 'snowflake')).toEqual([
      'bigquery: Lead reads 4.0 GiB a load, at most 96.0 GiB a day',
      'bigquery: Contact reads 1.5 GiB a load, at most 36.0 GiB a day',
      'bigquery: 2 objects read 5.5 GiB a load, at most 132.0 GiB a day',
    ]);
  } finally {
    await fake.close();
  }
});

test('a warehouse that is away costs one line, not the plan', async () => {
  const lines = await readBy(`http://127.0.0.1:${await pickPort(0)}`, ['Contact']);
  expect(lines).toEqual([expect.stringMatching(/^bigquery: what loads read is not known: .*ECONNREFUSED/)]);
});
