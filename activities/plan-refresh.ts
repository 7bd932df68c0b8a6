// Part of plan: opens partial windows for fields that changed without a stamp, and for deletions that the source has forgotten.
import { estimateCalls } from '../rules/backfill.ts';
import { gapFreeEnd } from '../rules/coverage.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { describeDue, dueReasons, refreshOf, refreshText, type Refresh } from '../rules/refresh.ts';
import { formatCalls, formatCount } from '../rules/report.ts';
import { fromMs } from '../rules/time.ts';
import { isOneOf, sameOwner } from '../rules/windows.ts';
import { ORIGIN, type Instant } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { ObjectSummary } from '../schemas/run.ts';
import type { Window } from '../schemas/window.ts';
import type { Source } from '../sources/source.ts';
import type { OpenSources } from './connections.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import type { Candidate } from './plan-candidates.ts';
import { cutWindow } from './plan-cut.ts';
import { failureLine, line } from './plan-lines.ts';
import type { PlannedWindow } from './plan.ts';
import { changeRefresh, noteDescription, plannedUntil, readRefresh } from './refresh-state.ts';

export interface RefreshPlan {
  windows: PlannedWindow[];
  lines: ObjectSummary[];
}

interface Planning {
  dependencies: Dependencies;
  settings: ConnectionSettings;
  sources: OpenSources;
  allowShrink: boolean;
  /** Partial windows that are not landed: open ones of this connection, and objects whose staged one waits for the warehouse. */
  open: Window[];
  waiting: ReadonlySet<string>;
}

/** Nearly always nothing: one small fact per object is read, and no call is made. Trouble here never stops the hourly windows. */
export async function planRefreshes(
  dependencies: Dependencies,
  sources: OpenSources,
  settings: ConnectionSettings,
  candidates: readonly Candidate[],
  context: { idle: ReadonlySet<string>; waiting: ReadonlySet<string>; allowShrink: boolean },
): Promise<RefreshPlan> {
  const open = (await dependencies.ledger.openWindows(settings.name)).filter(
    (one) => one.fields !== undefined,
  );
  const { allowShrink, waiting } = context;
  const planning: Planning = { dependencies, settings, sources, allowShrink, open, waiting };
  const plan: RefreshPlan = { windows: [], lines: [] };
  for (const candidate of candidates) {
    try {
      if (context.idle.has(candidate.object)) plan.lines.push(...(await describeIdle(planning, candidate)));
      const planned = await planOne(planning, candidate);
      plan.windows.push(...planned.windows);
      plan.lines.push(...planned.lines);
    } catch (error) {
      if (!(error instanceof HeadwaterError)) throw error;
      plan.lines.push(troubleLine(candidate.object, error));
    }
  }
  return plan;
}

/** What another try can mend is for the next run. */
function troubleLine(object: string, error: HeadwaterError): ObjectSummary {
  if (!error.retryable) return failureLine(object, error);
  return { ...line(object, 'deferred', error.message), code: error.code };
}

/** An object that never changes is described once a day and after a change of the configuration, or its new fields stayed unknown. */
async function describeIdle(
  { dependencies, settings, sources }: Planning,
  { object, request }: Candidate,
): Promise<ObjectSummary[]> {
  const { ledger } = dependencies;
  const state = await readRefresh(ledger, settings.name, object);
  const now = fromMs(dependencies.now());
  if (!describeDue(state, settings.choiceOf(object), now)) return [];
  const source = await sources.source(settings.name, 'hourly');
  const known = (await ledger.schema(settings.name, object))?.schema;
  const described = await source.describe(object);
  const since = await plannedUntil(ledger, settings.name, object);
  const found = await noteDescription(dependencies, settings, described, known, {
    since,
    run: request.owner.runId,
  });
  if (found.length === 0) return [];
  await ledger.storeSchema(settings.name, described, now);
  const note = await addedNote(dependencies, settings, described, found);
  return [{ ...line(object, 'current', note), code: 'NOTE' }];
}

/** The price of filling new fields, told by the run that finds them. */
export async function addedNote(
  dependencies: Dependencies,
  settings: ConnectionSettings,
  schema: ObjectSchema,
  fields: readonly string[],
): Promise<string> {
  const price = await priceOf(dependencies, settings.name, schema.table);
  const command = `npx headwater backfill ${settings.name} ${schema.object} --fields ${fields.join(',')}`;
  const when =
    settings.refresh(schema.object).added === 'ask'
      ? `run \`${command}\` to read them`
      : `the next run reads them; \`${command} --dry-run\` shows more`;
  return `new: ${fields.join(', ')}. ${formatCount(price.rows)} older rows lack them: ${price.text} → ${when}`;
}

/** By the warehouse's own count, which costs no call. */
async function priceOf(
  { warehouse, lanes, ledger }: Dependencies,
  connection: string,
  table: string,
): Promise<{ rows: number; share: number | null; text: string }> {
  const rows = await lanes('warehouse', () => warehouse.count(connection, table));
  const calls = estimateCalls(rows);
  const quota = await ledger.quota(connection);
  const share = quota === null || quota.limit <= 0 ? null : calls / quota.limit;
  return { rows, share, text: formatCalls(calls, quota) };
}

const NOTHING: RefreshPlan = { windows: [], lines: [] };

