// One run of one connection: plan closes the windows, a child per busy object moves them, the run ends with one table.
import {
  ApplicationFailure,
  CancellationScope,
  ParentClosePolicy,
  startChild,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { RunPlanOutput } from '../activities/index.ts';
import { FAILING_OUTCOMES, outcomeOf } from '../rules/outcome.ts';
import { formatCount, runReport } from '../rules/report.ts';
import type { SyncConnectionInput } from '../schemas/inputs.ts';
import type { ObjectSummary, RunSummary, Trigger } from '../schemas/run.ts';
import { CONNECTION, OUTCOME, PHASE, ROWS_LOADED, SCHEDULED_BY, SCHEDULED_START } from './attributes.ts';
import { Copies } from './copies.ts';
import { refuseMisshapen, runFailure, troubleOf } from './failures.ts';
import { inParallel } from './parallel.ts';
import { backfill } from './backfill.ts';
import { deliver } from './deliver.ts';
import { moveInChild } from './object-child.ts';
import { progressQuery } from './messages.ts';
import { resolveProfiles } from './profiles.ts';
import { activityCalls, type Calls } from './proxies.ts';

/** Plan activities of one run: 50 objects each. */
const PLANS_MAX = 100;

export async function syncConnection(input: SyncConnectionInput): Promise<RunSummary> {
  refuseMisshapen(input);
  const { trigger, nominal, past } = occasion(input);
  const run = newRun(input.connection, trigger);
  setHandler(progressQuery, () => run);
  const calls = activityCalls({
    tuning: input?.tuning,
    priority: trigger === 'backfill' ? 5 : 3,
    deadlineMs: undefined,
  });
  const copies = new Copies();
  const { allowShrink, tuning } = input;
  let deadlineMs: number | null = null;
  let closed = false;
  let profiles = false;
  try {
    for (let offset: number | null = 0, plans = 0; offset !== null && plans < PLANS_MAX; plans += 1) {
      setCurrentDetails(runReport(run, 'planning'));
      const planned: RunPlanOutput = await calls.plan(planLabel(run, input, offset), {
        connection: run.connection,
        ...(input.objects === undefined ? {} : { objects: input.objects }),
        offset,
        trigger,
        nominal,
        ...(past === undefined ? {} : { past }),
        allowShrink: input.allowShrink === true,
        given: input,
        startedAt: run.startedAt,
      });
      if (planned.closed !== null) {
        Object.assign(run, planned.closed);
        closed = true;
        break;
      }
      profiles ||= planned.profiles === true;
      copies.note(planned);
      ({ deadlineMs } = planned);
      if (planned.resync !== undefined) await startResync(run.connection, planned.resync, input);
      run.idle += planned.idle;
      run.objects.push(...planned.settled);
      if (copies.sideBySide) copies.begin(run.connection, { deadlineMs, allowShrink, tuning });
      await moveObjects(run, input, planned, trigger, copies);
      await moveRest(calls, run, input, planned, trigger, copies);
      offset = planned.next;
    }
    if (!closed) {
      const limits = { deadlineMs, allowShrink, tuning };
      const resolve = async () => (profiles ? resolveProfiles(calls, run) : undefined);
      if (copies.sideBySide) await copies.settle(run, limits, resolve);
      else await Promise.all([copies.settle(run, limits), resolve()]);
      run.outcome = outcomeOf(run);
    }
  } catch (error) {
    const trouble = troubleOf(error);
    run.outcome =
      trouble.state === 'cancelled' ? 'cancelled' : trouble.state === 'deferred' ? 'deferred' : 'failed';
    Object.assign(run, { code: trouble.code, message: trouble.message });
    await CancellationScope.nonCancellable(() => record(calls, run));
    await copies.release();
    if (run.outcome === 'deferred') return run;
    if (run.outcome === 'cancelled') throw error;
    throw ApplicationFailure.create({ type: trouble.code, message: trouble.message, nonRetryable: true });
  }
  if (closed) return close(run);
  await record(calls, run);
  const isWaiting = run.outcome === 'behind' && run.objects.some((line) => line.state === 'staged');
  if (isWaiting && !copies.sideBySide) await deliverLater(input);
  if (FAILING_OUTCOMES.includes(run.outcome)) throw runFailure(run);
  return run;
}

function newRun(connection: string, trigger: Trigger): RunSummary {
  const { workflowId, runId, startTime } = workflowInfo();
  return {
    ...{ connection, workflowId, runId, trigger, outcome: 'ok' },
    ...{ startedAt: startTime.toISOString(), endedAt: null, idle: 0, objects: [] },
  };
}

function planLabel(run: RunSummary, input: SyncConnectionInput, offset: number): string {
  const objects = input.objects === undefined ? 'all objects' : input.objects.join(', ');
  return `plan ${run.connection} · ${objects}${offset === 0 ? '' : ` · from number ${offset + 1}`}`;
}

/** Who started this run: Temporal's own search attributes tell, never the id. */
function occasion(input: SyncConnectionInput): { trigger: Trigger; nominal: string | null; past?: 'grid' } {
  const attributes = workflowInfo().typedSearchAttributes;
  const by = attributes.get(SCHEDULED_BY);
  const nominal = attributes.get(SCHEDULED_START)?.toISOString() ?? null;
  if (by?.startsWith('backfill/') === true) return { trigger: 'backfill', nominal, past: 'grid' };
  if (by !== undefined) return { trigger: 'schedule', nominal };
  return { trigger: input?.trigger === 'backfill' ? 'backfill' : 'manual', nominal: null };
}

/** A window that was taken over ends where its dead run meant it to: what has come since is planned and moved now. */
async function moveRest(
  calls: Calls,
  run: RunSummary,
  input: SyncConnectionInput,
  planned: RunPlanOutput,
  trigger: Trigger,
  copies: Copies,
): Promise<void> {
  const moved = (line: ObjectSummary) =>
    line.state === 'landed' || (copies.sideBySide && line.state === 'staged');
  const landed = new Set(run.objects.filter(moved).map((line) => line.object));
  const resumed = planned.windows.filter((window) => window.resumed && window.kind !== 'past');
  const objects = [...new Set(resumed.map((window) => window.object))].filter((object) => landed.has(object));
  if (objects.length === 0) return;
  const rest = await calls.plan(`plan ${run.connection} · after the resumed windows`, {
    connection: run.connection,
    objects,
    offset: 0,
    trigger,
    nominal: occasion(input).nominal,
    allowShrink: input.allowShrink === true,
    part: true,
    given: input,
    startedAt: run.startedAt,
  });
  run.idle += rest.idle;
  run.objects.push(...rest.settled.filter((line) => line.state !== 'current'));
  await moveObjects(run, input, rest, trigger, copies);
}

async function moveObjects(
  run: RunSummary,
  input: SyncConnectionInput,
  planned: RunPlanOutput,
  trigger: Trigger,
  copies: Copies,
): Promise<void> {
  const stageOnly = copies.sideBySide;
  // What is staged already waits for its warehouse, not for this run.
  const windows = stageOnly ? planned.windows.filter(({ kind }) => kind !== 'undelivered') : planned.windows;
  const groups = Map.groupBy(windows, (window) => window.object);
  setCurrentDetails(runReport(run, `moving ${groups.size} objects`));
  const prefix = trigger === 'backfill' ? 'backfill' : 'sync';
  await inParallel([...groups.entries()], planned.objectsInParallel, async ([object, [first, ...others]]) => {
    if (first === undefined) return;
    const last = others.findLast(({ partial }) => partial !== true) ?? first;
    const lines = await moveInChild({
      workflowId: `${prefix}/${run.connection}/${object}/${last.until}`,
      connection: run.connection,
      object,
      windows: [first, ...others],
      trigger,
      about: last.rowsEstimate === null ? '' : `about ${formatCount(last.rowsEstimate)} rows`,
      deadlineMs: planned.deadlineMs ?? undefined,
      allowShrink: input.allowShrink,
      stageOnly,
      tuning: input.tuning,
    });
    run.objects.push(...lines);
    if (stageOnly) copies.wake();
    setCurrentDetails(runReport(run, `moving ${groups.size} objects`));
  });
}

/** The warehouse was away: a workflow of its own lands what is staged, so that nobody waits for the next run. */
async function deliverLater(input: SyncConnectionInput): Promise<void> {
  try {
    await startChild(deliver, {
      workflowId: `deliver/${input.connection}`,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `${input.connection} · staged windows to the warehouse`,
      typedSearchAttributes: [
        { key: CONNECTION, value: input.connection },
        { key: PHASE, value: 'deliver' },
      ],
      args: [
        { connection: input.connection, ...(input.tuning === undefined ? {} : { tuning: input.tuning }) },
      ],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** A workflow of its own reads the object whole, with the calls of a backfill: no hourly run waits for it. */
async function startResync(
  connection: string,
  object: string,
  { tuning }: SyncConnectionInput,
): Promise<void> {
  try {
    await startChild(backfill, {
      workflowId: `backfill/${connection}/resync/${object}`,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `${connection}: full re-sync of ${object}`,
      typedSearchAttributes: [
        { key: CONNECTION, value: connection },
        { key: PHASE, value: 'plan' },
      ],
      args: [
        {
          ...{ connection, objects: [object], from: 'beginning', to: new Date().toISOString() },
          ...{ reprocess: 'all', maxActive: 1, ...(tuning === undefined ? {} : { tuning }) },
        },
      ],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** Ends a run that had nothing to move: its record is written already, one upsert keeps it findable. */
function close(run: RunSummary): RunSummary {
  mark(run);
  if (FAILING_OUTCOMES.includes(run.outcome)) throw runFailure(run);
  return run;
}

/** Writes the run where it outlives Temporal's retention, and mirrors the table into the memo. */
async function record(calls: Calls, run: RunSummary): Promise<void> {
  run.endedAt = new Date().toISOString();
  mark(run);
  upsertMemo({ summary: runReport(run, run.outcome) });
  await calls.finish(`record the run · ${run.outcome}`, run);
}

function mark(run: RunSummary): void {
  setCurrentDetails(runReport(run, run.outcome));
  upsertSearchAttributes([
    { key: OUTCOME, value: run.outcome },
    { key: PHASE, value: 'done' },
    { key: ROWS_LOADED, value: run.objects.reduce((rows, line) => rows + line.inserted + line.updated, 0) },
  ]);
}
