// Part of plan: cuts an opened window into slices, by what the source says of its size.
import { HeadwaterError } from '../rules/errors.ts';
import { fromMs } from '../rules/time.ts';
import { onlyFields } from '../rules/refresh.ts';
import { keepWidened } from '../rules/widening.ts';
import { ORIGIN } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { Slice, Window } from '../schemas/window.ts';
import type { Source } from '../sources/source.ts';
import { copiesOf, isAway } from './copies.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { failpoint } from './failpoints.ts';
import type { PlannedWindow } from './plan.ts';
import { noteDescription, plannedUntil } from './refresh-state.ts';

/** `added`: fields that rows of before do not have; `schema`: what the window reads. Neither leaves the plan. */
export type CutWindow = Omit<PlannedWindow, 'resumed'> & { added: string[]; schema: ObjectSchema };

/** Describes the object, asks the source for its slices and stores both; a resumed window keeps what it has. */
export async function cutWindow(
  dependencies: Dependencies,
  source: Source,
  settings: ConnectionSettings,
  window: Window,
  allowShrink: boolean,
): Promise<CutWindow> {
  const { ledger, lanes } = dependencies;
  const startedMs = dependencies.now();
  const { schema, slices, countBefore, added } = await lanes('api', async () => {
    if (window.slices.length > 0) {
      const known = await ledger.progress(window.id);
      return { ...known, slices: window.slices, added: [] };
    }
    const readAt = fromMs(dependencies.now());
    const { connection, object } = window;
    const known = (await ledger.schema(connection, object))?.schema;
    const whole = keepWidened(await source.describe(object), known);
    const since = window.kind === 'head' ? window.from : await plannedUntil(ledger, connection, object);
    const found = { since, run: window.owner.runId };
    const fresh = await noteDescription(dependencies, settings, whole, known, found);
    const described = window.fields === undefined ? whole : onlyFields(whole, window.fields);
    const cut = await source.plan({
      schema: described,
      from: window.from,
      readFrom: window.readFrom,
      until: window.until,
    });
    const before = cut.countBefore === 'unknown' ? null : cut.countBefore;
    await ledger.storeSchema(connection, whole, readAt);
    await ledger.storePlan(window.id, window.attempt, {
      schema: described,
      slices: cut.slices,
      countBefore: before,
      readAt,
    });
    failpoint('plan:stored');
    return { schema: described, slices: cut.slices, countBefore: before, added: fresh };
  });
  if (window.from === ORIGIN && !allowShrink)
    await guardShrink(dependencies, window, schema.table, countBefore, () => source.count(schema, window));
  return {
    object: window.object,
    window: window.id,
    attempt: window.attempt,
    kind: window.kind,
    from: window.from,
    until: window.until,
    slices: slices.length,
    api: apiOf(slices),
    rowsEstimate: countBefore,
    planMs: dependencies.now() - startedMs,
    added,
    schema,
  };
}

/**
 * Null: this one of several warehouses is away. What the others get is guarded when they retire rows, and so is this one's.
 */
async function countOrNull(
  dependencies: Dependencies,
  connection: string,
  table: string,
): Promise<number | null> {
  try {
    return await dependencies.warehouse.count(connection, table);
  } catch (error) {
    if (copiesOf(dependencies).length > 0 && isAway(error)) return null;
    throw error;
  }
}

/** How the window is read, for people; the slices of one window use one API. */
export function apiOf(slices: readonly Slice[]): string {
  return slices[0]?.api ?? 'none';
}

/**
 * I6: a whole read that finds less than half of what the warehouse already holds is a broken source, not a small one. A window
 * that is resumed knows a count of before: it is taken again, so that a source which is well again is not refused for ever.
 */
async function guardShrink(
  dependencies: Dependencies,
  window: Window,
  table: string,
  known: number | null,
  countAgain: () => Promise<number | 'unknown'>,
): Promise<void> {
  if (known === null) return;
  const present = await countOrNull(dependencies, window.connection, table);
  if (present === null) return;
  if (known >= present / 2) return;
  const count = await dependencies.lanes('api', countAgain);
  if (count === 'unknown' || count >= present / 2) return;
  throw new HeadwaterError(
    'SHRINK_GUARD',
    `${window.connection}.${table} holds ${present} rows and the source now reports ${count}; nothing was changed`,
  );
}