async function planOne(planning: Planning, candidate: Candidate): Promise<RefreshPlan> {
  const { dependencies, settings, sources, waiting } = planning;
  const { ledger, sink } = dependencies;
  const { object, request, probe } = candidate;
  const lost = probe?.deletionsKnownFrom;
  const landed = gapFreeEnd(await ledger.sinkCoverage(sink, settings.name, object));
  if (landed === null) return NOTHING;
  if (lost !== undefined) await noteLost(dependencies, settings.name, object, lost);
  const schema = await refreshSchema(planning, candidate, landed);
  if (schema === null || waiting.has(object)) return NOTHING;
  const { refresh, known } = schema;
  const left = await leftWindow(planning, candidate, known);
  if (left === undefined && refresh === null) return NOTHING;
  const source = await sources.source(settings.name, 'backfill');
  if (left === undefined && refresh !== null) {
    const { share, text } = await priceOf(dependencies, settings.name, known.table);
    if (share !== null && share > settings.refresh(object).quotaShareMax)
      return { windows: [], lines: [waitLine(settings.name, object, refresh, text)] };
  }
  const fields = left?.fields ?? refresh?.fields ?? [];
  const past = { from: ORIGIN, until: landed };
  const result = await ledger.planWindow({ ...request, past, fields });
  if (result.kind !== 'window') return NOTHING;
  const note = refresh === null ? refreshText({ reasons: [], fields }) : refreshText(refresh);
  return {
    windows: [{ ...(await cutPartial(planning, source, result.window)), resumed: false, note }],
    lines: [],
  };
}

/** The partial window that a dead run left. One whose fields are gone from the source is given up. */
async function leftWindow(
  { dependencies, open }: Planning,
  { object, request }: Candidate,
  known: ObjectSchema,
): Promise<Window | undefined> {
  const { owner, closedOwners } = request;
  const left = open.find(
    (one) => one.object === object && (sameOwner(one.owner, owner) || isOneOf(closedOwners, one.owner)),
  );
  const described = new Set(known.fields.map((field) => field.name));
  if (left === undefined || (left.fields ?? []).every((name) => described.has(name))) return left;
  await dependencies.ledger.abandonWindow(left.id, 'its fields are gone from the source');
  return undefined;
}

/** More than the policy's share of a day's calls is the operator's decision. */
function waitLine(connection: string, object: string, refresh: Refresh, price: string): ObjectSummary {
  const fields = refresh.fields.length === 0 ? 'Id' : refresh.fields.join(',');
  const command = `npx headwater backfill ${connection} ${object} --fields ${fields}`;
  const message = `${refreshText(refresh)} would take ${price} and waits → Run \`${command}\`.`;
  return { ...line(object, 'current', message), code: 'NOTE' };
}

async function noteLost(
  { ledger }: Dependencies,
  connection: string,
  object: string,
  before: Instant,
): Promise<void> {
  await changeRefresh(ledger, connection, object, (state) => ({ ...state, deletionsLostBefore: before }));
}

/** What is due, and the object's description. Null: nothing is due and nothing is left, or nothing can be read in parts. */
async function refreshSchema(
  { dependencies, settings, open }: Planning,
  { object, request }: Candidate,
  checkpoint: Instant,
): Promise<{ refresh: Refresh | null; known: ObjectSchema } | null> {
  const { ledger } = dependencies;
  const state = await readRefresh(ledger, settings.name, object);
  const due = dueReasons(state, settings.refresh(object), {
    now: fromMs(dependencies.now()),
    run: request.owner.runId,
    checkpoint,
  });
  if (due.length === 0 && !open.some((one) => one.object === object)) return null;
  const known = (await ledger.schema(settings.name, object))?.schema;
  if (known === undefined || known.stamp === null) return null;
  const refresh = refreshOf(state, due, known);
  if (refresh === null && due.length > 0) {
    // The object has no formulas, or its new fields are gone again: it is looked at when formulas would be due the next time.
    const formulasAt = due.includes('formulas') ? fromMs(dependencies.now()) : state.formulasAt;
    await changeRefresh(ledger, settings.name, object, (before) => ({ ...before, formulasAt, added: null }));
  }
  return { refresh, known };
}

/** I6: a refused one is given up, so that the next run counts anew and nothing waits for it. */
async function cutPartial(
  { dependencies, settings, allowShrink }: Planning,
  source: Source,
  window: Window,
): Promise<Omit<PlannedWindow, 'resumed'>> {
  try {
    const {
      added: _added,
      schema: _schema,
      ...cut
    } = await cutWindow(dependencies, source, settings, window, allowShrink);
    return { ...cut, partial: true };
  } catch (error) {
    const { id } = window;
    const given = error instanceof HeadwaterError && !error.retryable && error.code !== 'QUOTA_EXHAUSTED';
    if (given) await dependencies.ledger.abandonWindow(id, error.code);
    throw error;
  }
}

/** A backfill of some fields: the same window, because somebody asked for it. */
export async function planAsked(
  dependencies: Dependencies,
  source: Source,
  settings: ConnectionSettings,
  candidates: readonly Candidate[],
  { fields, allowShrink }: { fields: string[]; allowShrink: boolean },
): Promise<RefreshPlan> {
  const planning: Planning = {
    dependencies,
    settings,
    sources: { source: () => Promise.resolve(source), close: () => Promise.resolve() },
    allowShrink,
    open: [],
    waiting: new Set(),
  };
  const plan: RefreshPlan = { windows: [], lines: [] };
  for (const { object, request } of candidates) {
    const result = await dependencies.ledger.planWindow({ ...request, fields });
    if (result.kind === 'window') {
      const note = refreshText({ reasons: [], fields });
      plan.windows.push({ ...(await cutPartial(planning, source, result.window)), resumed: false, note });
    } else if (result.kind === 'in-progress') {
      plan.lines.push(line(object, 'in-progress', `in progress: ${result.owner.workflowId}`));
    } else plan.lines.push(line(object, 'current'));
  }
  return plan;
}
