// One run of one connection: plan closes the windows, a child per busy object moves them, the run ends with one table.
import {
  ApplicationFailure,
  CancellationScope,
  executeChild,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { RunPlanOutput } from '../activities/index.ts';
import type { PlannedWindow } from '../activities/plan.ts';
import { FAILING_OUTCOMES, runOutcome } from '../rules/outcome.ts';
import { formatCount, formatWindow, runReport } from '../rules/report.ts';
import type { SyncConnectionInput } from '../schemas/inputs.ts';
import type { ObjectSummary, RunSummary, Trigger } from '../schemas/run.ts';
import {
  CONNECTION,
  CRM_OBJECT,
  DATA_INTERVAL_START,
  OUTCOME,
  PHASE,
  ROWS_LOADED,
  SCHEDULED_BY,
  SCHEDULED_START,
  TRIGGER,
} from './attributes.ts';
import { runFailure, summariesIn, troubleOf, unfinished } from './failures.ts';
import { inParallel } from './parallel.ts';
import { progressQuery } from './messages.ts';
import { activityCalls, type Calls } from './proxies.ts';
import { syncObject } from './sync-object.ts';

/** Plan activities of one run: 50 objects each. */
const PLANS_MAX = 100;

export async function syncConnection(input: SyncConnectionInput): Promise<RunSummary> {
  const { trigger, nominal, past } = occasion(input);
  const info = workflowInfo();
  const run: RunSummary = {
    connection: input.connection,
    workflowId: info.workflowId,
    runId: info.runId,
    trigger,
    outcome: 'ok',
    startedAt: info.startTime.toISOString(),
    endedAt: null,
    idle: 0,
    objects: [],
  };
  setHandler(progressQuery, () => run);
  const calls = activityCalls({
    tuning: input?.tuning,
    priority: trigger === 'backfill' ? 5 : 3,
    deadlineMs: undefined,
  });
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
      if (planned.closed !== null) return close(Object.assign(run, planned.closed));
      run.idle += planned.idle;
      run.objects.push(...planned.settled);
      await moveObjects(run, input, planned, trigger);
      await moveRest(calls, run, input, planned, trigger);
      offset = planned.next;
    }
    run.outcome = runOutcome(run.objects, run.idle);
  } catch (error) {
    const trouble = troubleOf(error);
    run.outcome =
      trouble.state === 'cancelled' ? 'cancelled' : trouble.state === 'deferred' ? 'deferred' : 'failed';
    await CancellationScope.nonCancellable(() => record(calls, run, `${trouble.code}: ${trouble.message}`));
    if (run.outcome === 'deferred') return run;
    if (run.outcome === 'cancelled') throw error;
    throw ApplicationFailure.create({ type: trouble.code, message: trouble.message, nonRetryable: true });
  }
  await record(calls, run, undefined);
  if (FAILING_OUTCOMES.includes(run.outcome)) throw runFailure(run);
  return run;
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
): Promise<void> {
  const landed = new Set(run.objects.filter((line) => line.state === 'landed').map((line) => line.object));
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
  await moveObjects(run, input, rest, trigger);
}

async function moveObjects(
  run: RunSummary,
  input: SyncConnectionInput,
  planned: RunPlanOutput,
  trigger: Trigger,
): Promise<void> {
  const groups = Map.groupBy(planned.windows, (window) => window.object);
  setCurrentDetails(runReport(run, `moving ${groups.size} objects`));
  await inParallel([...groups.entries()], planned.objectsInParallel, async ([object, windows]) => {
    run.objects.push(...(await moveObject(run, input, object, windows, trigger, planned.deadlineMs)));
    setCurrentDetails(runReport(run, `moving ${groups.size} objects`));
  });
}

async function moveObject(
  run: RunSummary,
  input: SyncConnectionInput,
  object: string,
  windows: PlannedWindow[],
  trigger: Trigger,
  deadlineMs: number | null,
): Promise<ObjectSummary[]> {
  const last = windows.at(-1)!;
  const rows = last.rowsEstimate === null ? '' : ` · about ${formatCount(last.rowsEstimate)} rows`;
  const prefix = trigger === 'backfill' ? 'backfill' : 'sync';
  try {
    return await executeChild(syncObject, {
      workflowId: `${prefix}/${run.connection}/${object}/${last.until}`,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `${object} · ${formatWindow(last.from, last.until)}${rows}`,
      staticDetails: `Moves **${object}** of \`${run.connection}\` for ${formatWindow(last.from, last.until)} (UTC) by ${last.api}.`,
      typedSearchAttributes: [
        { key: CONNECTION, value: run.connection },
        { key: CRM_OBJECT, value: object },
        { key: TRIGGER, value: trigger },
        { key: DATA_INTERVAL_START, value: new Date(last.from) },
      ],
      args: [
        {
          connection: run.connection,
          object,
          windows,
          callClass: trigger === 'backfill' ? 'backfill' : 'hourly',
          ...(deadlineMs === null ? {} : { deadlineMs }),
          ...(input.allowShrink === true ? { allowShrink: true } : {}),
          ...(input.tuning === undefined ? {} : { tuning: input.tuning }),
        },
      ],
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      const message = `in progress: ${error.workflowId}`;
      return [unfinished(object, last, { code: '', state: 'in-progress', message })];
    }
    const reported = summariesIn(error);
    if (reported.length > 0) return reported;
    const trouble = troubleOf(error);
    if (trouble.state === 'cancelled') throw error;
    return [unfinished(object, last, trouble)];
  }
}

/** Ends a run that had nothing to move: its record is written already, one upsert keeps it findable. */
function close(run: RunSummary): RunSummary {
  mark(run);
  if (FAILING_OUTCOMES.includes(run.outcome)) throw runFailure(run);
  return run;
}

/** Writes the run where it outlives Temporal's retention, and mirrors the table into the memo. */
async function record(calls: Calls, run: RunSummary, problem: string | undefined): Promise<void> {
  run.endedAt = new Date().toISOString();
  mark(run);
  const report = runReport(run, run.outcome);
  upsertMemo({ summary: problem === undefined ? report : `${report}\n\n${problem}` });
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
