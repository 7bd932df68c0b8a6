// Reads a past range again, or what is missing of it: windows of a bounded size, a few at once, pausable, with a dry run.
import {
  CancellationScope,
  condition,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { BackfillPlan, BackfillWindow } from '../schemas/backfill.ts';
import { outcomeOf, FAILING_OUTCOMES } from '../rules/outcome.ts';
import { backfillReport, formatWindow, runReport } from '../rules/report.ts';
import { unmoved } from '../rules/summary.ts';
import type { BackfillInput } from '../schemas/inputs.ts';
import type { ObjectSummary, RunSummary } from '../schemas/run.ts';
import { CONNECTION, OUTCOME, PHASE, ROWS_LOADED, TRIGGER } from './attributes.ts';
import { Copies } from './copies.ts';
import { plainFailure, refuseMisshapen, runFailure, troubleOf } from './failures.ts';
import { moveInChild } from './object-child.ts';
import { pauseUpdate, progressQuery, resumeUpdate } from './messages.ts';
import { inParallel } from './parallel.ts';
import { resolveProfiles } from './profiles.ts';
import { activityCalls, type Calls } from './proxies.ts';

/** What the dry run and the run itself give back; the intervals are sizes and times, never rows. */
export interface BackfillResult {
  plan: BackfillPlan;
  run: RunSummary | null;
}

/** Set by the updates of the same names; what is being moved then goes to its end. */
interface Pause {
  on: boolean;
  /** Shows the change in the UI at once. */
  changed: () => void;
}

export async function backfill(input: BackfillInput): Promise<BackfillResult> {
  refuseMisshapen(input);
  const info = workflowInfo();
  const run: RunSummary = {
    connection: input.connection,
    workflowId: info.workflowId,
    runId: info.runId,
    trigger: 'backfill',
    outcome: 'ok',
    startedAt: info.startTime.toISOString(),
    endedAt: null,
    idle: 0,
    objects: [],
  };
  const pause: Pause = { on: false, changed: () => {} };
  const change = (on: boolean) => {
    pause.on = on;
    pause.changed();
  };
  setHandler(progressQuery, () => run);
  setHandler(pauseUpdate, () => {
    change(true);
    return 'paused' as const;
  });
  setHandler(resumeUpdate, () => {
    change(false);
    return 'running' as const;
  });
  const calls = activityCalls({ tuning: input?.tuning, priority: 5, deadlineMs: undefined });
  upsertSearchAttributes([
    { key: CONNECTION, value: run.connection },
    { key: TRIGGER, value: 'backfill' },
    { key: PHASE, value: 'plan' },
  ]);
  setCurrentDetails('planning');
  const plan = await calls
    .planBackfill(`plan backfill ${run.connection} · ${input.from} → ${input.to}`, {
      given: input,
    })
    .catch((error: unknown) => {
      throw plainFailure(error);
    });
  if (plan.dryRun) {
    upsertMemo({ summary: backfillReport(plan) });
    finish(run, plan, 'dry run');
    return { plan, run: null };
  }
  const copies = new Copies();
  if (plan.deliver !== undefined) copies.note({ deliver: plan.deliver });
  const limits = { deadlineMs: null, allowShrink: input.allowShrink, tuning: input.tuning };
  copies.beginBesideMain(run.connection, limits);
  await moveAll(calls, run, input, plan, pause, copies);
  pause.changed = () => {};
  if (plan.profiles === true) await resolveProfiles(calls, run);
  await copies.settle(run, limits);
  run.outcome = outcomeOf(run);
  run.endedAt = new Date().toISOString();
  upsertMemo({ summary: runReport(run, run.outcome) });
  finish(run, plan, run.outcome);
  await calls.finish(`record the backfill · ${run.outcome}`, run);
  if (FAILING_OUTCOMES.includes(run.outcome)) throw runFailure(run);
  return { plan, run };
}

async function moveAll(
  calls: Calls,
  run: RunSummary,
  input: BackfillInput,
  plan: BackfillPlan,
  pause: Pause,
  copies: Copies,
): Promise<void> {
  let doneCount = 0;
  const show = () =>
    setCurrentDetails(
      `${pause.on ? '⏸ paused · ' : ''}${doneCount} of ${plan.windows.length} windows\n\n${runReport(run, 'moving')}`,
    );
  pause.changed = show;
  show();
  try {
    await inParallel(plan.windows, plan.maxActive, async (window) => {
      await condition(() => !pause.on);
      run.objects.push(...(await moveWindow(calls, run, input, window)));
      copies.wake();
      doneCount += 1;
      show();
    });
  } catch (error) {
    pause.changed = () => {};
    run.outcome = 'cancelled';
    run.endedAt = new Date().toISOString();
    await CancellationScope.nonCancellable(() => calls.finish('record the backfill · cancelled', run));
    await copies.release();
    throw error;
  }
}

/** One interval: planned by rule 4 (past), then moved like any other window. */
async function moveWindow(
  calls: Calls,
  run: RunSummary,
  input: BackfillInput,
  window: BackfillWindow,
): Promise<ObjectSummary[]> {
  const { connection } = run;
  const label = `${window.object} · ${formatWindow(window.from, window.until)}`;
  try {
    const planned = await calls.plan(`plan ${label}`, {
      connection,
      objects: [window.object],
      offset: 0,
      trigger: 'backfill',
      nominal: null,
      past: { from: window.from, until: window.until },
      ...(window.fields === undefined ? {} : { fields: window.fields }),
      allowShrink: input.allowShrink === true,
      part: true,
      given: { connection },
      startedAt: run.startedAt,
    });
    const [first, ...others] = planned.windows;
    if (first === undefined) return planned.settled;
    return await moveInChild({
      workflowId: `backfill/${connection}/${window.object}/${window.fields === undefined ? window.from : 'fields'}`,
      connection,
      object: window.object,
      windows: [first, ...others],
      trigger: 'backfill',
      allowShrink: input.allowShrink,
      about: `${window.cells} intervals`,
      tuning: input.tuning,
    });
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble.state === 'cancelled') throw error;
    return [
      {
        ...unmoved(window.object, trouble.state),
        from: window.from,
        until: window.until,
        code: trouble.code,
        message: trouble.message,
      },
    ];
  }
}

function finish(run: RunSummary, plan: BackfillPlan, outcome: string): void {
  setCurrentDetails(`${backfillReport(plan)}\n\n${plan.dryRun ? '' : runReport(run, outcome)}`);
  upsertSearchAttributes([
    { key: OUTCOME, value: plan.dryRun ? 'ok' : run.outcome },
    { key: PHASE, value: 'done' },
    { key: ROWS_LOADED, value: run.objects.reduce((rows, line) => rows + line.inserted + line.updated, 0) },
  ]);
}
