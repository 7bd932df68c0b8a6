import type { WorkflowHandle } from '@temporalio/client';
import type { RunSummary } from '../schemas/run.ts';
import type { Call } from './command.ts';
import { EXIT, OUTCOME_EXIT } from './exit-codes.ts';
import { asRun, failureOf, watchWorkflow, type Ended } from './watch.ts';
import { printFailures, printRun, progressLines } from './words.ts';

/** What is followed, and how its result is read. */
export interface RunView {
  noun: string;
  /** What asking again does after it was cancelled. */
  afterCancel: string;
  /** The run in a result; null where nothing was to be moved, undefined for a result of another shape. */
  runOf(result: unknown): RunSummary | null | undefined;
  /** Printed above the run's table. */
  before?(result: unknown): void;
}

const RUN: RunView = { noun: 'run', afterCancel: 'the next one continues the same windows', runOf: asRun };

/** Shows a run until it ends; the exit code says how. The operator may stop looking at any time: the run goes on. */
export async function followRun(call: Call, handle: WorkflowHandle, view: RunView = RUN): Promise<number> {
  let latest: RunSummary | undefined;
  const ended = await watchWorkflow(handle, {
    signal: call.signal,
    output: call.output,
    onProgress: (progress) => {
      latest = asRun(progress) ?? latest;
      if (latest) call.output.progress(progressLines(latest));
    },
  });
  if (ended.kind === 'detached') {
    const cancel = `npx headwater temporal workflow cancel --workflow-id ${handle.workflowId}`;
    call.output.note(`The ${view.noun} goes on. Cancel it with \`${cancel}\`.`);
    return EXIT.interrupted;
  }
  if (ended.kind === 'cancelled') {
    if (call.json) call.output.json({ cancelled: handle.workflowId });
    call.output.note(`The ${view.noun} was cancelled; ${view.afterCancel}.`);
    return EXIT.failed;
  }
  return ended.kind === 'result' ? tellResult(call, ended.result, view) : tellFailure(call, ended, latest);
}

function tellResult(call: Call, result: unknown, view: RunView): number {
  const run = view.runOf(result);
  if (call.json || run === undefined) call.output.json(result);
  else {
    view.before?.(result);
    if (run) printRun(call.output, run);
  }
  return run ? OUTCOME_EXIT[run.outcome] : EXIT.ok;
}

/** The run's own lines tell every failure; one without lines is told by its code. */
function tellFailure(
  call: Call,
  ended: Extract<Ended, { kind: 'failed' }>,
  latest: RunSummary | undefined,
): number {
  // What a query told before the end has no outcome yet.
  const run = ended.details.map(asRun).find(Boolean) ?? (latest?.endedAt === null ? undefined : latest);
  if (run === undefined || run.objects.every((line) => line.state !== 'failed')) throw failureOf(ended);
  if (call.json) {
    call.output.json(run);
    printFailures(call.output, run);
  } else printRun(call.output, run);
  return OUTCOME_EXIT[run.outcome];
}
