// Turns what a child or an activity threw into one line of the run's summary, and a summary into the failure that closes a run.
import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  isCancellation,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { PlannedWindow } from '../activities/plan.ts';
import { ERRORS } from '../rules/errors.ts';
import { named, withoutName } from '../rules/report.ts';
import { unmoved } from '../rules/summary.ts';
import type { ObjectSummary, RunSummary } from '../schemas/run.ts';

/** Message of a failed run; longer ones are cut, the run's table has every line. */
const MESSAGE_CHARACTERS_MAX = 2_000;
/** Names of an input's fields that a refusal repeats. */
const KEYS_SHOWN_MAX = 10;

export interface Trouble {
  code: string;
  message: string;
  state: ObjectSummary['state'];
}

/** Codes after which a window that is staged simply waits for its warehouse. */
const WAREHOUSE_AWAY = new Set(['WAREHOUSE_LOCKED', 'WAREHOUSE_UNAVAILABLE']);

export function troubleOf(error: unknown): Trouble {
  if (isCancellation(error)) return { code: 'CANCELLED', message: 'cancelled', state: 'cancelled' };
  const cause = rootCause(error);
  if (cause instanceof ApplicationFailure) {
    const code = cause.type ?? 'INTERNAL';
    const state = code === 'QUOTA_EXHAUSTED' ? 'deferred' : WAREHOUSE_AWAY.has(code) ? 'staged' : 'failed';
    return { code, message: cause.message, state };
  }
  if (cause instanceof TimeoutFailure) {
    return {
      code: 'TIMEOUT',
      message: 'no step finished before the run had to end; the next run goes on here',
      state: 'failed',
    };
  }
  return { code: 'INTERNAL', message: "an unexpected error; the worker's log has the rest", state: 'failed' };
}

/**
 * Anything can come from the `temporal` command: what workflow code itself relies on is checked here, the rest by the first
 * activity. INPUT_INVALID in one line.
 */
export function refuseMisshapen(input: unknown): void {
  const given: Record<string, unknown> = typeof input === 'object' && input !== null ? { ...input } : {};
  const mistakes: string[] = [];
  if (typeof given['connection'] !== 'string' || given['connection'] === '') {
    const keys = Object.keys(given).slice(0, KEYS_SHOWN_MAX).join(', ');
    mistakes.push(`connection: a name is needed; given: ${keys === '' ? 'no fields' : keys}`);
  }
  const { objects } = given;
  if (objects !== undefined && !(Array.isArray(objects) && objects.every((one) => typeof one === 'string')))
    mistakes.push('objects: a list of names is needed');
  if (mistakes.length === 0) return;
  const message = `${mistakes.join('; ')} → ${ERRORS.INPUT_INVALID.remedy}`;
  throw ApplicationFailure.create({ type: 'INPUT_INVALID', message, nonRetryable: true });
}

/** What ends a run before it has a table: the step's own code and message, in front and not as a cause. */
export function plainFailure(error: unknown): unknown {
  if (isCancellation(error)) return error;
  const { code, message } = troubleOf(error);
  return ApplicationFailure.create({ type: code, message, nonRetryable: true });
}

function rootCause(error: unknown): unknown {
  let cause = error;
  for (let depth = 0; depth < 5; depth += 1) {
    if (!(cause instanceof ActivityFailure || cause instanceof ChildWorkflowFailure)) break;
    if (cause.cause === undefined) break;
    cause = cause.cause;
  }
  return cause;
}

/** The child's own summaries travel in its failure's details, so that the parent's table has what did land. */
export function summariesIn(error: unknown): ObjectSummary[] {
  const cause = rootCause(error);
  if (!(cause instanceof ApplicationFailure)) return [];
  const details: unknown = cause.details?.[0];
  return isSummaries(details) ? details : [];
}

/** Only our own child writes these details; the first line's shape tells them from any other failure's. */
function isSummaries(details: unknown): details is ObjectSummary[] {
  return (
    Array.isArray(details) &&
    details.every((line: unknown) => typeof line === 'object' && line !== null && 'state' in line)
  );
}

export function objectFailure(trouble: Trouble, summaries: ObjectSummary[]): ApplicationFailure {
  return ApplicationFailure.create({
    type: trouble.code,
    message: trouble.message,
    nonRetryable: true,
    details: [summaries],
  });
}

/** A run with failed objects closes as Failed; the message names each object, its code and the remedy. */
export function runFailure(run: RunSummary): ApplicationFailure {
  const failed = run.objects.filter((line) => line.state === 'failed');
  const [only] = failed;
  const type =
    run.outcome === 'failed' && failed.length === 1 && only?.code !== undefined ? only.code : 'PARTIAL';
  const lines = failed.map(({ object, code, message = '' }) =>
    code === undefined || code === type
      ? named(object, message)
      : `${object} ${code}: ${withoutName(object, message)}`,
  );
  return ApplicationFailure.create({
    type,
    message: lines.join('\n').slice(0, MESSAGE_CHARACTERS_MAX),
    nonRetryable: true,
    details: [run],
  });
}

/** The line of a window that did not land. */
export function unfinished(object: string, window: PlannedWindow, trouble: Trouble): ObjectSummary {
  return {
    ...unmoved(object, trouble.state),
    window: window.window,
    from: window.from,
    until: window.until,
    ...(trouble.code === '' ? {} : { code: trouble.code }),
    message: trouble.message,
  };
}
