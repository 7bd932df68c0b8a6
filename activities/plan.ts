// Step 1, plan: closes windows, proves the empty ones at once, cuts the others into slices.
import { Context } from '@temporalio/activity';
import { gapFreeEnd } from '../rules/coverage.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { refreshText } from '../rules/refresh.ts';
import type { Instant } from '../schemas/instant.ts';
import type { CallClass } from '../schemas/quota.ts';
import type { ObjectSummary, SinkTrouble, Trigger } from '../schemas/run.ts';
import type { Interval, Window } from '../schemas/window.ts';
import type { Source } from '../sources/source.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import { copiesOf, isAway } from './copies.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { failpoint } from './failpoints.ts';
import { isPaused } from './pauses.ts';
import { closingTime, examine, timeLeft, type Opened } from './plan-candidates.ts';
import { apiOf, cutWindow } from './plan-cut.ts';
import { copiesToDeliver, examineSinks, type Sinks } from './plan-copies.ts';
import { landEmpty, settleIdle } from './plan-idle.ts';
import { failureLine, line, settledLines } from './plan-lines.ts';
import { addedNote, planAsked, planRefreshes } from './plan-refresh.ts';
import { planResync } from './plan-resync.ts';
import { stillStaged } from './still-staged.ts';

/** Objects per plan activity: bounds its payload and its time. */
export const OBJECTS_PER_PLAN_MAX = 50;

export interface PlanInput {
  connection: string;
  objects?: string[];
  /** How many of the connection's objects earlier plan activities of this run have dealt with. */
  offset: number;
  trigger: Trigger;
  /** N, the nominal time of a scheduled run; null for a run by hand. */
  nominal: Instant | null;
  /** A backfill's interval; `grid` for the one that ends at N. */
  past?: Interval | 'grid';
  /** A backfill of these fields alone, from the beginning. */
  fields?: string[];
  allowShrink: boolean;
}

/** A window that has to be moved; everything else about it lies in the ledger. */
export interface PlannedWindow {
  object: string;
  window: string;
  attempt: number;
  kind: Window['kind'] | 'undelivered';
  /** Reads some fields of all records up to the checkpoint, with the calls of a backfill. */
  partial?: boolean;
  /** Taken over from a run that died: the time since its end is still to be planned. */
  resumed: boolean;
  from: Instant;
  until: Instant;
  slices: number;
  api: string;
  rowsEstimate: number | null;
  planMs: number;
  /** Something that the operator should know of this window, with the remedy. */
  note?: string;
}

export interface PlanOutput {
  windows: PlannedWindow[];
  /** Objects that need no work: current, paused or in progress elsewhere. Idle ones are only counted. */
  settled: ObjectSummary[];
  idle: number;
  /** Of several warehouses the name of the main one: each lands these windows by a workflow of its own. */
  main?: string;
  /** Further warehouses that lack windows, or will when these have moved. */
  deliver?: string[];
  /** Further warehouses that do not answer: a workflow of their own waits for them. */
  await?: string[];
  /** Of several warehouses those that cannot be written to now. */
  troubles?: SinkTrouble[];
  /** An object whose periodic whole re-reading is due: a backfill of its own does it. */
  resync?: string;
  until: Instant;
  /** Where the next plan activity goes on; null: all objects are planned. */
  next: number | null;
  objectsTotal: number;
  objectsInParallel: number;
  /** Time left until the next scheduled run, ms; null for a run that nothing follows. */
  deadlineMs: number | null;
}

/** The objects that a run of this connection covers, in the configured order. */
export async function objectsOf(
  settings: ConnectionSettings,
  source: () => Promise<Source>,
): Promise<string[]> {
  // I6: what cannot be read would look deleted.
  if (settings.capabilities.pushOnly === true) return [];
  const excluded = new Set(settings.exclude);
  if (settings.objects !== 'all') return settings.objects.filter((object) => !excluded.has(object));
  const listed = await (await source()).list();
  return listed.filter((entry) => entry.syncable && !excluded.has(entry.object)).map((entry) => entry.object);
}

