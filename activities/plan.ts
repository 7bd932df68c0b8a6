// Step 1, plan: closes windows, proves the empty ones at once, cuts the others into slices.
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import { NO_ROWS } from '../rules/receipts.ts';
import { addMs, fromMs, gridFloor, toMs } from '../rules/time.ts';
import { ORIGIN, type Instant } from '../schemas/instant.ts';
import type { CallClass } from '../schemas/quota.ts';
import type { Receipt } from '../schemas/receipt.ts';
import type { ObjectSummary, Trigger } from '../schemas/run.ts';
import type { Interval, Owner, Window } from '../schemas/window.ts';
import type { Probe, Source } from '../sources/source.ts';
import type { PlanRequest, PlanResult } from '../stores/ledger/ledger.ts';
import type { IntervalRow } from '../warehouses/warehouse.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { isPaused } from './pauses.ts';
import { compareSink } from './sink.ts';

/** Objects per plan activity: bounds its payload and its time. */
export const OBJECTS_PER_PLAN_MAX = 50;

/** A run that starts late still gets this long for each step, ms. */
const DEADLINE_MS_MIN = 5 * 60_000;

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
  allowShrink: boolean;
}

/** A window that has to be moved; everything else about it lies in the ledger. */
export interface PlannedWindow {
  object: string;
  window: string;
  attempt: number;
  kind: Window['kind'] | 'undelivered';
  from: Instant;
  until: Instant;
  slices: number;
  api: string;
  rowsEstimate: number | null;
  planMs: number;
}

export interface PlanOutput {
  windows: PlannedWindow[];
  /** Objects that need no work: current, paused or in progress elsewhere. Idle ones are only counted. */
  settled: ObjectSummary[];
  idle: number;
  until: Instant;
  /** Where the next plan activity goes on; null: all objects are planned. */
  next: number | null;
  objectsTotal: number;
  objectsInParallel: number;
  /** Time left until the next scheduled run, ms; null for a run that nothing follows. */
  deadlineMs: number | null;
}

/** What one object's plan needs; kept together so that the batch stays readable. */
interface Candidate {
  object: string;
  until: Instant;
  probe: Probe | null;
  request: PlanRequest;
}

/** The objects that a run of this connection covers, in the configured order. */
export async function objectsOf(settings: ConnectionSettings, source: () => Promise<Source>): Promise<string[]> {
  const excluded = new Set(settings.exclude);
  if (settings.objects !== 'all') return settings.objects.filter((object) => !excluded.has(object));
  const listed = await (await source()).list();
  return listed.filter((entry) => entry.syncable && !excluded.has(entry.object)).map((entry) => entry.object);
}

