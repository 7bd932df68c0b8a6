import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { keysAt } from '../../../config/mistakes.ts';
import * as bigquery from '../../../warehouses/bigquery/types.ts';
import * as duckdb from '../../../warehouses/duckdb/types.ts';
import * as postgres from '../../../warehouses/postgres/types.ts';
import * as redshift from '../../../warehouses/redshift/types.ts';
import * as snowflake from '../../../warehouses/snowflake/types.ts';
import { warehouseDefinition, type WarehouseKind } from '../../../warehouses/registry.ts';

const KINDS = [
  ...(['string', 'boolean', 'integer', 'double'] as const),
  ...(['date', 'time', 'timestamp', 'json'] as const),
];
/** What each must be told; `dataApi` and `externalStage` have tables of their own in their pages. */
const PAGES = {
  bigquery: { tableType: bigquery.tableType, real: false, written: { project: 'acme-data' } },
  duckdb: { tableType: duckdb.tableType, real: true, written: { path: 'x' } },
  postgres: { tableType: postgres.tableType, real: true, written: { url: 'x' } },
  redshift: {
    ...{ tableType: redshift.tableType, real: false },
    written: {
      ...{ host: 'h', database: 'd', user: 'u', password: 'p' },
      ...{ iamRole: 'default', bucket: 'bucket', region: 'r' },
    },
  },
  snowflake: {
    ...{ tableType: snowflake.tableType, real: false },
    written: { account: 'a', user: 'u', token: 't', database: 'D' },
  },
} satisfies Record<WarehouseKind, object>;

describe.each(Object.entries(PAGES))(
  'the page of %s',
  (kind, { tableType, real: isReal, written: needed }) => {
    const page = readFileSync(`docs/warehouses/${kind}.md`, 'utf8');
    const config = warehouseDefinition(kind)?.config;

    test('names every option with its real default', () => {
      const [table = ''] = page.split('| of `');
      const lines = [...table.matchAll(/^\| `(\w+)`\s*\| ([^|]+?)\s*\|/gm)];
      expect(lines.map(([, name]) => name).toSorted()).toEqual(keysAt(config ?? z.never(), []).toSorted());
      const written = { kind, ...needed };
      const defaults = new Map<string, unknown>(Object.entries(config?.parse(written) ?? {}));
      for (const [, name = '', value = ''] of lines) {
        if (value === '–') {
          // Nothing, or nothing in it: `{}` of a map says less than its example.
          expect([name, name in written || isEmpty(defaults.get(name))]).toEqual([name, true]);
          continue;
        }
        const real = defaults.get(name);
        expect([name, value]).toEqual([name, `\`${typeof real === 'string' ? `'${real}'` : String(real)}\``]);
      }
    });

    test('names the type of every kind', () => {
      const types = new Map(
        [...page.matchAll(/^\| (\w+)\s*\| (`[^`]+`)/gm)].map(([, type, told]) => [type, told]),
      );
      expect(KINDS.map((type) => types.get(type))).toEqual(
        KINDS.map((type) => expect.stringMatching(told(tableType({ kind: type })))),
      );
    });

    test('says whether it ever ran on the real thing', () => {
      expect(/never ran (against|on) /.test(page)).toBe(!isReal);
    });
  },
);

const isEmpty = (value: unknown): boolean =>
  value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);

/** A page may write the shorter name of a type: `timestamptz`. */
const SHORT: Record<string, string> = {
  'timestamp with time zone': '(timestamptz|timestamp with time zone)',
  'time without time zone': 'time( without time zone)?',
};
const told = (type: string): RegExp =>
  new RegExp(`^\`${SHORT[type] ?? type.replaceAll(/[()]/g, String.raw`\$&`)}\`$`);