export async function plan(
  dependencies: Dependencies,
  sources: OpenSources,
  input: PlanInput,
): Promise<PlanOutput> {
  const startedMs = dependencies.now();
  const settings = connectionSettings(dependencies, input.connection);
  const callClass: CallClass = input.trigger === 'backfill' ? 'backfill' : 'hourly';
  const source = await sources.source(input.connection, callClass);
  const sinks = await examineSinks(dependencies, input.connection);
  const all = await requestedObjects(settings, source, input.objects);
  const objects = all.slice(input.offset, input.offset + OBJECTS_PER_PLAN_MAX);
  const next = input.offset + objects.length < all.length ? input.offset + objects.length : null;
  const asked = closingTime(input, settings, startedMs);

  const { active, paused } = await splitPaused(dependencies, input.connection, objects);
  const candidates = await examine(dependencies, source, settings, input, active, asked);
  const total = { until: asked, next, objectsTotal: all.length };
  const { objectsInParallel } = dependencies;
  if (input.fields !== undefined) {
    const asking = { fields: input.fields, allowShrink: input.allowShrink };
    const { windows, lines } = await planAsked(dependencies, source, settings, candidates, asking);
    return { windows, settled: lines, idle: 0, ...total, objectsInParallel, deadlineMs: null };
  }
  const results = await dependencies.ledger.planWindows(candidates.map((candidate) => candidate.request));
  failpoint('plan:opened');
  const opened = candidates.flatMap((candidate, index): Opened[] => {
    const result = results[index];
    return result === undefined ? [] : [{ candidate, result }];
  });

  const idle = await settleIdle(dependencies, opened, sinks);
  const waiting =
    input.past === undefined && !sinks.mainAway
      ? (await undeliveredWindows(dependencies, input.connection)).filter(({ object }) =>
          active.includes(object),
        )
      : [];
  const settled = [...paused.map((object) => line(object, 'current', 'paused')), ...settledLines(opened)];
  const busy = opened.flatMap(({ result }) =>
    result.kind === 'window' && !idle.has(result.window.object) ? [result] : [],
  );
  const cuts = await cutAll(dependencies, source, settings, busy, input.allowShrink, sinks.mainAway);
  settled.push(...cuts.failures);
  let resync: string | undefined;
  const partial: PlannedWindow[] = waiting.filter((window) => window.partial === true);
  if (input.past === undefined && input.trigger !== 'backfill' && !sinks.mainAway) {
    const refreshes = await planRefreshes(dependencies, sources, settings, candidates, {
      idle,
      waiting: new Set(partial.map((window) => window.object)),
      allowShrink: input.allowShrink,
    });
    settled.push(...refreshes.lines);
    partial.push(...refreshes.windows);
    const { runId = '' } = Context.current().info.workflowExecution ?? {};
    const planned = await planResync(dependencies, settings, active, runId);
    settled.push(...planned.lines);
    resync = planned.object;
  }
  // Partial ones last: what keeps one of them from landing never holds an hourly window back.
  const windows = [...waiting.filter((window) => window.partial !== true), ...cuts.windows, ...partial];
  return {
    windows,
    ...(await forCopies(dependencies, sinks, input.connection, windows.length > 0)),
    settled,
    idle: idle.size,
    ...total,
    objectsInParallel,
    ...(resync === undefined ? {} : { resync }),
    deadlineMs: timeLeft(input, settings, dependencies.now()),
  };
}

async function forCopies(
  dependencies: Dependencies,
  { copies, away, troubles }: Sinks,
  connection: string,
  windowsMove: boolean,
): Promise<Pick<PlanOutput, 'main' | 'deliver' | 'await' | 'troubles'>> {
  const deliver = await copiesToDeliver(dependencies, copies, connection, windowsMove);
  return {
    ...(copiesOf(dependencies).length > 0 && windowsMove ? { main: dependencies.sink } : {}),
    ...(deliver.length === 0 ? {} : { deliver }),
    ...(away.length === 0 ? {} : { await: away }),
    ...(troubles.length === 0 ? {} : { troubles }),
  };
}

