// Step 4, load: merges a shaped slice into the warehouse's table, guarded by version, in one transaction with its batch row.
import { Context } from '@temporalio/activity';
import type { Batch, LoadReceipt } from '../schemas/batch.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { WindowProgress } from '../stores/ledger/ledger.ts';
import type { LoadRequest } from '../warehouses/warehouse.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { failpoint } from './failpoints.ts';

/** The description that the table follows; a partial window itself carries a part of it only. */
export async function wholeSchema(
  { ledger }: Pick<Dependencies, 'ledger'>,
  { window, schema }: WindowProgress,
): Promise<ObjectSchema> {
  if (window.fields === undefined) return schema;
  return (await ledger.schema(window.connection, window.object))?.schema ?? schema;
}

export async function loadRequest(
  dependencies: Dependencies,
  progress: WindowProgress,
  batch: Batch,
): Promise<LoadRequest> {
  const path = async (key: string | null) => (key === null ? null : await dependencies.stage.path(key));
  return {
    window: progress.window,
    schema: await wholeSchema(dependencies, progress),
    batch,
    files: {
      rows: await Promise.all(batch.rows.map((key) => dependencies.stage.path(key))),
      tombstones: await path(batch.tombstones),
      quarantine: await path(batch.quarantine),
    },
  };
}

/** Repeating it changes nothing: the batch row tells that the slice has landed (I2). */
export async function loadSlice(
  dependencies: Dependencies,
  settings: ConnectionSettings,
  progress: WindowProgress,
  batch: Batch,
): Promise<LoadReceipt> {
  const { ledger, warehouse, lanes, sink } = dependencies;
  const { window } = progress;
  const request = await loadRequest(dependencies, progress, batch);
  const { schema } = request;
  const receipt = await lanes('warehouse', async () => {
    const changes = await warehouse.migrate(window.connection, schema, settings.policy);
    for (const change of changes) {
      dependencies.log(
        'info',
        `schema of ${change.table}: ${change.change} ${change.column ?? ''} ${change.action}`,
        {
          connection: window.connection,
          object: window.object,
        },
      );
    }
    return warehouse.load(request, Context.current().cancellationSignal);
  });
  failpoint('load:done');
  await ledger.storeLoad(sink, window.id, window.attempt, receipt);
  return receipt;
}

/** Loads the batches of a window that have not landed yet: all of a small window, the late rows of a large one. */
export async function loadAll(
  dependencies: Dependencies,
  settings: ConnectionSettings,
  progress: WindowProgress,
): Promise<LoadReceipt[]> {
  const landed = await dependencies.ledger.loads(dependencies.sink, progress.window.id);
  const done = new Map(landed.map((receipt) => [receipt.batch, receipt]));
  const receipts: LoadReceipt[] = [];
  for (const { batch } of progress.slices) {
    if (batch === null) continue;
    receipts.push(done.get(batch.id) ?? (await loadSlice(dependencies, settings, progress, batch)));
  }
  return receipts;
}
