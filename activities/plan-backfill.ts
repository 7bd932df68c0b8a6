// Step 1 of a backfill: lists the intervals of a range with their state, and joins them to windows of a bounded size.
import { gapFreeEnd } from '../rules/coverage.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { cutToSize, estimateCalls, type SizedWindow } from '../rules/backfill.ts';
import { decideIntervals, type IntervalCells } from '../rules/intervals.ts';
import { earliest, fromMs } from '../rules/time.ts';
import { ORIGIN } from '../schemas/instant.ts';
import type { BackfillObject, BackfillPlan, BackfillWindow, IntervalState } from '../schemas/backfill.ts';
import { BEGINNING, type BackfillRequest } from '../schemas/inputs.ts';
import type { Interval } from '../schemas/window.ts';
import type { Source } from '../sources/source.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { objectsOf } from './plan.ts';

/** Rows that one window of a backfill aims at. */
const WINDOW_ROWS_TARGET = 1_000_000;
/** Windows of one backfill; a longer range is cut by the caller. */
const WINDOWS_MAX = 2_000;
/** Count calls that planning may spend per object. */
const COUNTS_PER_OBJECT_MAX = 200;

export interface PlanBackfillInput {
  given: unknown;
}

export async function planBackfill(
  dependencies: Dependencies,
  sources: OpenSources,
  given: BackfillRequest,
): Promise<BackfillPlan> {
  const settings = connectionSettings(dependencies, given.connection);
  const source = await sources.source(given.connection, 'backfill');
  const range = rangeOf(given, dependencies.now());
  const configured = await objectsOf(settings, () => Promise.resolve(source));
  const objects = given.objects ?? configured;
  if (given.fields !== undefined && range.from !== ORIGIN)
    throw new HeadwaterError(
      'INPUT_INVALID',
      'single fields are read of all records: leave `from` at the beginning',
    );
  const unknown = objects.filter((object) => !configured.includes(object));
  if (unknown.length > 0) {
    throw new HeadwaterError('INPUT_INVALID', `${given.connection} does not sync ${unknown.join(', ')}`);
  }
  const windows: BackfillWindow[] = [];
  const summaries: BackfillObject[] = [];
  for (const object of objects) {
    const planned =
      given.fields === undefined
        ? await planObject(dependencies, source, settings, object, range, given.reprocess)
        : await planFields(dependencies, source, settings, object, given.fields);
    windows.push(...planned.windows);
    summaries.push(planned.summary);
  }
  if (windows.length > WINDOWS_MAX) {
    throw new HeadwaterError(
      'INPUT_INVALID',
      `the range makes ${windows.length} windows, more than ${WINDOWS_MAX}; take a shorter one`,
    );
  }
  windows.sort((a, b) => (given.newestFirst ? b.from.localeCompare(a.from) : a.from.localeCompare(b.from)));
  const quota = await dependencies.ledger.quota(given.connection);
  return {
    connection: given.connection,
    from: range.from,
    to: range.until,
    windows,
    objects: summaries,
    calls: windows.reduce((calls, window) => calls + estimateCalls(window.rowsEstimate), 0),
    quota: quota === null ? null : { used: quota.used, limit: quota.limit },
    maxActive: given.maxActive,
    dryRun: given.dryRun,
  };
}

/** One partial window up to what the warehouse holds. */
async function planFields(
  { ledger, sink }: Dependencies,
  source: Source,
  settings: ConnectionSettings,
  object: string,
  asked: readonly string[],
): Promise<{ windows: BackfillWindow[]; summary: BackfillObject }> {
  const until = gapFreeEnd(await ledger.sinkCoverage(sink, settings.name, object));
  if (until === null)
    throw new HeadwaterError('FIRST_LOAD_MISSING', `${settings.name} ${object} has no first load yet`);
  const schema = await source.describe(object);
  if (schema.stamp === null)
    throw new HeadwaterError('INPUT_INVALID', `${object} has no stamp: each run reads it whole`);
  const unknown = asked.filter((name) => !schema.fields.some((field) => field.name === name));
  if (unknown.length > 0) {
    throw new HeadwaterError(
      'INPUT_INVALID',
      `${object} has no field ${unknown.join(', ')}, or the configuration leaves it out`,
    );
  }
  const always = new Set<string | null>([schema.key, schema.stamp, schema.deleted]);
  const fields = asked.filter((name) => !always.has(name)).sort();
  const counted = await source.count(schema, { from: ORIGIN, until });
  const rowsEstimate = counted === 'unknown' ? null : counted;
  return {
    windows: [{ object, from: ORIGIN, until, cells: 1, rowsEstimate, fields }],
    summary: { object, cells: { covered: 1, missing: 0, failed: 0, open: 0 }, rowsEstimate },
  };
}

