// Lands staged windows in one further warehouse, objects side by side, until it lacks nothing that is still staged.
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
import type { ObjectSummary, RunSummary } from '../schemas/run.ts';
import { OUTCOME, PHASE, ROWS_LOADED } from './attributes.ts';
import { progressQuery } from './messages.ts';
import { moveInChild } from './object-child.ts';
import { inParallel } from './parallel.ts';
import { activityCalls, type Calls } from './proxies.ts';

const OBJECTS_AT_ONCE_MAX = 4;
const PAUSE_MS_MIN = 30_000;
const PAUSE_MS_MAX = 15 * 60_000;
/** Rounds of one execution: keeps its history short. */
const ROUNDS_MAX = 20;

export interface DeliverCopyInput {
  connection: string;
  /** Its name in the ledger. */
  sink: string;
  /** Ends `behind` when a window does not land, instead of waiting for the warehouse. */
  once?: boolean;
  /** Lets a whole read go on although the warehouse would lose far more rows than usual. */
  allowShrink?: boolean;
  /** Until the next look at the warehouse, ms; doubles while it is away. */
  pauseMs?: number;
  tuning?: Tuning;
}

export async function deliverCopy(input: DeliverCopyInput): Promise<RunSummary> {
  const { connection, sink } = input;
  const info = workflowInfo();
  const run: RunSummary = {
    connection,
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
  const calls = activityCalls({ tuning: input.tuning, priority: 4, deadlineMs: undefined });
  let pauseMs = input.pauseMs ?? PAUSE_MS_MIN;
  for (let round = 1; ; round += 1) {
    const lines = await deliverRound(calls, input);
    if (lines.length === 0) break;
    run.objects.push(...lines.filter((line) => line.state === 'landed'));
    const stuck = lines.find((line) => line.state !== 'landed');
    setCurrentDetails(runReport(run, stuck === undefined ? 'delivering' : `${sink} is behind`));
    if (stuck === undefined) pauseMs = PAUSE_MS_MIN;
    else if (input.once === true) {
      const { code = 'INTERNAL', message = 'a window did not land' } = stuck;
      run.behind = [{ sink, code, message }];
      run.outcome = 'behind';
      break;
    } else {
      await sleep(pauseMs, { summary: `${sink} is away` });
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
    if (round >= ROUNDS_MAX || info.continueAsNewSuggested)
      await continueAsNew<typeof deliverCopy>({ ...input, pauseMs });
  }
  run.endedAt = new Date().toISOString();
  setCurrentDetails(
    runReport(run, run.outcome === 'ok' ? 'nothing that is staged is missing' : `${sink} is behind`),
  );
  upsertSearchAttributes([
    { key: OUTCOME, value: run.outcome },
    { key: PHASE, value: 'done' },
    { key: ROWS_LOADED, value: run.objects.reduce((rows, line) => rows + line.inserted + line.updated, 0) },
  ]);
  return run;
}

/** All windows that wait, each object's in order; no lines: none does. */
async function deliverRound(calls: Calls, input: DeliverCopyInput): Promise<ObjectSummary[]> {
  const { connection, sink, allowShrink, tuning } = input;
  const lines: ObjectSummary[] = [];
  const windows = await calls.undelivered(`look for staged windows that ${sink} lacks`, { connection, sink });
  const groups = [...Map.groupBy(windows, (window) => window.object).values()];
  await inParallel(groups, OBJECTS_AT_ONCE_MAX, async ([first, ...others]) => {
    if (first === undefined) return;
    const { object, until } = first;
    const moved = await moveInChild({
      workflowId: `deliver/${connection}/${sink}/${object}/${until}`,
      ...{ connection, object, sink, allowShrink, tuning, trigger: 'manual' },
      windows: [first, ...others],
      about: `from the stage to ${sink}`,
    });
    lines.push(...moved);
  });
  return lines;
}
