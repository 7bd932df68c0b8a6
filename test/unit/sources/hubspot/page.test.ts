import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { z } from 'zod';
import { keysAt } from '../../../../config/mistakes.ts';
import { formatDuration } from '../../../../config/quantities.ts';
import { CONNECTION_SHAPE } from '../../../../config/schema.ts';
import { hubspot, hubspotConfigSchema } from '../../../../sources/hubspot/index.ts';

const PAGE = readFileSync('docs/hubspot.md', 'utf8');

function leaves(schema: z.ZodType, path: string[] = []): string[] {
  const keys = path.length > 3 ? [] : keysAt(schema, path);
  return keys.length === 0 ? [path.join('.')] : keys.flatMap((key) => leaves(schema, [...path, key]));
}

const OPTIONS = new Map(
  [...PAGE.matchAll(/^\| `([\w.]+)` \| ([^|]*) \|/gm)].map(([, name = '', value = '']) => [
    name,
    value.trim(),
  ]),
);

test('the options of the page are those of the schema that not every connection has', () => {
  const own = leaves(hubspotConfigSchema).filter(
    (name) => !Object.keys(CONNECTION_SHAPE).includes(name.split('.')[0] ?? ''),
  );
  const documented = [...OPTIONS.keys()].filter(
    (name) => own.includes(name) || /^(?:auth|thresholds)\./.test(name),
  );
  expect(documented.toSorted()).toEqual(own.toSorted());
});

test('the defaults of the page are the real ones', () => {
  const config = hubspotConfigSchema.parse({
    kind: 'hubspot',
    auth: { kind: 'token', token: 'x' },
    objects: 'all',
  });
  for (const [name, value] of Object.entries(config.thresholds)) {
    expect([name, OPTIONS.get(`thresholds.${name}`)]).toEqual([name, `\`${value}\``]);
  }
  expect(OPTIONS.get('apiVersion')).toBe(`\`'${config.apiVersion}'\``);
  expect(OPTIONS.get('baseUrl')).toBe(`\`'${config.baseUrl}'\``);
  expect(OPTIONS.get('associationsEvery')).toBe(`\`'${formatDuration(config.associationsEvery)}'\``);
  expect([config.lookback, config.lag]).toEqual([
    hubspot.capabilities.lookbackMs,
    hubspot.capabilities.lagMs,
  ]);
  expect(PAGE).toContain(`**Look-back** (${hubspot.capabilities.lookbackMs / 60_000} minutes)`);
  expect(PAGE).toContain(`**lag** (${hubspot.capabilities.lagMs / 60_000} minutes)`);
});
