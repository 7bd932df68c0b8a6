// Lands staged windows in one further warehouse, objects side by side, until it lacks nothing that is still staged.
import {
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { deliveryReport, waitingText } from '../rules/report.ts';
import type { Tuning } from '../schemas/inputs.ts';
import type { ObjectSummary, RunSummary } from '../schemas/run.ts';
import { OUTCOME, PHASE, ROWS_LOADED } from './attributes.ts';
import { completeSignal, followedSignal, progressQuery, stagedSignal } from './messages.ts';
import { moveInChild } from './object-child.ts';
import { inParallel } from './parallel.ts';
import { activityCalls, type Calls } from './proxies.ts';

const OBJECTS_AT_ONCE_MAX = 4;
const PAUSE_MS_MIN = 30_000;
const PAUSE_MS_MAX = 15 * 60_000;
/** Rounds of one execution: keeps its history short. */
const ROUNDS_MAX = 20;
/** A run says when it ends; one that was terminated, or cancelled while this was starting, does not. */
const SILENT_MS_MAX = 5 * 60_000;
/** The code of a follower that another run has asked to end: what its own run staged since then, it has not seen. */
export const TAKEN_OVER = 'WINDOW_IN_PROGRESS';

export interface DeliverCopyInput {
  connection: string;
  /** Its name in the ledger. */
  sink: string;
  /** Ends `behind` when a window does not land, instead of waiting for the warehouse. */
  once?: boolean;
  /** Beside a run: lands what is staged as it comes, until the run says that nothing more comes; then as with `once`. */
  follow?: boolean;
  /** Set when an execution is continued as new after it was asked to end; by another run than the one that it follows. */
  complete?: boolean;
  taken?: boolean;
  /** Lets a whole read go on although the warehouse would lose far more rows than usual. */
  allowShrink?: boolean;
  /** Until the next look at the warehouse, ms; doubles while it is away. */
  pauseMs?: number;
  tuning?: Tuning;
}

/** What the signals said. */
interface Heard {
  staged: boolean;
  complete: boolean;
  /** By the run that it follows. */
  own: boolean;
}

export async function deliverCopy(input: DeliverCopyInput): Promise<RunSummary> {
  const { sink } = input;
  const info = workflowInfo();
  const run = newRun(input.connection);
  const complete = input.complete === true;
  const heard: Heard = { staged: false, complete, own: complete && input.taken !== true };
  setHandler(progressQuery, () => run);
  setHandler(stagedSignal, () => void (heard.staged = true));
  setHandler(completeSignal, (by) => {
    heard.complete = true;
    heard.own ||= by !== undefined && by === info.parent?.runId;
  });
  const calls = activityCalls({ tuning: input.tuning, priority: 4, deadlineMs: undefined });
  /** By object, what this warehouse refused: asking again while a run goes on changes nothing. */
  const refused = new Map<string, ObjectSummary>();
  let pauseMs = input.pauseMs ?? PAUSE_MS_MIN;
  let waits: ObjectSummary[] = [];
  for (let round = 1; ; round += 1) {
    heard.staged = false;
    show(run, sink, 'landing what is staged', { lines: waits });
    const isLast = input.once === true || heard.complete;
    const lines = await deliverRound(calls, input, refused);
    run.objects.push(...lines.filter((line) => line.state === 'landed'));
    const stuck = lines.find((line) => line.state !== 'landed');
    if (input.follow === true)
      for (const line of lines) if (line.state === 'failed') refused.set(line.object, line);
    const left = stuck ?? refused.values().next().value;
    if (isLast && left !== undefined) {
      const others = refused.has(left.object) ? [] : [left];
      endBehind(run, sink, left, input.follow === true ? [...refused.values(), ...others] : []);
      break;
    }
    if (lines.length === 0 && (isLast || input.follow !== true)) break;
    if (stuck !== undefined && !refused.has(stuck.object)) {
      waits = [stuck, ...lines.filter((line) => line !== stuck && line.state !== 'landed')];
      show(run, sink, `waiting for ${sink}`, { lines: waits, pauseMs });
      await pause(
        pauseMs,
        `${sink} is behind: ${stuck.code ?? 'INTERNAL'}; until the next look`,
        () => heard.complete,
      );
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    } else {
      pauseMs = PAUSE_MS_MIN;
      waits = [];
      show(
        run,
        sink,
        lines.length === 0 ? 'everything staged has landed; more may come' : 'landing what is staged',
      );
      if (lines.length === 0 && !(await isFollowed(heard, input.tuning?.silentMs))) break;
    }
    if (round >= ROUNDS_MAX || info.continueAsNewSuggested) {
      const taken = heard.complete && !heard.own ? { taken: true } : {};
      await continueAsNew<typeof deliverCopy>({ ...input, pauseMs, complete: heard.complete, ...taken });
    }
  }
  // I7: that it lacks nothing is no answer to a run that goes on staging.
  if (input.follow === true && !heard.own) run.code = TAKEN_OVER;
  end(run, sink);
  return run;
}
function newRun(connection: string): RunSummary {
  const { workflowId, runId, startTime } = workflowInfo();
  return {
    ...{ connection, workflowId, runId, trigger: 'manual', outcome: 'ok' },
    ...{ startedAt: startTime.toISOString(), endedAt: null, idle: 0, objects: [] },
  };
}

/** `told`: the lines of a follower, which a run takes over into its table. */
function endBehind(run: RunSummary, sink: string, stuck: ObjectSummary, told: ObjectSummary[]): void {
  const { code = 'INTERNAL', message = 'a window did not land' } = stuck;
  run.behind = [{ sink, code, message }];
  run.outcome = 'behind';
  run.objects.push(...told);
}

function end(run: RunSummary, sink: string): void {
  run.endedAt = new Date().toISOString();
  setCurrentDetails(
    deliveryReport(run, sink, run.outcome === 'ok' ? 'everything staged has landed' : 'something is left'),
  );
  upsertSearchAttributes([
    { key: OUTCOME, value: run.outcome },
    { key: PHASE, value: 'done' },
    { key: ROWS_LOADED, value: run.objects.reduce((rows, line) => rows + line.inserted + line.updated, 0) },
  ]);
}

function show(
  run: RunSummary,
  sink: string,
  phase: string,
  waits?: { lines: readonly ObjectSummary[]; pauseMs?: number },
): void {
  const report = deliveryReport(run, sink, phase);
  if (waits === undefined || waits.lines.length === 0) return setCurrentDetails(report);
  const { pauseMs } = waits;
  const next = pauseMs === undefined ? null : new Date(Date.now() + pauseMs).toISOString();
  setCurrentDetails(`${report}\n\n${waitingText(run.connection, sink, waits.lines, next)}`);
}

/** Until the time is over, or it is asked for. */
async function pause(ms: number, summary: string, isOver: () => boolean): Promise<void> {
  await CancellationScope.cancellable(async () => {
    await Promise.race([sleep(ms, { summary }), condition(isOver)]);
    CancellationScope.current().cancel();
  });
}

/** False: the run that it follows is gone. One that is there but silent may still be reading. */
async function isFollowed(heard: Heard, silentMs = SILENT_MS_MAX): Promise<boolean> {
  await pause(silentMs, 'until more is staged', () => heard.staged || heard.complete);
  if (heard.staged || heard.complete) return true;
  const { parent } = workflowInfo();
  if (parent === undefined) return false;
  try {
    await getExternalWorkflowHandle(parent.workflowId, parent.runId).signal(followedSignal);
    return true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return false;
  }
}

/** All windows that wait, each object's in order; no lines: none does. */
async function deliverRound(
  calls: Calls,
  input: DeliverCopyInput,
  refused: ReadonlyMap<string, ObjectSummary>,
): Promise<ObjectSummary[]> {
  const { connection, sink, allowShrink, tuning } = input;
  const lines: ObjectSummary[] = [];
  const found = await calls.undelivered(`look for staged windows that ${sink} lacks`, { connection, sink });
  const windows = found.filter(({ object }) => !refused.has(object));
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
