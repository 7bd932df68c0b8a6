import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { FieldType } from '../../schemas/object-schema.ts';
import type { LoadTable } from '../../warehouses/batch-rules.ts';
import * as load from '../../warehouses/duckdb/load-sql.ts';
import { createTableSql, planChanges } from '../../warehouses/duckdb/schema.ts';
import { INSERT_INTERVALS, SYSTEM_DDL } from '../../warehouses/duckdb/system-tables.ts';
import { placeFields, tableType } from '../../warehouses/duckdb/types.ts';
import {
  countSql,
  csvSql,
  jsonSql,
  losersSql,
  quarantineSql,
  rowsSql,
  tombstoneRowsSql,
  tombstonesSql,
} from '../../shaper/sql.ts';
import { CONFIRMED, UNTIL, field, schemaOf } from '../contract/warehouse-fixture.ts';

/**
 * The exact text of every statement. After a wanted change: `UPDATE_GOLDEN=1 npm test -- test/golden`, then read the diff.
 */
const FOLDER = join(import.meta.dirname, 'duckdb');
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
]);
const columns = [
  ...schema.fields.map((item) => ({ name: item.column, type: tableType(item.type) })),
  ...['_deleted', '_version', '_confirmed_at', '_hash', '_window', '_loaded_at'].map((name) => ({
    name,
    type: 'BIGINT',
  })),
];
const table: LoadTable = {
  ...{ target: load.targetOf('crm', schema), columns, places: placeFields(schema.fields, columns) },
  ...{ keyName: 'id', key: '"id"', keyType: 'VARCHAR', stagedKey: '"id"' },
};
const older = { ...table, columns: [...columns, { name: 'old', type: 'VARCHAR' }] };
const shaped = { schema, window: { id: 'w_1', from: UNTIL, until: UNTIL }, confirmedAt: CONFIRMED };
const changed = schemaOf([
  field('Name', { kind: 'integer' }),
  field('A_integer', { kind: 'decimal', precision: 18, scale: 2 }),
  field('A_date', { kind: 'boolean' }),
  field('New'),
]);
const evolve = { tables: 'evolve', columns: 'evolve', types: 'evolve' } as const;

const STATEMENTS: Record<string, string> = {
  'system-tables': SYSTEM_DDL.join(';\n\n'),
  'insert-intervals': INSERT_INTERVALS,
  'create-table': createTableSql('crm', schema).join(';\n\n'),
  'evolve-table': planChanges('crm', changed, columns, evolve)
    .flatMap((change) => change.sql)
    .join(';\n'),
  'load-inspect': load.inspectSql('"id"', '/stage/rows'),
  'load-plan-rows': load.planRowsSql(table, '/stage/rows'),
  'load-plan-tombstones': load.planTombstonesSql(table, '/stage/gone'),
  'load-confirm': load.confirmSql(table.target),
  'load-keep': load.keepSql(older) ?? '',
  'load-delete': load.deleteSql(table.target),
  'load-insert-all': load.insertAllSql(table, '/stage/rows', UNTIL),
  'load-insert-planned': load.insertPlannedSql(older, '/stage/rows', UNTIL, true),
  'load-mark-deleted': load.markDeletedSql(table.target, 'w_1', UNTIL),
  'load-insert-tombstones': load.insertTombstonesSql(table, 'w_1', UNTIL),
  'load-quarantine': load.quarantineSql('/stage/bad'),
  'load-verify': load.verifySql(table, '/stage/rows'),
  'shape-csv': csvSql(schema, [
    { header: schema.fields.map((item) => item.name).toReversed(), paths: ['/stage/1', "/stage/it's"] },
  ]),
  'shape-json': jsonSql(schema, ['/stage/1'], 'data.records'),
  'shape-rows': rowsSql(shaped, 'SELECT * FROM texts', false),
  'shape-rows-strict': rowsSql(shaped, 'SELECT * FROM texts', true),
  'shape-count': countSql(shaped, 'SELECT * FROM texts'),
  'shape-quarantine': quarantineSql(shaped, 'SELECT * FROM texts'),
  'shape-losers': losersSql('id', ['/stage/all', '/stage/part']),
  'shape-tombstones': `${tombstonesSql(shaped, ['/stage/gone'])};\n\n${tombstoneRowsSql(shaped, 'gone')}`,
};

describe('duckdb statements', () => {
  test.each(Object.entries(STATEMENTS))('%s', (name, sql) => {
    const path = join(FOLDER, `${name}.sql`);
    if (process.env['UPDATE_GOLDEN'] === '1') {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(path, `${sql}\n`);
    }
    expect(`${sql}\n`).toBe(readFileSync(path, 'utf8'));
  });

  test('a table without columns of its own keeps nothing', () => expect(load.keepSql(table)).toBeNull());
});
