// Part of commit: finds out why the source's count of a window differs from what was read, or that it does not.
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import { addMs, fromMs, ORIGIN } from '../rules/time.ts';
import type { Interval, Window } from '../schemas/window.ts';
import type { Source } from '../sources/source.ts';
import type { WindowProgress } from '../stores/ledger/ledger.ts';
import type { Dependencies } from './dependencies.ts';

/** Ids per look-up in the staged rows: bounds memory. */
const IDS_PER_CHECK_MAX = 20_000;
/** While somebody edits, count and changes are read again until the count stands still between the two. */
const TRIES_MAX = 3;
/** More records than this changing during one whole read: deletions are found by the next one. */
export const CHANGED_IDS_MAX = 100_000;
/** The last day that SOQL knows lies in the year 4000. */
const FAR_FUTURE = '3999-12-31T00:00:00.000Z';
/** Beyond what the source's clock may be ahead of ours, ms. */
const CLOCK_AHEAD_MS_MAX = 10 * 60_000;

export interface Evidence {
  /** Records of the window at the source when the evidence was taken. */
  after: number | 'unknown';
  /** Of what was read: no longer in the window. */
  moved: number;
  /** In the window at the source, and never read. */
  lateIds: string[];
}

/**
 * Takes the source's count and what has moved since as one consistent picture: rows can leave a closed window at any moment,
 * so a count counts only if a second one, after the changes were read, is equal. If it never is, or if the picture does not
 * explain the difference, the window's ids are compared one by one, which is exact whatever goes on meanwhile.
 */
export async function takeEvidence(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
  read: number,
): Promise<Evidence> {
  const { window, schema } = progress;
  const interval = { from: window.from, until: window.until };
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const before = await source.count(schema, interval);
    if (before === 'unknown' || before === read) return { after: before, moved: 0, lateIds: [] };
    if (before > read) break;
    const moved = await movedSince(dependencies, source, progress);
    const after = await source.count(schema, interval);
    if (after !== before) continue;
    if (after + moved === read) return { after, moved, lateIds: [] };
    break;
  }
  return compareIds(dependencies, source, progress, read);
}

/** Records that changed since the window's end: alive, whatever a read of the window did not find. */
export async function changedSince(source: Source, progress: WindowProgress): Promise<string[]> {
  const { window, schema } = progress;
  // However far the source's clock is ahead of ours: a record that changed is alive.
  const until = FAR_FUTURE;
  const ids: string[] = [];
  for await (const stamps of source.stamps(
    schema,
    { from: window.until, until },
    Context.current().cancellationSignal,
  )) {
    for (const { id } of stamps) ids.push(id);
    if (ids.length > CHANGED_IDS_MAX) break;
  }
  return ids;
}

/** Rows that were read and have since got a stamp at or after the window's end. Only what changed since is looked at. */
async function movedSince(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
): Promise<number> {
  const until = fromMs(dependencies.now() + CLOCK_AHEAD_MS_MAX);
  const seen = await walk(
    dependencies,
    source,
    progress,
    { from: progress.window.until, until },
    'changes since',
  );
  return seen.ids - seen.absent;
}

async function compareIds(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
  read: number,
): Promise<Evidence> {
  const { window, schema } = progress;
  const { from, until } = window;
  let told = '';
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const before = await source.count(schema, { from, until });
    const seen = await walk(dependencies, source, progress, { from, until }, 'ids of the window');
    const after = await source.count(schema, { from, until });
    // I7: a list that is cut off like the read itself would prove the read. The count is the witness: rows leave or enter one by one.
    const agrees =
      before === 'unknown' ||
      after === 'unknown' ||
      (seen.ids >= Math.min(before, after) && seen.ids <= Math.max(before, after));
    if (agrees) return { after: seen.ids, moved: read - (seen.ids - seen.absent), lateIds: seen.absentIds };
    told = `counts ${after} rows in the window and lists ${seen.ids}`;
  }
  throw new HeadwaterError('RECEIPT_SOURCE', `${window.object}: the source contradicts itself: it ${told}`, {
    details: { window: window.id },
  });
}

/** The source's list of changes may be cut to whole minutes at both ends. */
const LIST_RESOLUTION_MS = 60_000;
/** Listed ids that are looked for: one that is nowhere is enough. */
const LISTED_IDS_MAX = 10_000;

/**
 * I7: a source that shows no rows, counts none and lists no ids may still name changed records in its own list of changes.
 * Asked only when not one row came, so a window with rows and an idle one cost nothing more. Records named for the minutes
 * around the window are found by their stamps; ones that move meanwhile are no longer named the next time.
 */
export async function refuseContradiction(source: Source, progress: WindowProgress): Promise<void> {
  const { window, schema } = progress;
  if (source.changes === undefined || schema.stamp === null) return;
  const { cancellationSignal: signal } = Context.current();
  const interval = { from: window.readFrom, until: window.until };
  const from = window.readFrom === ORIGIN ? ORIGIN : addMs(window.readFrom, -LIST_RESOLUTION_MS);
  const around = { from, until: addMs(window.until, LIST_RESOLUTION_MS) };
  let named = 0;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const listed = await source.changes(window.object, interval, signal);
    if (listed === undefined || listed.length === 0) return;
    const unseen = new Set(listed.slice(0, LISTED_IDS_MAX));
    named = unseen.size;
    for await (const stamps of source.stamps(schema, around, signal)) {
      for (const { id } of stamps) unseen.delete(id);
      if (unseen.size === 0) return;
    }
  }
  throw new HeadwaterError(
    'RECEIPT_SOURCE',
    `${window.object}: the source contradicts itself: it names ${named} changed records, and shows and counts none`,
    { details: { window: window.id } },
  );
}

/** Ids of late rows that one window keeps; more is not late, it is another data set. */
const LATE_IDS_MAX = 100_000;

async function walk(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
  interval: Interval,
  what: string,
): Promise<{ ids: number; absent: number; absentIds: string[] }> {
  const { window, schema } = progress;
  const signal = Context.current().cancellationSignal;
  const files = await Promise.all(
    progress.slices.flatMap(({ batch }) => (batch?.rows ?? []).map((key) => dependencies.stage.path(key))),
  );
  const column = schema.fields.find((field) => field.name === schema.key)?.column ?? schema.key;
  const total = { ids: 0, absent: 0, absentIds: [] as string[] };
  let pending: string[] = [];
  const check = async () => {
    const { from, until } = window;
    const absent = await withoutErased(
      dependencies,
      window,
      await dependencies.shaper.absentKeys({ files, column, ids: pending, from, until }),
    );
    total.ids += pending.length;
    total.absent += absent.length;
    total.absentIds.push(...absent.slice(0, LATE_IDS_MAX - total.absentIds.length));
    pending = [];
    Context.current().heartbeat({ comparing: what, ids: total.ids });
  };
  for await (const stamps of source.stamps(schema, interval, signal)) {
    for (const { id } of stamps) pending.push(id);
    if (pending.length >= IDS_PER_CHECK_MAX) await check();
  }
  if (pending.length > 0) await check();
  return total;
}

/** Who was erased is not missing: the row was read, left out and counted. */
async function withoutErased(
  { profiles }: Dependencies,
  { connection, object }: Window,
  ids: string[],
): Promise<string[]> {
  if (profiles === undefined || ids.length === 0 || !(await profiles.claims.suppressing())) return ids;
  const erased = await profiles.claims.suppressed(connection, object, ids);
  return ids.filter((_, at) => erased[at] !== true);
}