function rangeOf(given: BackfillRequest, nowMs: number): Interval {
  const from = given.from === BEGINNING ? ORIGIN : fromMs(Date.parse(given.from));
  const until = fromMs(Math.min(Date.parse(given.to), nowMs));
  if (from < until) return { from, until };
  throw new HeadwaterError(
    'INPUT_INVALID',
    `the range ${given.from} to ${given.to} is empty; "to" must be after "from" and "from" in the past`,
  );
}

async function planObject(
  dependencies: Dependencies,
  source: Source,
  settings: ConnectionSettings,
  object: string,
  range: Interval,
  reprocess: 'missing' | 'failed' | 'all',
): Promise<{ windows: BackfillWindow[]; summary: BackfillObject }> {
  const { ledger, sink } = dependencies;
  if (range.from === ORIGIN) return planWholeRead(dependencies, source, settings, object);
  const coverage = await ledger.sinkCoverage(sink, settings.name, object);
  if (coverage[0]?.from !== ORIGIN) {
    throw new HeadwaterError('FIRST_LOAD_MISSING', `${settings.name} ${object} has no first load yet`);
  }
  const open = (await ledger.openWindows(settings.name)).filter((window) => window.object === object);
  const closed = open.length === 0 ? [] : await dependencies.closedOwners(open.map((window) => window.owner));
  // What lies behind the checkpoint is the business of the next run: a backfill reads what is past.
  const past = { from: range.from, until: earliest(range.until, gapFreeEnd(coverage) ?? range.until) };
  const stretches = decideIntervals({ coverage, open }, past, settings.everyMs, closed);
  const schema = (await ledger.schema(settings.name, object))?.schema ?? (await source.describe(object));
  let calls = 0;
  const count = async (interval: Interval) => {
    calls += 1;
    return calls > COUNTS_PER_OBJECT_MAX ? ('unknown' as const) : source.count(schema, interval);
  };
  const windows: SizedWindow[] = [];
  for (const stretch of reprocess === 'all'
    ? joinAll(stretches)
    : stretches.filter((one) => one.state === reprocess)) {
    windows.push(...(await cutToSize(stretch, settings.everyMs, WINDOW_ROWS_TARGET, count)));
  }
  const states: Record<IntervalState, number> = { covered: 0, missing: 0, failed: 0, open: 0 };
  for (const stretch of stretches) states[stretch.state] += stretch.cells;
  const known = windows.every((window) => window.rowsEstimate !== null);
  return {
    windows: windows.map((window) => ({ object, ...window })),
    summary: {
      object,
      cells: states,
      rowsEstimate: known ? windows.reduce((rows, window) => rows + (window.rowsEstimate ?? 0), 0) : null,
    },
  };
}

/** Everything again: states do not cut the range, but what another run works on is left to it. */
function joinAll(stretches: IntervalCells[]): IntervalCells[] {
  const joined: IntervalCells[] = [];
  for (const stretch of stretches) {
    const last = joined.at(-1);
    if (stretch.state === 'open') continue;
    if (last?.until === stretch.from) {
      last.until = stretch.until;
      last.cells += stretch.cells;
    } else joined.push({ ...stretch });
  }
  return joined;
}

/** One window over everything up to the checkpoint: the grid has no part in it. */
async function planWholeRead(
  dependencies: Dependencies,
  source: Source,
  settings: ConnectionSettings,
  object: string,
): Promise<{ windows: BackfillWindow[]; summary: BackfillObject }> {
  // The source's own coverage: a warehouse that was lost is filled again this way.
  const checkpoint = gapFreeEnd(await dependencies.ledger.coverage(settings.name, object));
  if (checkpoint === null) {
    throw new HeadwaterError('FIRST_LOAD_MISSING', `${settings.name} ${object} has no first load yet`);
  }
  const known = await dependencies.ledger.schema(settings.name, object);
  const window = { from: ORIGIN, until: checkpoint };
  const counted = await source.count(known?.schema ?? (await source.describe(object)), window);
  const rowsEstimate = counted === 'unknown' ? null : counted;
  return {
    windows: [{ object, ...window, cells: 1, rowsEstimate }],
    summary: { object, cells: { covered: 1, missing: 0, failed: 0, open: 0 }, rowsEstimate },
  };
}
