import type { ConnectionConfig } from '../config/schema.ts';
import { estimateCalls } from '../rules/backfill.ts';
import { HeadwaterError } from '../rules/errors.ts';
import {
  addedFields,
  dueReasons,
  NOTHING_DUE,
  refreshKey,
  refreshOf,
  refreshText,
} from '../rules/refresh.ts';
import { formatCalls, formatCount } from '../rules/report.ts';
import { resyncDue, resyncText } from '../rules/resync.ts';
import { ORIGIN, type Instant } from '../schemas/instant.ts';
import { refreshStateSchema } from '../schemas/refresh.ts';
import type { OpenedSource } from './source.ts';

/** No run: whatever a run has found is due for it. */
const NO_RUN = '';

/**
 * What the next run reads of old rows beside its window, with the price, and new fields that no run has seen yet. Undefined:
 * nothing. One call, and one more where there is something to tell.
 */
export async function plannedRefresh(
  { source, ledger, definition }: OpenedSource,
  { name, refresh: policy, resync }: ConnectionConfig,
  object: string,
  checkpoint: Instant,
): Promise<string | undefined> {
  if (ledger === undefined) return undefined;
  try {
    const known = (await ledger.schema(name, object))?.schema;
    const described = await source.describe(object);
    if (described.stamp === null) return undefined;
    const text = await ledger.meta(refreshKey(name, object));
    const state = text === null ? NOTHING_DUE : refreshStateSchema.parse(JSON.parse(text));
    const own = policy.objects[object];
    const asked = own === undefined ? policy.formulas : own;
    const due = dueReasons(
      state,
      { ...policy, formulasMs: definition.capabilities.silentFormulas === true ? asked : null },
      { now: new Date().toISOString(), run: NO_RUN, checkpoint },
    );
    const ownResync = resync.objects[object];
    const everyMs = ownResync === undefined ? resync.every : ownResync;
    const moment = new Date().toISOString();
    const whole =
      everyMs !== null &&
      resyncDue({ wholeAt: state.wholeAt ?? null, tried: null, everyMs, now: moment, run: NO_RUN })
        ? [resyncText(state.wholeAt ?? null)]
        : [];
    const refresh = refreshOf(state, due, described);
    const found = addedFields(described, known);
    if (refresh === null && found.length === 0) return whole[0];
    const rows = await source.count(described, { from: ORIGIN, until: checkpoint });
    const price =
      rows === 'unknown'
        ? 'an unknown number of rows'
        : `${formatCount(rows)} rows, ${formatCalls(estimateCalls(rows), await ledger.quota(name))}`;
    const now = refresh === null ? [] : [`the next run also reads ${refreshText(refresh)}: ${price}`];
    const then = policy.added === 'ask' ? `backfill --fields ${found.join(',')}` : 'the run after the next';
    const later =
      found.length === 0 ? [] : [`new: ${found.join(', ')}; old rows get it by ${then}: ${price}`];
    return [...now, ...later, ...whole].join('; ');
  } catch (error) {
    // The object's own line says what is wrong with it.
    if (error instanceof HeadwaterError) return undefined;
    throw error;
  }
}