export async function plan(dependencies: Dependencies, sources: OpenSources, input: PlanInput): Promise<PlanOutput> {
  const startedMs = dependencies.now();
  const settings = connectionSettings(dependencies, input.connection);
  const callClass: CallClass = input.trigger === 'backfill' ? 'backfill' : 'hourly';
  const source = await sources.source(input.connection, callClass);
  await compareSink(dependencies, input.connection);
  const all = await requestedObjects(settings, source, input.objects);
  const objects = all.slice(input.offset, input.offset + OBJECTS_PER_PLAN_MAX);
  const next = input.offset + objects.length < all.length ? input.offset + objects.length : null;
  const asked = closingTime(input, settings, startedMs);

  const { active, paused } = await splitPaused(dependencies, input.connection, objects);
  const candidates = await examine(dependencies, source, settings, input, active, asked);
  const results = await dependencies.ledger.planWindows(candidates.map((candidate) => candidate.request));
  const opened = candidates.map((candidate, index) => ({ candidate, result: results[index] as PlanResult }));

  const idle = await settleIdle(dependencies, opened);
  const windows = await undeliveredWindows(dependencies, input, active);
  const busy = opened.filter(({ result, candidate }) => result.kind === 'window' && !idle.has(candidate.object));
  const settled = [...paused.map((object) => line(object, 'current', 'paused')), ...settledLines(opened)];
  const planned = await Promise.allSettled(
    busy.map(({ candidate, result }) =>
      cutWindow(dependencies, source, candidate, (result as PlanResult & { kind: 'window' }).window, input.allowShrink),
    ),
  );
  for (const [index, outcome] of planned.entries()) {
    const { candidate } = busy[index]!;
    if (outcome.status === 'fulfilled') windows.push(outcome.value);
    else settled.push(failureLine(candidate.object, outcome.reason));
  }
  return { windows, settled, idle: idle.size, until: asked, next, objectsTotal: all.length, objectsInParallel: dependencies.objectsInParallel, deadlineMs: timeLeft(input, settings, dependencies.now()) };
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

/**
 * U: the newest grid time for a scheduled run; now for one by hand and for `schedule trigger`, whose nominal time is its
 * start and so lies beside the grid.
 */
function closingTime(input: PlanInput, settings: ConnectionSettings, nowMs: number): Instant {
  const now = fromMs(nowMs);
  const onGrid = input.nominal !== null && gridFloor(input.nominal, settings.everyMs) === input.nominal;
  return input.trigger === 'schedule' && onGrid ? gridFloor(now, settings.everyMs) : now;
}

/** No run works on past its next nominal time: that run resumes the window. */
function timeLeft(input: PlanInput, settings: ConnectionSettings, nowMs: number): number | null {
  if (input.trigger !== 'schedule' || input.nominal === null) return null;
  return Math.max(toMs(input.nominal) + settings.everyMs - nowMs, DEADLINE_MS_MIN);
}

async function splitPaused(dependencies: Dependencies, connection: string, objects: string[]) {
  const flags = await Promise.all(objects.map((object) => isPaused(dependencies.ledger, connection, object)));
  return {
    active: objects.filter((_, index) => !flags[index]),
    paused: objects.filter((_, index) => flags[index]),
  };
}

/** Probes every object with as few calls as the source allows, and finds out which open windows have lost their owner. */
async function examine(
  dependencies: Dependencies,
  source: Source,
  settings: ConnectionSettings,
  input: PlanInput,
  objects: string[],
  asked: Instant,
): Promise<Candidate[]> {
  const { ledger } = dependencies;
  const { workflowExecution } = Context.current().info;
  if (workflowExecution === undefined) throw new HeadwaterError('INTERNAL', 'plan runs inside a workflow only');
  const owner: Owner = workflowExecution;
  const open = await ledger.openWindows(input.connection);
  const others = open.map((window) => window.owner).filter((other) => other.runId !== owner.runId);
  const closedOwners = others.length === 0 ? [] : await dependencies.closedOwners(others);
  const past = input.past === 'grid' ? gridInterval(input.nominal, settings.everyMs) : input.past;
  const probes = past === undefined ? await probeHeads(dependencies, source, settings, objects, asked) : [];
  return objects.map((object, index) => {
    const probe = probes[index] ?? null;
    const until = probe === null || probe.visibleUntil > asked ? asked : probe.visibleUntil;
    const request: PlanRequest = {
      connection: input.connection,
      object,
      owner,
      until,
      lookbackMs: settings.lookbackMs,
      closedOwners,
      now: fromMs(dependencies.now()),
      ...(past === undefined ? {} : { past }),
    };
    return { object, until, probe, request };
  });
}

function gridInterval(nominal: Instant | null, everyMs: number): Interval {
  if (nominal === null) throw new HeadwaterError('INPUT_INVALID', 'a backfill by schedule needs a nominal time');
  return { from: addMs(nominal, -everyMs), until: nominal };
}

async function probeHeads(
  dependencies: Dependencies,
  source: Source,
  settings: ConnectionSettings,
  objects: string[],
  asked: Instant,
): Promise<Probe[]> {
  const requests = await Promise.all(
    objects.map(async (object) => {
      const [head] = await dependencies.ledger.coverage(settings.name, object);
      const checkpoint = head?.from === ORIGIN ? head.until : ORIGIN;
      return { object, readFrom: addMs(checkpoint, -settings.lookbackMs), until: asked };
    }),
  );
  return source.probe(requests, Context.current().cancellationSignal);
}

/**
 * Windows that the source proves empty are committed here and now, with a receipt of zero: warehouse first, ledger second,
 * so that a crash between the two is found by comparing their seq (I3).
 */
async function settleIdle(
  dependencies: Dependencies,
  opened: { candidate: Candidate; result: PlanResult }[],
): Promise<Set<string>> {
  const rows: IntervalRow[] = [];
  for (const { candidate, result } of opened) {
    if (result.kind !== 'window' || result.resumed || candidate.probe?.idle !== true) continue;
    if (candidate.probe.visibleUntil < result.window.until) continue;
    rows.push(emptyInterval(result.window, fromMs(dependencies.now())));
  }
  if (rows.length === 0) return new Set();
  const state = await dependencies.lanes('warehouse', () => dependencies.warehouse.closeWindows(rows));
  await dependencies.ledger.commitSources(
    rows.map(({ window, attempt, receipt }) => ({ window, attempt, receipt })),
  );
  await dependencies.ledger.commitSink(dependencies.sink, rows, state);
  return new Set(rows.map((row) => row.object));
}

function emptyInterval(window: Window, at: Instant): IntervalRow {
  const receipt: Receipt = {
    window: window.id,
    connection: window.connection,
    object: window.object,
    from: window.from,
    until: window.until,
    transport: NO_ROWS,
    source: { before: 0, after: 0, moved: 0, late: 0, unexplained: 0 },
    destination: { present: 0, missing: 0 },
    verdict: 'proven',
    at,
  };
  const { id, connection, object, from, until, attempt } = window;
  return { window: id, connection, object, from, until, attempt, batches: [], receipt };
}

/** Describes the object, asks the source for its slices and stores both; a resumed window keeps what it has. */
async function cutWindow(
  dependencies: Dependencies,
  source: Source,
  candidate: Candidate,
  window: Window,
  allowShrink: boolean,
): Promise<PlannedWindow> {
  const { ledger, lanes } = dependencies;
  const startedMs = dependencies.now();
  const { schema, slices, countBefore } = await lanes('api', async () => {
    if (window.slices.length > 0) return ledger.progress(window.id);
    const readAt = fromMs(dependencies.now());
    const described = await source.describe(candidate.object);
    const cut = await source.plan({ schema: described, from: window.from, readFrom: window.readFrom, until: window.until });
    const before = cut.countBefore === 'unknown' ? null : cut.countBefore;
    await ledger.storeSchema(window.connection, described, readAt);
    await ledger.storePlan(window.id, window.attempt, { schema: described, slices: cut.slices, countBefore: before, readAt });
    return { schema: described, slices: cut.slices, countBefore: before };
  });
  if (window.from === ORIGIN && !allowShrink) await guardShrink(dependencies, window, schema.table, countBefore);
  return {
    object: candidate.object,
    window: window.id,
    attempt: window.attempt,
    kind: window.kind,
    from: window.from,
    until: window.until,
    slices: slices.length,
    api: apiOf(slices),
    rowsEstimate: countBefore,
    planMs: dependencies.now() - startedMs,
  };
}

function apiOf(slices: readonly ({ api: string } | { slice: { api: string } })[]): string {
  const [first] = slices;
  if (first === undefined) return 'none';
  return 'slice' in first && typeof first.slice === 'object' ? first.slice.api : (first as { api: string }).api;
}

/** I6: a first load that finds less than half of what the warehouse already holds is a broken source, not a small one. */
async function guardShrink(dependencies: Dependencies, window: Window, table: string, count: number | null): Promise<void> {
  if (count === null) return;
  const present = await dependencies.warehouse.count(window.connection, table);
  if (count >= present / 2) return;
  throw new HeadwaterError(
    'SHRINK_GUARD',
    `${window.connection}.${table} holds ${present} rows and the source now reports ${count}; nothing was changed`,
  );
}

/** Windows that are staged and proven while the warehouse was away: they land first, in order. */
async function undeliveredWindows(
  dependencies: Dependencies,
  input: PlanInput,
  objects: string[],
): Promise<PlannedWindow[]> {
  const wanted = new Set(objects);
  const windows = await dependencies.ledger.undelivered(dependencies.sink, input.connection);
  return windows
    .filter((window) => wanted.has(window.object))
    .map((window) => ({
      object: window.object,
      window: window.id,
      attempt: window.attempt,
      kind: 'undelivered' as const,
      from: window.from,
      until: window.until,
      slices: window.slices.length,
      api: apiOf(window.slices),
      rowsEstimate: null,
      planMs: 0,
    }));
}

function settledLines(opened: { candidate: Candidate; result: PlanResult }[]): ObjectSummary[] {
  const lines: ObjectSummary[] = [];
  for (const { candidate, result } of opened) {
    if (result.kind === 'in-progress') {
      lines.push(line(candidate.object, 'in-progress', `in progress: ${result.owner.workflowId}`));
    } else if (result.kind === 'first-load-missing') {
      lines.push(failureLine(candidate.object, new HeadwaterError('FIRST_LOAD_MISSING', 'there is no first load yet')));
    } else if (result.kind === 'current') {
      lines.push(line(candidate.object, 'current'));
    }
  }
  return lines;
}

function line(object: string, state: ObjectSummary['state'], message?: string): ObjectSummary {
  return {
    object,
    window: null,
    from: null,
    until: null,
    state,
    rows: 0,
    inserted: 0,
    updated: 0,
    unchanged: 0,
    deleted: 0,
    quarantined: 0,
    verdict: null,
    seconds: 0,
    ...(message === undefined ? {} : { message }),
  };
}

/** One object's own mistake does not stop the others; an error of the whole connection was thrown before this. */
function failureLine(object: string, error: unknown): ObjectSummary {
  const known = error instanceof HeadwaterError ? error : new HeadwaterError('INTERNAL', 'an unexpected error', { cause: error });
  const state = known.code === 'QUOTA_EXHAUSTED' ? 'deferred' : 'failed';
  return { ...line(object, state, `${known.message} → ${known.remedy}`), code: known.code };
}