/** Codes that concern the whole connection: raised once, without children. */
const WHOLE_CONNECTION = new Set(['AUTH_FAILED', 'SECRET_MISSING']);

/** One object's own mistake does not stop the others; what another try can mend is thrown, so that plan is tried again. */
async function cutAll(
  dependencies: Dependencies,
  source: Source,
  settings: ConnectionSettings,
  busy: { window: Window; resumed: boolean }[],
  allowShrink: boolean,
  mainAway: boolean,
): Promise<{ windows: PlannedWindow[]; failures: ObjectSummary[] }> {
  const outcomes = await Promise.allSettled(
    busy.map(async ({ window, resumed }): Promise<PlannedWindow> => {
      const { added, schema, ...cut } = await cutWindow(dependencies, source, settings, window, allowShrink);
      if (added.length === 0 || mainAway) return { ...cut, resumed };
      return { ...cut, resumed, note: await addedNote(dependencies, settings, schema, added) };
    }),
  );
  const windows: PlannedWindow[] = [];
  const failures: ObjectSummary[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') windows.push(outcome.value);
    else if (!(outcome.reason instanceof HeadwaterError)) throw outcome.reason;
    else if (outcome.reason.retryable || WHOLE_CONNECTION.has(outcome.reason.code)) throw outcome.reason;
    else failures.push(failureLine(busy[index]?.window.object ?? '', outcome.reason));
  }
  return { windows, failures };
}

async function requestedObjects(
  settings: ConnectionSettings,
  source: Source,
  wanted: string[] | undefined,
): Promise<string[]> {
  const configured = await objectsOf(settings, () => Promise.resolve(source));
  if (wanted === undefined) return configured;
  const unknown = wanted.filter((object) => !configured.includes(object));
  if (unknown.length === 0) return wanted;
  throw new HeadwaterError(
    'INPUT_INVALID',
    `${settings.name} does not sync ${unknown.join(', ')}; it syncs ${configured.slice(0, 20).join(', ')}`,
  );
}

async function splitPaused(dependencies: Dependencies, connection: string, objects: string[]) {
  const flags = await Promise.all(objects.map((object) => isPaused(dependencies.ledger, connection, object)));
  return {
    active: objects.filter((_, index) => !flags[index]),
    paused: objects.filter((_, index) => flags[index]),
  };
}

/** Windows that are staged and proven while the warehouse was away: they land first, in order, partial ones after all others. */
export async function undeliveredWindows(
  dependencies: Dependencies,
  connection: string,
): Promise<PlannedWindow[]> {
  const { ledger, sink, isCopy } = dependencies;
  const windows = await ledger.undelivered(sink, connection);
  const landed = await landEmpty(dependencies, connection, windows).catch((error: unknown) => {
    if ((isCopy === true || copiesOf(dependencies).length > 0) && isAway(error)) return null;
    throw error;
  });
  const lacking = windows.filter((window) => landed?.has(window.id) !== true);
  // One that is away: whoever moves the empty ones finds out, and waits instead of trying this step again.
  const empty = landed === null ? lacking.filter(({ slices }) => slices.length === 0) : [];
  const left = isCopy === true ? [...empty, ...(await stillStaged(dependencies, lacking))] : lacking;
  const partial: Window[] = [];
  for (const window of left.filter(({ fields }) => fields !== undefined)) {
    // After the warehouse was lost, its rows come first: there is nothing yet that these columns could be set in.
    const landedUntil = gapFreeEnd(await ledger.sinkCoverage(sink, connection, window.object));
    if (landedUntil !== null && landedUntil >= window.until) partial.push(window);
  }
  return [...left.filter((window) => window.fields === undefined), ...partial].map((window) => ({
    object: window.object,
    window: window.id,
    attempt: window.attempt,
    kind: 'undelivered' as const,
    ...(window.fields === undefined
      ? {}
      : { partial: true, note: refreshText({ reasons: [], fields: window.fields }) }),
    resumed: false,
    from: window.from,
    until: window.until,
    slices: window.slices.length,
    api: apiOf(window.slices),
    rowsEstimate: null,
    planMs: 0,
  }));
}
