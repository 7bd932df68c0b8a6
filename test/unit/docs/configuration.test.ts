import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { z } from 'zod';
import { formatDuration } from '../../../config/quantities.ts';
import { keysAt } from '../../../config/mistakes.ts';
import { configSchema } from '../../../config/schema.ts';
import { salesforceConfigSchema } from '../../../sources/salesforce/config.ts';
import { salesforce } from '../../../sources/salesforce/index.ts';
import { duckdbConfigSchema } from '../../../warehouses/duckdb/config.ts';

const PAGE = readFileSync('docs/configuration.md', 'utf8');
const DEPTH_MAX = 6;

/** Dotted names of the options without options of their own. */
function leaves(schema: z.ZodType, path: string[] = [], from = path.length): string[] {
  const keys = path.length - from > DEPTH_MAX ? [] : keysAt(schema, path);
  if (keys.length === 0) return [path.slice(from).join('.')];
  return keys.flatMap((key) => leaves(schema, [...path, key], from));
}

/** The names in the first column of the tables under one heading, those with parts of their own left out. */
function documented(heading: string): string[] {
  const [, rest = ''] = PAGE.split(`\n## ${heading}\n`);
  const [section = ''] = rest.split('\n## ');
  const names = [...section.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, name = '']) => name);
  return names.filter(
    (name) =>
      !names.some((other) => other.startsWith(`${name}.`)) &&
      !['schedule', 'limits', 'policy', 'badRows', 'audit'].includes(name),
  );
}

test('the options of a connection are those of its schema and of Salesforce’s', () => {
  const ours = leaves(configSchema, ['connections', 'any'], 2);
  const theirs = leaves(salesforceConfigSchema).map((name) => name.replace(/^fields\..*/, 'fields'));
  expect(documented('`connections.<name>`').toSorted()).toEqual(
    [...new Set([...ours, ...theirs])].toSorted(),
  );
});

test('the options of the warehouse are DuckDB’s', () => {
  expect(documented('`warehouse`').toSorted()).toEqual(leaves(duckdbConfigSchema).toSorted());
});

test.each(['stage', 'ledger', 'temporal', 'worker'])('the options of %s are those of its schema', (part) => {
  // A secret is one option, wherever it lies.
  const ours = leaves(configSchema, [part], 1).map((name) => name.replace(/\.\$secret\..*/, ''));
  expect(documented(`\`${part}\``).toSorted()).toEqual([...new Set(ours)].toSorted());
});

test('each part of a configuration has its heading', () => {
  const headings = [...PAGE.matchAll(/^## `(\w+)/gm)].map(([, name]) => name);
  expect(headings.toSorted()).toEqual(keysAt(configSchema, []).toSorted());
});

test('the defaults that the page names are the real ones', () => {
  const { stage, worker, ledger } = configSchema.parse({ connections: {}, warehouse: { kind: 'duckdb' } });
  const written = (name: string) => new RegExp(`^\\| \`${name}\` \\| ([^|]+) \\|`, 'm').exec(PAGE)?.[1] ?? '';
  expect(written('keep')).toBe(`\`'${formatDuration(stage.keepMs)}'\``.replace("'1w'", "'7d'"));
  expect(written('bytesMax')).toBe(`\`'${stage.bytesMax / 1e9}GB'\``);
  expect(written('freeMin')).toBe(`\`'${stage.freeBytesMin / 1e9}GB'\``);
  expect(written('objectsInParallel')).toBe(`\`${worker.objectsInParallel}\``);
  expect(ledger).toEqual({ kind: 'sqlite', path: 'ledger.db' });
  const { thresholds, apiVersion } = salesforceConfigSchema.parse({
    kind: 'salesforce',
    auth: { grant: 'client_credentials', clientId: 'id', clientSecret: 'secret' },
    objects: 'all',
  });
  expect(written('apiVersion')).toBe(`\`'${apiVersion}'\``);
  for (const [name, value] of Object.entries(thresholds)) {
    expect([name, written(`thresholds.${name}`)]).toEqual([name, `\`${value}\``]);
  }
  const { lagMs, lookbackMs } = salesforce.capabilities;
  expect(written('lag')).toContain(`'${formatDuration(lagMs)}'`);
  expect(written('lookback')).toContain(`'${formatDuration(lookbackMs)}'`);
});
