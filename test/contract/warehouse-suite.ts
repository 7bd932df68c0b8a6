import { describe, expect, test } from '@jest/globals';
import { auditTests } from './warehouse-audit-suite.ts';
import { T, useWarehouse } from './warehouse-harness.ts';
import type { WarehouseFixture } from './warehouse-harness.ts';
import { attemptTests, deletionTests, intervalTests, loadTests } from './warehouse-load-suite.ts';
import { pruneTests } from './warehouse-prune-suite.ts';
import { partialTests } from './warehouse-partial-suite.ts';
import { queryTests } from './warehouse-query-suite.ts';
import { schemaTests } from './warehouse-schema-suite.ts';

/** Runs on every warehouse. */
export function warehouseSuite(name: string, fixture: WarehouseFixture): void {
  describe(`warehouse ${name}`, () => {
    const h = useWarehouse(fixture);
    loadTests(h);
    deletionTests(h);
    attemptTests(h);
    intervalTests(h);
    schemaTests(h);
    partialTests(h);
    queryTests(h);
    pruneTests(h);
    if (fixture.audit !== false) auditTests(h);
    else test.skip(`${name} cannot be audited`, () => {});

    test('a run has one row, the last summary', async () => {
      const run = {
        ...{
          connection: 'crm',
          workflowId: 'sync/crm',
          runId: 'r1',
          trigger: 'manual' as const,
          outcome: 'failed' as const,
        },
        ...{ startedAt: T(1), endedAt: null, idle: 3, objects: [] },
      };
      await h.warehouse.recordRun(run);
      await h.warehouse.recordRun({ ...run, outcome: 'ok', endedAt: T(9) });
      expect(await h.select('SELECT outcome, ended_at, idle::INTEGER FROM _headwater.runs')).toEqual([
        ['ok', T(9), 3],
      ]);
    });

    test('check reports the file, its version and the disk', async () => {
      expect((await h.warehouse.check()).every((result) => result.ok)).toBe(true);
    });
  });
}
