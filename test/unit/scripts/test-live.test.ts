import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { LIVE, missingFor } from '../../live/variables.ts';

/** With these variables and no other of the suites. */
function run(environment: Record<string, string>): Promise<{ code: unknown; told: string; stopped: string }> {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, ['scripts/test-live.ts'], { env }, (error, told, stopped) =>
      resolve({ code: error === null ? 0 : error.code, told, stopped }),
    );
  });
}

test('every suite on a real account says what it needs, and names nothing else', () => {
  const suites = readdirSync('test/live').filter((name) => name.endsWith('.live.ts'));
  expect(suites.toSorted()).toEqual(
    Object.keys(LIVE)
      .map((name) => `warehouse-${name}.live.ts`)
      .toSorted(),
  );
  for (const [name, { needs, about }] of Object.entries(LIVE)) {
    const named = `${needs.flat().join(' ')} ${about}`;
    const used = readFileSync(`test/live/warehouse-${name}.live.ts`, 'utf8').matchAll(
      new RegExp(`\\b${name.toUpperCase()}_[A-Z_]+\\b`, 'g'),
    );
    for (const [variable] of used) expect([variable, named.includes(variable)]).toEqual([variable, true]);
  }
  expect(
    missingFor('redshift', { REDSHIFT_CLUSTER: 'c', REDSHIFT_DATABASE: 'd', REDSHIFT_BUCKET: '' }),
  ).toEqual(['REDSHIFT_BUCKET is not set', 'REDSHIFT_REGION is not set']);
});

test('without WAREHOUSES each suite is skipped and says how it would run', async () => {
  const { code, told } = await run({});
  expect([code, told.trim().split('\n').length]).toEqual([0, Object.keys(LIVE).length]);
  expect(told).toContain(
    'SKIPPED: postgres on a real account. Set POSTGRES_URL, then run `WAREHOUSES=postgres npm run test:live`',
  );
});

test('a suite that lacks its variables, or is not there, ends with a line that says so', async () => {
  const { code, stopped } = await run({ WAREHOUSES: 'redshift, oracle' });
  expect(code).toBe(2);
  expect(stopped).toMatch(
    /^redshift: none of REDSHIFT_HOST, REDSHIFT_WORKGROUP, REDSHIFT_CLUSTER is set, REDSHIFT_DATABASE is not set/,
  );
  expect(stopped).toMatch(/WAREHOUSES names oracle; there are bigquery, postgres, redshift, snowflake\./);
});
