import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { FieldType } from '../../schemas/object-schema.ts';
import type { OwnTable } from '../../schemas/own-table.ts';
import { compareSql } from '../../warehouses/redshift/audit.ts';
import { roleSql, transactionOf } from '../../warehouses/redshift/client.ts';
import * as load from '../../warehouses/redshift/load-sql.ts';
import type { Target } from '../../warehouses/redshift/load-sql.ts';
import { columnName, targetName } from '../../warehouses/redshift/names.ts';
import { createOwnSql, historySql, mergeOwnSql } from '../../warehouses/redshift/own-tables.ts';
import { confirmSeenSql, planPartialSql, updatePartialSql } from '../../warehouses/redshift/partial.ts';
import { openingSql } from '../../warehouses/redshift/pg-server.ts';
import { oldRowsSql } from '../../warehouses/redshift/prune.ts';
import { vacuumSql } from '../../warehouses/redshift/purge.ts';
import { absentSql } from '../../warehouses/redshift/retire.ts';
import {
  createTableSql,
  distributedBy,
  planChanges,
  SYSTEM_COLUMNS,
} from '../../warehouses/redshift/schema.ts';
import { sessionSql } from '../../warehouses/redshift/server.ts';
import * as staging from '../../warehouses/redshift/staging.ts';
import { insertIntervalsSql, SYSTEM_DDL, WRITER_DDL } from '../../warehouses/redshift/system-tables.ts';
import { placeFields, tableType } from '../../warehouses/redshift/types.ts';
import type { LoadRequest } from '../../warehouses/warehouse.ts';
import { field, noCounts, schemaOf, UNTIL, windowOf } from '../contract/warehouse-fixture.ts';

/**
 * The exact text of every statement. After a wanted change: `UPDATE_GOLDEN=1 npm test -- test/golden`, then read the diff.
 */
const FOLDER = join(import.meta.dirname, 'redshift');
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
  field('OID'),
  field('Tiny', { kind: 'decimal', precision: 38, scale: 38 }),
  field('long'.repeat(40)),
]);
const columns = [
  ...placeFields(schema.fields, []).map(({ field: { column, type } }) => ({
    name: columnName(column),
    type: tableType(type),
  })),
  ...SYSTEM_COLUMNS,
  { name: '_loaded_at', type: 'timestamp with time zone' },
];
const table: Target = {
  ...{ target: targetName('hw_', 'crm', schema.table), columns, places: placeFields(schema.fields, columns) },
  ...{
    keyName: 'id',
    key: '"id"',
    keyType: tableType({ kind: 'string' }),
    stagedKey: '"id"',
    bare: '"contact"',
  },
};
const older: Target = { ...table, columns: [...columns, { name: 'gone', type: 'boolean' }] };
const rows = staging.rowColumns(table);
const brought = rows.filter(({ field: name }) => name === 'A_json' || name === 'Name');
const request: LoadRequest = {
  ...{ window: windowOf('w_1'), schema, files: { rows: [], tombstones: null, quarantine: null } },
  batch: {
    id: "b_'1",
    window: 'w_1',
    slice: 0,
    rows: [],
    tombstones: null,
    quarantine: null,
    counts: noCounts,
  },
};
const changed = schemaOf([
  field('Name', { kind: 'integer' }),
  field('A_integer', { kind: 'decimal', precision: 18, scale: 2 }),
  field('A_date', { kind: 'boolean' }),
  field('A_boolean'),
  field('A_json'),
  field('New'),
]);
const evolve = { tables: 'evolve', columns: 'evolve', types: 'evolve' } as const;
const own: OwnTable = {
  ...{ name: 'contact', key: ['_profile', '_version'], version: '_version' },
  columns: [
    { name: '_profile', type: { kind: 'string' } },
    { name: 'tree', type: { kind: 'json' } },
    { name: '_version', type: { kind: 'integer' } },
    { name: '_epoch', type: { kind: 'string' } },
    { name: '_at', type: { kind: 'timestamp' } },
  ],
};
const history = { view: 'contact_history', of: '_profile', from: '_at', order: '_version' };
const limits = { statementMsMax: 900_000, lockWaitMsMax: 60_000 };

