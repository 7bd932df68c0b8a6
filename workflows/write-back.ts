// Writes one change to its systems of record, one after the other; when one refuses, what was written before is undone.
import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertMemo,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { OpenedChange, TargetOutcome } from '../activities/write-back.ts';
import { writeBackReport } from '../rules/change-report.ts';
import { ERRORS } from '../rules/errors.ts';
import type { WriteBackInput } from '../schemas/change.ts';
import { OUTCOME, PHASE } from './attributes.ts';
import { troubleOf, type Trouble } from './failures.ts';
import { changeQuery } from './messages.ts';
import { activityCalls, type Calls } from './proxies.ts';

const DEADLINE_MS = 24 * 3_600_000;
/** Between two tries after a step gave up: a quota that is empty, a key that was revoked. */
const PAUSE_MS = 5 * 60_000;
/** What was written is undone even after the deadline. */
const UNDO_MS = 3_600_000;
const ATTEMPTS_MAX = 10_000;
/** Waiting does not mend these. */
const FINAL = new Set(['INPUT_INVALID', 'CONFIG_INVALID']);

export interface WriteBackResult {
  change: string;
  outcome: 'confirmed' | 'refused' | 'gone';
  code: string | null;
  field: string | null;
  targets: OpenedChange['targets'];
}

export async function writeBack(input: WriteBackInput): Promise<WriteBackResult> {
  requireChange(input);
  const { change } = input;
  const run: WriteBackResult = { change, outcome: 'confirmed', code: null, field: null, targets: [] };
  setHandler(changeQuery, () => run);
  const tell = (phase: string): string => {
    const text = writeBackReport(change, run.targets, phase);
    setCurrentDetails(text);
    return text;
  };
  tell('looking');
  const opened = await callsUntil(input, undefined).openChange('look at the change', { given: input });
  run.targets = opened.targets;
  if (opened.state === 'pending') await settled(input, run, tell);
  else run.outcome = opened.state;
  upsertMemo({ summary: tell(run.code === null ? run.outcome : `${run.outcome}: ${run.code}`) });
  upsertSearchAttributes([
    { key: OUTCOME, value: run.outcome },
    { key: PHASE, value: 'done' },
  ]);
  return run;
}

async function settled(
  input: WriteBackInput,
  run: WriteBackResult,
  tell: (phase: string) => string,
): Promise<void> {
  const { change } = input;
  const until = Date.now() + (input.deadlineMs ?? DEADLINE_MS);
  let cancelled: unknown;
  for (const [at, target] of run.targets.entries()) {
    let done: TargetOutcome;
    try {
      tell(`writing to ${target.label}`);
      done = await untilDone(input, until, tell, (calls) =>
        calls.writeTarget(`write ${target.fields.join(', ')} to ${target.label}`, { change, target: at }),
      );
    } catch (error) {
      if (!isCancellation(error)) throw error;
      cancelled = error;
      done = { outcome: 'refused', code: 'CANCELLED', field: null };
    }
    target.state = done.outcome === 'gone' ? 'refused' : done.outcome;
    if (done.outcome === 'confirmed') continue;
    target.code = done.outcome === 'refused' ? done.code : null;
    run.outcome = done.outcome === 'gone' ? 'gone' : 'refused';
    if (done.outcome === 'refused') Object.assign(run, { code: done.code, field: done.field });
    break;
  }
  // Whoever cancels it wants it taken back as well.
  await CancellationScope.nonCancellable(async () => {
    if (run.outcome === 'refused') await undo(input, run, tell);
    if (run.outcome === 'gone') return;
    const { outcome, code, field } = run;
    const { state } = await callsUntil(input, undefined).settleChange('settle', {
      change,
      outcome,
      code,
      field,
    });
    if (state !== 'pending') run.outcome = state;
  });
  if (cancelled !== undefined) {
    tell('cancelled, and taken back');
    throw cancelled;
  }
}

/** Backwards; also the one that refused, since nobody knows what arrived of a try that never answered. */
async function undo(
  input: WriteBackInput,
  run: WriteBackResult,
  tell: (phase: string) => string,
): Promise<void> {
  const until = Date.now() + UNDO_MS;
  const { change, targets } = run;
  const touched = targets.findLastIndex(({ state }) => state !== 'pending');
  for (let at = touched; at >= 0; at -= 1) {
    const target = targets[at];
    if (target === undefined || (target.state === 'refused' && !isOurs(target.code))) continue;
    tell(`undoing ${target.label}`);
    const done = await untilDone(input, until, tell, (calls) =>
      calls.undoTarget(`undo ${target.fields.join(', ')} in ${target.label}`, { change, target: at }),
    );
    if (done.outcome === 'undone' && target.state !== 'refused') target.state = 'undone';
    else if (done.outcome === 'refused' || done.outcome === 'left') target.state = 'left';
  }
}

/** The source refused nothing: we stopped asking. */
function isOurs(code: string | null): boolean {
  return code === 'DEADLINE' || code === 'CANCELLED';
}

/** Whatever is thrown says nothing of the change itself: a system that is away, throttled or locked out is asked again. */
async function untilDone(
  input: WriteBackInput,
  until: number,
  tell: (phase: string) => string,
  work: (calls: Calls) => Promise<TargetOutcome>,
): Promise<TargetOutcome> {
  const pauseMs = input.pauseMs ?? PAUSE_MS;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    let trouble: Trouble;
    try {
      return await work(callsUntil(input, until));
    } catch (error) {
      trouble = troubleOf(error);
      if (trouble.state === 'cancelled') throw error;
      if (FINAL.has(trouble.code)) return { outcome: 'refused', code: trouble.code, field: null };
    }
    if (Date.now() + pauseMs >= until) break;
    tell(`waiting: ${trouble.code} ${trouble.message}`);
    await sleep(pauseMs, { summary: trouble.code });
  }
  return { outcome: 'refused', code: 'DEADLINE', field: null };
}

function callsUntil({ tuning }: WriteBackInput, until: number | undefined): Calls {
  const deadlineMs = until === undefined ? undefined : Math.max(1_000, until - Date.now());
  return activityCalls({ tuning, priority: 1, deadlineMs });
}

/** Anything can come from the `temporal` command; the rest is checked by the first activity. */
function requireChange(input: unknown): asserts input is WriteBackInput {
  const given = typeof input === 'object' && input !== null && 'change' in input ? input.change : undefined;
  if (typeof given === 'string' && given !== '') return;
  const message = `change: the id of a change is needed → ${ERRORS.INPUT_INVALID.remedy}`;
  throw ApplicationFailure.create({ type: 'INPUT_INVALID', message, nonRetryable: true });
}
