// Moves the windows of one object: extract → shape → load → commit, one activity for small windows, one per step for large ones.
import {
  ContinueAsNew,
  continueAsNew,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { PlannedWindow } from '../activities/plan.ts';
import { formatCount, formatWindow, runReport } from '../rules/report.ts';
import type { Tuning } from '../schemas/inputs.ts';
import type { CallClass } from '../schemas/quota.ts';
import type { ObjectSummary } from '../schemas/run.ts';
import { OUTCOME, PHASE, ROWS_LOADED } from './attributes.ts';
import { objectFailure, troubleOf, unfinished } from './failures.ts';
import { activityCalls, type Calls } from './proxies.ts';

/** Slices that one execution moves before it continues as new: keeps its history short. */
const SLICES_PER_EXECUTION_MAX = 500;
/** How far extraction may run ahead of the load. */
const SLICES_AHEAD_MAX = 2;

export interface SyncObjectInput {
  connection: string;
  object: string;
  /** In order of time; a window that cannot land stops those behind it. */
  windows: PlannedWindow[];
  callClass: CallClass;
  deadlineMs?: number;
  allowShrink?: boolean;
  /** A further warehouse that staged windows land in. */
  sink?: string;
  /** Extracts, shapes and proves; each of several warehouses lands the windows by a workflow of its own. */
  stageOnly?: boolean;
  tuning?: Tuning;
  /** Where an execution that was continued as new goes on. */
  resumeAt?: { window: number; slice: number; done: ObjectSummary[] };
}

export async function syncObject(input: SyncObjectInput): Promise<ObjectSummary[]> {
  const done = [...(input.resumeAt?.done ?? [])];
  const calls = activityCalls({
    tuning: input.tuning,
    priority: input.callClass === 'backfill' ? 5 : 3,
    deadlineMs: input.deadlineMs,
  });
  for (const [index, window] of input.windows.entries()) {
    if (index < (input.resumeAt?.window ?? 0)) continue;
    const firstSlice = index === input.resumeAt?.window ? input.resumeAt.slice : 0;
    show(input, window, done, 'moving');
    try {
      const moved = await moveWindow(calls, input, window, index, firstSlice, done);
      const note = window.note === undefined ? {} : { code: 'NOTE', message: window.note };
      done.push({ ...moved, ...note, stepMs: { plan: window.planMs, ...moved.stepMs } });
    } catch (error) {
      if (error instanceof ContinueAsNew) throw error;
      const trouble = troubleOf(error);
      done.push(unfinished(input.object, window, trouble));
      mark(input, window, done, trouble.state);
      if (trouble.state === 'cancelled') throw error;
      if (trouble.state === 'failed') throw objectFailure(trouble, done);
      return done;
    }
  }
  mark(input, input.windows.at(-1), done, 'ok');
  return done;
}

async function moveWindow(
  calls: Calls,
  input: SyncObjectInput,
  window: PlannedWindow,
  index: number,
  firstSlice: number,
  done: ObjectSummary[],
): Promise<ObjectSummary> {
  const move = {
    connection: input.connection,
    window: window.window,
    attempt: window.attempt,
    callClass: window.partial === true ? 'backfill' : input.callClass,
    ...(input.allowShrink === true ? { allowShrink: true } : {}),
    ...(input.sink === undefined ? {} : { sink: input.sink }),
    ...(input.stageOnly === true ? { stageOnly: true } : {}),
  };
  const what = window.partial === true && window.note !== undefined ? ` · ${window.note}` : '';
  const rows = window.rowsEstimate === null ? what : ` · ${formatCount(window.rowsEstimate)} rows${what}`;
  if (window.slices === 1) {
    return calls.moveSlice(`move ${input.object} · ${formatWindow(window.from, window.until)}${rows}`, {
      ...move,
      slice: 0,
    });
  }
  const loads = new Map<number, Promise<unknown>>();
  const startedMs = Date.now();
  for (let slice = firstSlice; slice < window.slices; slice += 1) {
    const slicesMax = input.tuning?.slicesMax ?? SLICES_PER_EXECUTION_MAX;
    if (slice - firstSlice >= slicesMax || workflowInfo().continueAsNewSuggested) {
      await Promise.all(loads.values());
      await continueAsNew<typeof syncObject>({ ...input, resumeAt: { window: index, slice, done } });
    }
    await loads.get(slice - SLICES_AHEAD_MAX);
    const label = `${input.object} · slice ${slice + 1} of ${window.slices}`;
    const extracted = await calls.extract(`extract ${label}`, { ...move, slice });
    const before = loads.get(slice - 1);
    const loaded = land(calls, label, { ...move, slice }, extracted.rows, before);
    loaded.catch(() => undefined);
    loads.set(slice, loaded);
    show(input, window, done, `slice ${slice + 1} of ${window.slices}`);
  }
  await Promise.all(loads.values());
  const summary = await calls.commit(
    `prove ${input.object} · ${formatWindow(window.from, window.until)}`,
    move,
  );
  return { ...summary, seconds: (Date.now() - startedMs) / 1000 };
}

/** Shapes beside the next extract; loads keep the order of the slices. */
async function land(
  calls: Calls,
  label: string,
  move: Parameters<Calls['shape']>[1],
  rows: number,
  before: Promise<unknown> | undefined,
): Promise<void> {
  await calls.shape(`shape ${label} · ${formatCount(rows)} rows`, move);
  if (move.stageOnly === true) return;
  await before;
  await calls.load(`load ${label} · ${formatCount(rows)} rows`, move);
}

function mark(
  input: SyncObjectInput,
  window: PlannedWindow | undefined,
  done: ObjectSummary[],
  outcome: string,
): void {
  show(input, window, done, outcome);
  upsertSearchAttributes([
    { key: ROWS_LOADED, value: loadedRows(done) },
    { key: OUTCOME, value: outcome },
    { key: PHASE, value: 'done' },
  ]);
}

function loadedRows(lines: ObjectSummary[]): number {
  return lines.reduce((rows, line) => rows + line.inserted + line.updated, 0);
}

function show(
  input: SyncObjectInput,
  window: PlannedWindow | undefined,
  done: ObjectSummary[],
  phase: string,
): void {
  const info = workflowInfo();
  const where = window === undefined ? '' : ` · ${formatWindow(window.from, window.until)}`;
  setCurrentDetails(
    runReport(
      {
        connection: `${input.connection} ${input.object}${where}`,
        workflowId: info.workflowId,
        runId: info.runId,
        trigger: input.callClass === 'backfill' ? 'backfill' : 'schedule',
        outcome: 'ok',
        startedAt: info.startTime.toISOString(),
        endedAt: null,
        idle: 0,
        objects: done,
      },
      phase,
    ),
  );
}