const STATEMENTS: Record<string, string> = {
  'begin-write': openingSql(transactionOf(limits, 'write', "headwater w_1 b_'1 sync/crm run")).join(';\n'),
  'begin-read': openingSql(transactionOf(limits, 'read')).join(';\n'),
  'open-session': sessionSql().join(';\n'),
  'system-tables': [WRITER_DDL, ...SYSTEM_DDL].join(';\n\n'),
  'insert-intervals': insertIntervalsSql(2),
  'create-table': createTableSql('hw_', 'crm', schema),
  'evolve-table': planChanges('hw_', 'crm', changed, columns, evolve)
    .flatMap((change) => change.sql)
    .join(';\n'),
  'load-inspect': staging.inspectSql('"id"', ['/stage/rows'], rows),
  'load-staged-rows': staging.stagedSql(rows, ['/stage/rows']),
  'load-staged-plain': staging.stagedSql(staging.withoutDoubt(rows, { d5: true }), ['/stage/rows']),
  'load-left-out': staging
    .leftOutSql(request, table, brought, { paths: ['/stage/rows'], now: UNTIL })
    .join(';\n'),
  'load-staging': staging.createStagingSql(load.ROWS, rows, distributedBy('"id"')),
  'load-copy': staging.copySql(
    load.ROWS,
    's3://bucket/headwater-redshift/1.parquet',
    roleSql('arn:aws:iam::1:role/r'),
  ),
  'load-copy-default': staging.copySql(load.ROWS, 's3://bucket/1.parquet', roleSql('default')),
  'load-plan-rows': load.planRowsSql(table),
  'load-plan-tombstones': load.planTombstonesSql(table),
  'load-confirm': load.confirmSql(table),
  'load-delete': load.deleteSql(table),
  'load-insert': load.insertSql(table, rows, UNTIL),
  'load-insert-all': load.insertAllSql(table, rows, UNTIL),
  'load-keep': load.keepSql(older, rows) ?? '',
  'load-insert-kept': load.insertSql(older, brought, UNTIL),
  'load-mark-deleted': load.markDeletedSql(table, 'w_1', UNTIL),
  'load-insert-tombstones': load.insertTombstonesSql(table, 'w_1', UNTIL),
  'load-unreadable': load.unreadableSql(request, table, rows, UNTIL).join(';\n'),
  'load-aside': staging.insertAsideSql(load.ASIDE),
  'load-verify': load.verifySql(table),
  'partial-plan': planPartialSql(table, brought),
  'partial-update': updatePartialSql(table, brought, { window: String.raw`w_\1`, now: UNTIL }),
  'partial-confirm': confirmSeenSql(table),
  'retire-absent': absentSql('"id"', { window: windowOf('w_1'), readAt: UNTIL }),
  'audit-compare': compareSql(table, brought),
  prune: oldRowsSql(UNTIL, 100).flat().join(';\n'),
  vacuum: vacuumSql(table.target),
  'own-create': createOwnSql(own),
  'own-merge': mergeOwnSql(own).join(';\n'),
  'own-merge-first': mergeOwnSql({ ...own, version: null }).join(';\n'),
  'own-history': historySql(own, history),
};

describe('redshift statements', () => {
  test.each(Object.entries(STATEMENTS))('%s', (name, sql) => {
    const path = join(FOLDER, `${name}.sql`);
    if (process.env['UPDATE_GOLDEN'] === '1') {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(path, `${sql}\n`);
    }
    expect(`${sql}\n`).toBe(readFileSync(path, 'utf8'));
  });

  test('no file is left of a statement that is no more', () => {
    expect(readdirSync(FOLDER).toSorted()).toEqual(
      Object.keys(STATEMENTS)
        .map((name) => `${name}.sql`)
        .toSorted(),
    );
  });
});
