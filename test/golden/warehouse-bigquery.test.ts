import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { FieldType } from '../../schemas/object-schema.ts';
import type { OwnTable } from '../../schemas/own-table.ts';
import type { LoadTable } from '../../warehouses/batch-rules.ts';
import { scriptOf } from '../../warehouses/bigquery/load.ts';
import * as load from '../../warehouses/bigquery/load-sql.ts';
import { columnName, datasetName } from '../../warehouses/bigquery/names.ts';
import { historySql, mergeOwnSql } from '../../warehouses/bigquery/own-tables.ts';
import { mergePartialSql, planPartialSql } from '../../warehouses/bigquery/partial.ts';
import { createTableSql, planChanges, SYSTEM_COLUMNS, targetName } from '../../warehouses/bigquery/schema.ts';
import {
  createLockSql,
  insertIntervalsSql,
  lockSql,
  quarantineInto,
  systemDdl,
} from '../../warehouses/bigquery/system-tables.ts';
import { placeFields, tableType } from '../../warehouses/bigquery/types.ts';
import { intervalOf, UNTIL, field, schemaOf, windowOf, noCounts } from '../contract/warehouse-fixture.ts';

/**
 * The exact text of every statement. After a wanted change: `UPDATE_GOLDEN=1 npm test -- test/golden`, then read the diff.
 */
const FOLDER = join(import.meta.dirname, 'bigquery');
const kinds: FieldType[] = [
  ...(['boolean', 'integer', 'double', 'date', 'time', 'timestamp', 'json'] as const).map((kind) => ({
    kind,
  })),
  { kind: 'decimal', precision: 18, scale: 2 },
];
const schema = schemaOf([
  field('Name'),
  ...kinds.map((type) => field(`A_${type.kind}`, type)),
  field('Exact', { kind: 'decimal', precision: 38, scale: 10 }),
  field("Owner.It's"),
  field('größe'),
]);
const columns = [
  ...schema.fields.map(({ column, type }) => ({ name: columnName(column), type: tableType(type) })),
  ...SYSTEM_COLUMNS,
  { name: '_loaded_at', type: 'TIMESTAMP' },
];
const table: LoadTable = {
  ...{ target: targetName('hw_', 'crm', schema.table), columns, places: placeFields(schema.fields, columns) },
  ...{ keyName: 'id', key: '`id`', keyType: 'STRING', stagedKey: '"id"' },
};
const changed = schemaOf([
  field('Name', { kind: 'integer' }),
  field('A_integer', { kind: 'decimal', precision: 30, scale: 2 }),
  field('A_date', { kind: 'boolean' }),
  field('A_boolean'),
  field('New'),
]);
const layout = { prefix: 'hw_', partitionBy: { 'crm.contact': 'a_date' } };
const evolve = { tables: 'evolve', columns: 'evolve', types: 'evolve' } as const;
const own: OwnTable = {
  ...{ name: 'contact', key: ['_profile'], version: '_version' },
  columns: [
    { name: '_profile', type: { kind: 'string' } },
    { name: 'name', type: { kind: 'string' } },
    { name: '_version', type: { kind: 'integer' } },
    { name: '_epoch', type: { kind: 'string' } },
  ],
};
const client = { dataset: (name: string) => datasetName('hw_', name) };
const staged = load.stagedColumns(table);
const rows = { name: 'hw_rows_1', staging: '`hw__headwater_staging`.`s_1`', columns: staged };
const gone = {
  name: 'hw_gone_1',
  staging: '`hw__headwater_staging`.`s_2`',
  columns: load.goneColumns(table),
};
const brought = staged.filter(({ field: name }) => name === 'A_json' || name === 'Name');
const some = {
  ...{ name: 'hw_some_1', staging: '`hw__headwater_staging`.`s_3`' },
  columns: [
    ...load.systemColumns(['_deleted', '_version', '_confirmed_at']),
    load.keyColumn(table),
    ...brought,
  ],
};
const request = {
  ...{ window: windowOf('w_1'), schema, files: { rows: [], tombstones: null, quarantine: null } },
  batch: {
    id: 'b_1',
    window: 'w_1',
    slice: 0,
    counts: noCounts,
    rows: [],
    tombstones: null,
    quarantine: null,
  },
};
const about = { window: 'w_1', now: UNTIL };

const part = {
  ...{ statements: ['-- what the files bring'], staged: [], temporary: [rows.name] },
  tally: {
    ...{ inserted: load.countOf([rows.name], 'insert'), updated: load.countOf([rows.name], 'update') },
    ...{ unchanged: load.countOf([rows.name], 'unchanged'), stale: load.countOf([rows.name], 'stale') },
  },
};

const STATEMENTS: Record<string, string> = {
  'load-script': scriptOf({ client, request, now: UNTIL }, [part, part]).join(';\n'),
  'system-tables': systemDdl(client).join(';\n\n'),
  'insert-intervals': insertIntervalsSql(
    client,
    [intervalOf("w'1", ['b_1']), intervalOf('w_2', [])],
    7,
    UNTIL,
  ),
  'create-table': createTableSql(layout, 'crm', schema),
  'create-lock': createLockSql(client, 'crm', 'contact'),
  'evolve-table': planChanges(layout, 'crm', changed, columns, evolve)
    .flatMap((change) => change.sql)
    .join(';\n'),
  'load-inspect': load.inspectSql('"id"', "FROM read_parquet(['/stage/rows'])"),
  'load-staged-values': staged
    .map(({ name, staged: type, value }) => `${value} AS ${name} -- ${type}`)
    .join('\n'),
  'load-lock': lockSql(client, 'crm', 'contact'),
  'load-plan-rows': load.planRowsSql(table, rows),
  'load-plan-tombstones': load.planTombstonesSql(table, gone),
  'load-refuse': load.refuseSql(`(SELECT COUNT(*) FROM ${rows.name}) <> 3`, 'repeated'),
  'load-merge': load.mergeSql(table, rows, UNTIL),
  'load-merge-tombstones': load.mergeTombstonesSql(table, gone, about),
  'load-inexact': load.inexactSql(table, rows, request, quarantineInto(client), UNTIL).join(';\n'),
  'load-verify': load.verifySql(table, rows.staging, staged),
  'partial-plan': planPartialSql(table, some, brought),
  'partial-merge': mergePartialSql(table, some, brought, about),
  'own-merge': mergeOwnSql('`hw_golden`.`contact`', own, '`hw__headwater_staging`.`s_4`'),
  'own-merge-events': mergeOwnSql(
    '`hw_golden`.`events`',
    { ...own, name: 'events', version: null },
    '`s`.`s_5`',
  ),
  'own-history': historySql(client, own, {
    view: 'contact_history',
    of: '_profile',
    from: '_at',
    order: '_version',
  }),
};

describe('statements for BigQuery', () => {
  test.each(Object.entries(STATEMENTS))('%s', (name, sql) => {
    const path = join(FOLDER, `${name}.sql`);
    if (process.env['UPDATE_GOLDEN'] === '1') {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(path, `${sql}\n`);
    }
    expect(`${sql}\n`).toBe(readFileSync(path, 'utf8'));
  });
});
