// Part of commit: finds out why the source's count of a window differs from what was read.
import { Context } from '@temporalio/activity';
import { fromMs } from '../rules/time.ts';
import type { Batch } from '../schemas/batch.ts';
import type { Source } from '../sources/source.ts';
import type { WindowProgress } from '../stores/ledger/ledger.ts';
import type { Dependencies } from './dependencies.ts';

/** Ids per look-up in the staged rows: bounds memory. */
const IDS_PER_CHECK_MAX = 20_000;

/**
 * Rows leave a window when they are changed or erased after they were read: their ids turn up with a stamp at or after the
 * window's end, or among the erased. Only the records that changed since are compared, not the whole window.
 * `gap` is what was read less what the source counts now.
 */
export async function explain(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
  batches: Batch[],
  gap: number,
): Promise<{ moved: number; late: number }> {
  if (gap <= 0) return { moved: 0, late: 0 };
  const { window, schema } = progress;
  const signal = Context.current().cancellationSignal;
  const files = await Promise.all(
    batches.flatMap((batch) => (batch.rows === null ? [] : [dependencies.stage.path(batch.rows)])),
  );
  const column = schema.fields.find((field) => field.name === schema.key)?.column ?? schema.key;
  const since = { from: window.until, until: fromMs(dependencies.now() + 60_000) };
  let moved = 0;
  let pending: string[] = [];
  const check = async () => {
    if (pending.length > 0)
      moved += await dependencies.shaper.countKeys({
        files,
        column,
        ids: pending,
        from: window.from,
        until: window.until,
      });
    pending = [];
  };
  for await (const stamps of source.stamps(schema, since, signal)) {
    for (const { id } of stamps) pending.push(id);
    if (pending.length >= IDS_PER_CHECK_MAX) await check();
    Context.current().heartbeat({ explained: moved, of: gap });
  }
  await check();
  return { moved, late: 0 };
}
