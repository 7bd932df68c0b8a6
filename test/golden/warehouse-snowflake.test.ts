import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { FieldType } from '../../schemas/object-schema.ts';
import type { OwnTable } from '../../schemas/own-table.ts';
import { loadTable } from '../../warehouses/batch-rules.ts';
import * as load from '../../warehouses/snowflake/load-sql.ts';
import { columnName, targetName } from '../../warehouses/snowflake/names.ts';
import { historySql, mergeOwnSql, stagedColumns } from '../../warehouses/snowflake/own-tables.ts';
import { mergePartialSql, partialCases } from '../../warehouses/snowflake/partial.ts';
import { oldRowsSql } from '../../warehouses/snowflake/prune.ts';
import { absentSql } from '../../warehouses/snowflake/retire.ts';
import { createTableSql, leftOverSql, lockSql, planChanges } from '../../warehouses/snowflake/schema.ts';
import { SYSTEM_COLUMNS } from '../../warehouses/snowflake/schema.ts';
import {
  copySql,
  createStagingSql,
  inspectSql,
  keyColumns,
  leftOutSql,
  longColumnsSql,
  partialColumns,
  putSql,
  rowColumns,
  stagedSql,
} from '../../warehouses/snowflake/staging.ts';
import { insertAsideSql, insertIntervalsSql, systemDdl } from '../../warehouses/snowflake/system-tables.ts';
import { placeFields, tableType } from '../../warehouses/snowflake/types.ts';
import type { LoadRequest } from '../../warehouses/warehouse.ts';
import { noCounts, UNTIL, field, schemaOf, windowOf } from '../contract/warehouse-fixture.ts';

/**
 * The exact text of every statement. After a wanted change: `UPDATE_GOLDEN=1 npm test -- test/golden`, then read the diff.
 */
const FOLDER = join(import.meta.dirname, 'snowflake');
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
  field('größe'.repeat(50)),
]);
const columns = [
  ...schema.fields.map(({ column, type }) => ({ name: columnName(column), type: tableType(type) })),
  ...SYSTEM_COLUMNS,
  { name: '_LOADED_AT', type: 'TIMESTAMP_TZ' },
];
const window = windowOf('w_1', { fields: ['Name', 'A_json'] });
const batch = {
  id: 'b_1',
  window: 'w_1',
  slice: 0,
  counts: noCounts,
  rows: [],
  tombstones: null,
  quarantine: null,
};
const request: LoadRequest = {
  window,
  schema,
  batch,
  files: { rows: [], tombstones: null, quarantine: null },
};
const table = loadTable(
  targetName('HW_', 'crm', schema.table),
  request,
  columns,
  placeFields(schema.fields, columns),
);
const LOADED = '"_HEADWATER"."LOAD_1"';
const some = { inserted: 1, updated: 1, confirmed: 1, now: UNTIL };
const rows = rowColumns(table);
const brought = partialColumns(request, table).filter((column) => column.field !== undefined);
const brief = load.typedRows(partialColumns(request, table), LOADED);
const cases = partialCases(table, brought);
const changed = schemaOf([
  field('Name', { kind: 'integer' }),
  field('A_integer', { kind: 'decimal', precision: 18, scale: 2 }),
  field('A_decimal', { kind: 'decimal', precision: 30, scale: 2 }),
  field('A_date', { kind: 'boolean' }),
  field('New'),
]);
const evolve = { tables: 'evolve', columns: 'evolve', types: 'evolve' } as const;
const own: OwnTable = {
  ...{ name: 'contact', key: ['_profile'], version: '_version' },
  columns: [
    { name: '_profile', type: { kind: 'string' } },
    { name: 'tags', type: { kind: 'json' } },
    { name: '_version', type: { kind: 'integer' } },
    { name: '_epoch', type: { kind: 'string' } },
  ],
};
const history = { view: 'contact_history', of: '_profile', from: 'at', order: '_version' };
const interrupted = [
  ...['ID', 'A__NARROW', 'A__WIDE', 'B', 'B__NARROW', 'C', 'C__WIDE'].map((name) => ({ name, type: 'TEXT' })),
];
const retire = { window, schema, readAt: UNTIL, exceptIds: [], rowsMax: 1, shareMax: 1 };

const STATEMENTS: Record<string, string> = {
  'system-tables': systemDdl('epoch').join(';\n\n'),
  'insert-intervals': insertIntervalsSql(2),
  'insert-aside': insertAsideSql(LOADED),
  'create-table': createTableSql('HW_', 'crm', schema).join(';\n\n'),
  'evolve-table': planChanges('HW_', 'crm', changed, columns, evolve)
    .flatMap((change) => change.sql)
    .join(';\n'),
  'evolve-interrupted': leftOverSql(table.target, interrupted).join(';\n'),
  lock: lockSql(table.target),
  'load-put': putSql("/tmp/it's/rows.parquet", '_HEADWATER.LOADS', 'headwater/1'),
  'load-copy': copySql(LOADED, '_HEADWATER.LOADS', 'headwater/1'),
  'load-copy-external': copySql(LOADED, 'DW.LANDING.LOADS', 'headwater/1', false),
  'load-staging': createStagingSql(LOADED, rows),
  'load-inspect': inspectSql(table.stagedKey, rows, ['/stage/a']),
  'load-long-columns': longColumnsSql(['/stage/a']),
  'load-staged-rows': stagedSql(rows, ['/stage/a', '/stage/b']),
  'load-staged-carefully': stagedSql(rows, ['/stage/a'], true),
  'load-staged-tombstones': stagedSql(keyColumns(table, ['_VERSION', '_CONFIRMED_AT']), ['/stage/gone']),
  'load-left-out': leftOutSql(request, table, rows, { paths: ['/stage/a'], now: UNTIL }).join(';\n'),
  'load-plan-rows': load.planRowsSql(table, LOADED),
  'load-plan-tombstones': load.planTombstonesSql(table, LOADED),
  'load-insert-all': load.insertAllSql(table, rows, LOADED, UNTIL),
  'load-merge': load.mergeSql(table, rows, LOADED, some),
  'load-merge-plain': load.mergeSql(table, rows.slice(0, 7), LOADED, { ...some, inserted: 0, confirmed: 0 }),
  'load-merge-tombstones': load.mergeTombstonesSql(table, LOADED, { ...some, window: 'w_1' }),
  'load-unreadable': load.unreadableSql(request, rows, LOADED, UNTIL) ?? '',
  'load-verify': load.verifySql(table, LOADED),
  'partial-plan': load.planSql(table, brief, cases),
  'partial-merge': mergePartialSql(table, brought, {
    rows: brief,
    cases,
    updated: 1,
    window: 'w_1',
    now: UNTIL,
  }),
  'own-merge': mergeOwnSql(own, stagedColumns(own), LOADED),
  'own-merge-first': mergeOwnSql({ ...own, version: null }, stagedColumns(own), LOADED),
  'own-history': historySql(own, history),
  prune: oldRowsSql(UNTIL, 100).join(';\n'),
  retire: absentSql(retire, table.key),
};

describe('snowflake statements', () => {
  test.each(Object.entries(STATEMENTS))('%s', (name, sql) => {
    const path = join(FOLDER, `${name}.sql`);
    if (process.env['UPDATE_GOLDEN'] === '1') {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(path, `${sql}\n`);
    }
    expect(`${sql}\n`).toBe(readFileSync(path, 'utf8'));
  });
});
