// The only place that turns an error into a Temporal failure: type is the code of the catalog, the message ends with the remedy.
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { HeadwaterError, withNames, type Names } from '../rules/errors.ts';
import type { Log } from './dependencies.ts';
import { beating } from './heartbeat.ts';

/** Longest wait that a source may ask for between two tries of a step, ms. */
const RETRY_AFTER_MS_MAX = 15 * 60_000;

/** `names` stand in the place of the remedy's `<connection>`, `<object>` … */
export function toFailure(error: unknown, names: Names = {}): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  const failure = isAbort(error) ? new CancelledFailure('the step was cancelled') : failureOf(error, names);
  failure.stack = withoutRoot(failure.stack ?? '');
  return failure;
}

/** The folder that holds the project, as it stands in stack traces, with and without a scheme. */
const ROOT = dirname(import.meta.dirname);

/** I5: the Temporal UI shows a failure's stack; where on the machine the project lies is nobody's business there. */
export function withoutRoot(stack: string, root = ROOT): string {
  return stack.replaceAll(`${pathToFileURL(root).href}/`, '').replaceAll(`${root}/`, '');
}

function failureOf(error: unknown, names: Names): ApplicationFailure {
  const known =
    error instanceof HeadwaterError
      ? error
      : new HeadwaterError('INTERNAL', describeUnknown(error), { cause: error });
  return ApplicationFailure.create({
    type: known.code,
    message: `${known.message} → ${withNames(known.remedy, names)}`,
    nonRetryable:
      !known.retryable || Context.current().info.attempt >= (known.triesMax ?? Number.POSITIVE_INFINITY),
    details: [known.details],
    ...(known.retryAfterMs === undefined
      ? {}
      : { nextRetryDelay: Math.min(known.retryAfterMs, RETRY_AFTER_MS_MAX) }),
  });
}

function isAbort(error: unknown): boolean {
  return Context.current().cancellationSignal.aborted && error instanceof Error;
}

/** An unknown error's own message may quote data (I5): only its class and where it was thrown leave the worker. */
function describeUnknown(error: unknown): string {
  if (!(error instanceof Error)) return 'an unknown value was thrown';
  const frame = error.stack?.split('\n').find((line) => line.includes('.ts:') || line.includes('.js:'));
  const place = frame?.match(/([\w.-]+\.[tj]s:\d+)/)?.[1];
  return `${error.name} in ${place ?? 'an unknown place'}; the worker's log has the rest`;
}

/**
 * Wraps a step so that every error leaves it as a failure of the catalog, logged once with the run it belongs to. A step with
 * heartbeats of its own says so by `ownBeat`.
 */
export function step<Input, Output>(
  { log, namesOf }: { log: Log; namesOf: (input: unknown) => Promise<Names> },
  name: string,
  work: (input: Input) => Promise<Output>,
  { ownBeat = false }: { ownBeat?: boolean } = {},
): (input: Input) => Promise<Output> {
  return async (input) => {
    try {
      return await (ownBeat ? work(input) : beating(name, () => work(input)));
    } catch (error) {
      const { workflowExecution, attempt } = Context.current().info;
      const failure = toFailure(error, await namesOf(input));
      const code = failure instanceof ApplicationFailure ? (failure.type ?? 'INTERNAL') : 'CANCELLED';
      log(code === 'CANCELLED' ? 'info' : 'warn', `${name}: ${failure.message}`, {
        run: workflowExecution?.workflowId ?? '',
        code,
        attempt,
        ...(code === 'INTERNAL' && error instanceof Error ? { stack: withoutRoot(error.stack ?? '') } : {}),
      });
      throw failure;
    }
  };
}
