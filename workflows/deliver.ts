// Lands the windows that were staged and proven while the warehouse was away, in order, until nothing is missing.
import {
  continueAsNew,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { runReport } from '../rules/report.ts';
import type { Tuning } from '../schemas/inputs.ts';
import type { RunSummary } from '../schemas/run.ts';
import { OUTCOME, PHASE, ROWS_LOADED } from './attributes.ts';
import { progressQuery } from './messages.ts';
import { moveInChild } from './object-child.ts';
import { activityCalls } from './proxies.ts';

const PAUSE_MS_MIN = 30_000;
const PAUSE_MS_MAX = 15 * 60_000;
/** Rounds of one execution: keeps its history short. */
const ROUNDS_MAX = 50;

export interface DeliverInput {
  connection: string;
  /** Until the next look at the warehouse, ms; doubles while it is away. */
  pauseMs?: number;
  tuning?: Tuning;
}

export async function deliver(input: DeliverInput): Promise<RunSummary> {
  const info = workflowInfo();
  const run: RunSummary = {
    connection: input.connection,
    workflowId: info.workflowId,
    runId: info.runId,
    trigger: 'manual',
    outcome: 'ok',
    startedAt: info.startTime.toISOString(),
    endedAt: null,
    idle: 0,
    objects: [],
  };
  setHandler(progressQuery, () => run);
  const calls = activityCalls({ tuning: input.tuning, priority: 3, deadlineMs: undefined });
  let pauseMs = input.pauseMs ?? PAUSE_MS_MIN;
  for (let round = 0; ; round += 1) {
    const windows = await calls.undelivered(`look for staged windows of ${input.connection}`, {
      connection: input.connection,
    });
    const [first, ...others] = windows.filter((window) => window.object === windows[0]?.object);
    if (first === undefined) break;
    const lines = await moveInChild({
      workflowId: `deliver/${input.connection}/${first.object}/${first.until}`,
      connection: input.connection,
      object: first.object,
      windows: [first, ...others],
      trigger: 'manual',
      about: 'from the stage',
      tuning: input.tuning,
    });
    run.objects.push(...lines.filter((line) => line.state === 'landed'));
    setCurrentDetails(runReport(run, 'delivering'));
    if (lines.every((line) => line.state === 'landed')) {
      pauseMs = PAUSE_MS_MIN;
      continue;
    }
    setCurrentDetails(
      `${runReport(run, 'the warehouse is away')}\n\nThe next look is in ${Math.round(pauseMs / 1000)} s.`,
    );
    await sleep(pauseMs, { summary: 'the warehouse is away' });
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    if (round >= ROUNDS_MAX || info.continueAsNewSuggested)
      await continueAsNew<typeof deliver>({ ...input, pauseMs });
  }
  run.endedAt = new Date().toISOString();
  setCurrentDetails(runReport(run, 'nothing is missing'));
  upsertSearchAttributes([
    { key: OUTCOME, value: 'ok' },
    { key: PHASE, value: 'done' },
    { key: ROWS_LOADED, value: run.objects.reduce((rows, line) => rows + line.inserted + line.updated, 0) },
  ]);
  return run;
}
