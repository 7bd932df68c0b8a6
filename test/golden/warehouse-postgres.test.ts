import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { FieldType } from '../../schemas/object-schema.ts';
import type { OwnTable } from '../../schemas/own-table.ts';
import type { LoadTable } from '../../warehouses/batch-rules.ts';
import * as load from '../../warehouses/postgres/load-sql.ts';
import { columnName, targetName } from '../../warehouses/postgres/names.ts';
import { mergeOwnSql } from '../../warehouses/postgres/own-tables.ts';
import { confirmSeenSql, planPartialSql, updatePartialSql } from '../../warehouses/postgres/partial.ts';
import { createTableSql, planChanges, SYSTEM_COLUMNS } from '../../warehouses/postgres/schema.ts';
import { carefulSql, createStagingSql, selectOf } from '../../warehouses/postgres/staging.ts';
import { INSERT_INTERVALS, SYSTEM_DDL } from '../../warehouses/postgres/system-tables.ts';
import { placeFields, tableType } from '../../warehouses/postgres/types.ts';
import { UNTIL, field, schemaOf } from '../contract/warehouse-fixture.ts';

/**
 * The exact text of every statement. After a wanted change: `UPDATE_GOLDEN=1 npm test -- test/golden`, then read the diff.
 */
const FOLDER = join(import.meta.dirname, 'postgres');
const kinds: FieldType[] = [
  ...(['boolean', 'integer', 'double', 'date', 'time', 'timestamp', 'json'] as const).map((kind) => ({
    kind,
  })),
  { kind: 'decimal', precision: 18, scale: 2 },
];
const schema = schemaOf([
  field('Name'),
  ...kinds.map((type) => field(`A_${type.kind}`, type)),
  field("Owner.It's"),
  field('xmin'),
  field('long'.repeat(20)),
]);
const columns = [
  ...placeFields(schema.fields, []).map(({ field: { column, type } }) => ({
    name: columnName(column),
    type: tableType(type),
  })),
  ...SYSTEM_COLUMNS,
  { name: '_loaded_at', type: 'timestamp with time zone' },
];
const table: LoadTable = {
  ...{ target: targetName('hw_', 'crm', schema.table), columns, places: placeFields(schema.fields, columns) },
  ...{ keyName: 'id', key: '"id"', keyType: 'text', stagedKey: '"id"' },
};
const changed = schemaOf([
  field('Name', { kind: 'integer' }),
  field('A_integer', { kind: 'decimal', precision: 18, scale: 2 }),
  field('A_date', { kind: 'boolean' }),
  field('New'),
]);
const evolve = { tables: 'evolve', columns: 'evolve', types: 'evolve' } as const;
const brought = load.stagedColumns(table).filter(({ field: name }) => name === 'A_json' || name === 'Name');
const own: OwnTable = {
  ...{ name: 'contact', key: ['_profile'], version: '_version' },
  columns: [
    { name: '_profile', type: { kind: 'string' } },
    { name: 'name', type: { kind: 'string' } },
    { name: '_version', type: { kind: 'integer' } },
    { name: '_epoch', type: { kind: 'string' } },
  ],
};

const LAYOUT = { schemaPrefix: 'hw_', partitions: {} };
const STATEMENTS: Record<string, string> = {
  'system-tables': SYSTEM_DDL.join(';\n\n'),
  'insert-intervals': INSERT_INTERVALS,
  'create-table': createTableSql(LAYOUT, 'crm', schema).join(';\n\n'),
  'create-table-partitioned': createTableSql(
    { ...LAYOUT, partitions: { [`crm.${schema.table}`]: 3 } },
    'crm',
    schemaOf([field('Name')]),
  ).join(';\n\n'),
  'evolve-table': planChanges(LAYOUT, 'crm', changed, columns, evolve)
    .flatMap((change) => change.sql)
    .join(';\n'),
  'load-inspect': load.inspectSql('"id"', ['/stage/rows']),
  'load-staging': createStagingSql(load.ROWS, load.stagedColumns(table)),
  'load-staged-values': selectOf(load.stagedColumns(table)),
  'load-careful': carefulSql(load.ROWS, 'load_rows_texts', load.stagedColumns(table)),
  'load-plan-rows': load.planRowsSql(table),
  'load-plan-tombstones': load.planTombstonesSql(table),
  'load-confirm': load.confirmSql(table),
  'load-insert-all': load.insertAllSql(table, UNTIL),
  'load-merge': load.mergeSql(table, UNTIL),
  'load-mark-deleted': load.markDeletedSql(table, 'w_1', UNTIL),
  'load-insert-tombstones': load.insertTombstonesSql(table, 'w_1', UNTIL),
  'load-verify': load.verifySql(table),
  'partial-plan': planPartialSql(table, brought),
  'partial-update': updatePartialSql(table, brought, { window: 'w_1', now: UNTIL }),
  'partial-confirm': confirmSeenSql(table),
  'own-merge': mergeOwnSql(own),
  'own-merge-first': mergeOwnSql({ ...own, version: null }),
};

describe('postgres statements', () => {
  test.each(Object.entries(STATEMENTS))('%s', (name, sql) => {
    const path = join(FOLDER, `${name}.sql`);
    if (process.env['UPDATE_GOLDEN'] === '1') {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(path, `${sql}\n`);
    }
    expect(`${sql}\n`).toBe(readFileSync(path, 'utf8'));
  });
});
