// Part of plan: finds the object whose periodic whole re-reading is due. A backfill does the reading, so that no run waits for it.
import { estimateCalls } from '../rules/backfill.ts';
import { gapFreeEnd } from '../rules/coverage.ts';
import { formatCalls } from '../rules/report.ts';
import { resyncDue, resyncKey, resyncText } from '../rules/resync.ts';
import { fromMs } from '../rules/time.ts';
import type { ObjectSummary } from '../schemas/run.ts';
import { resyncStateSchema } from '../schemas/resync.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { line } from './plan-lines.ts';
import { readRefresh } from './refresh-state.ts';

export interface ResyncPlan {
  /** The object that is read whole now; one per run bounds the load. */
  object?: string;
  lines: ObjectSummary[];
}

/** Costs one look at the ledger per object that has a policy, and nothing without one. */
export async function planResync(
  dependencies: Dependencies,
  settings: ConnectionSettings,
  objects: readonly string[],
  run: string,
): Promise<ResyncPlan> {
  const plan: ResyncPlan = { lines: [] };
  for (const object of objects) {
    if (plan.object !== undefined) break;
    const note = await planOne(dependencies, settings, object, run);
    if (note === null) continue;
    plan.lines.push({ ...line(object, 'current', note.text), code: 'NOTE' });
    if (note.starts) plan.object = object;
  }
  return plan;
}

async function planOne(
  { ledger, lanes, warehouse, sink, now }: Dependencies,
  settings: ConnectionSettings,
  object: string,
  run: string,
): Promise<{ text: string; starts: boolean } | null> {
  const everyMs = settings.resyncMs(object);
  if (everyMs === null) return null;
  const { name } = settings;
  if (gapFreeEnd(await ledger.sinkCoverage(sink, name, object)) === null) return null;
  const { wholeAt } = await readRefresh(ledger, name, object);
  const key = resyncKey(name, object);
  const text = await ledger.meta(key);
  const tried = text === null ? null : resyncStateSchema.parse(JSON.parse(text));
  const at = fromMs(now());
  if (!resyncDue({ wholeAt: wholeAt ?? null, tried, everyMs, now: at, run })) return null;
  const known = (await ledger.schema(name, object))?.schema;
  // An object without stamps is read whole by each run.
  if (known === undefined || known.stamp === null) return null;
  const calls = estimateCalls(await lanes('warehouse', () => warehouse.count(name, known.table)));
  const quota = await ledger.quota(name);
  const price = formatCalls(calls, quota);
  const stop = quota === null ? null : quota.limit * settings.bucket.quotaShareMax.backfill;
  if (quota !== null && stop !== null && quota.limit > 0 && quota.used + calls > stop)
    return {
      text: `${resyncText(wholeAt ?? null)}; it would take ${price} and waits for quota`,
      starts: false,
    };
  await ledger.setMeta(key, JSON.stringify({ at, run }));
  return { text: `${resyncText(wholeAt ?? null)}; a backfill reads it now: ${price}`, starts: true };
}
