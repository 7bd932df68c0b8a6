import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import { HeadwaterError, type ErrorCode, isErrorCode } from '../rules/errors.ts';
import { runSummarySchema, type RunSummary } from '../schemas/run.ts';
import type { Output } from './output.ts';

const POLL_MS = 700;
/** So long without an answer to a query, and the operator is told that no worker answers. */
const SILENT_MS_MAX = 8_000;
const WAIT_LOOK_MS = 3_000;
/** A step that fails once or twice is no news. */
const WAIT_TRIES_MIN = 3;

export type Ended =
  | { kind: 'result'; result: unknown }
  | { kind: 'failed'; code: ErrorCode; message: string; details: unknown[] }
  | { kind: 'cancelled' }
  /** The operator stopped looking; the run goes on. */
  | { kind: 'detached' };

/** Follows a workflow to its end and hands each progress that it tells to `onProgress`. */
export async function watchWorkflow(
  handle: WorkflowHandle,
  options: { signal: AbortSignal; output: Output; onProgress: (progress: unknown) => void },
): Promise<Ended> {
  const watching = new AbortController();
  const ended = endOf(handle);
  const detached = new Promise<Ended>((resolve) => {
    options.signal.addEventListener('abort', () => resolve({ kind: 'detached' }), { once: true });
  });
  const polling = poll(handle, watching.signal, options);
  try {
    return await Promise.race([ended, detached]);
  } finally {
    watching.abort();
    await polling;
    options.output.endProgress();
  }
}

async function poll(
  handle: WorkflowHandle,
  signal: AbortSignal,
  { output, onProgress }: { output: Output; onProgress: (progress: unknown) => void },
): Promise<void> {
  let answeredAt = Date.now();
  let told = false;
  const waits = waitTeller(handle, output);
  while (!signal.aborted) {
    try {
      const progress = await Promise.race([
        handle.query<unknown>('progress'),
        sleep(SILENT_MS_MAX, undefined, { signal }),
      ]);
      if (progress !== undefined && !signal.aborted) {
        answeredAt = Date.now();
        onProgress(progress);
        await waits();
      }
    } catch {
      // Not started yet, or no worker: told below once it lasts.
    }
    if (!signal.aborted && !told && Date.now() - answeredAt >= SILENT_MS_MAX) {
      told = true;
      output.note('No worker answers yet. Is one running? Start it with `npx headwater start`.');
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

/** A step that fails and is tried again would look like work that takes its time: each reason is told once. */
function waitTeller(handle: WorkflowHandle, output: Output): () => Promise<void> {
  const told = new Set<string>();
  let lookedAt = 0;
  return async () => {
    if (Date.now() - lookedAt < WAIT_LOOK_MS) return;
    lookedAt = Date.now();
    const { raw } = await handle.describe();
    for (const { attempt, lastFailure } of raw.pendingActivities ?? []) {
      const code = lastFailure?.applicationFailureInfo?.type ?? '';
      const text = `${code} ${lastFailure?.message ?? ''}`;
      if ((attempt ?? 0) < WAIT_TRIES_MIN || !isErrorCode(code) || told.has(text)) continue;
      told.add(text);
      output.note(`… ${text} (tried again by itself)`);
    }
  };
}

async function endOf(handle: WorkflowHandle): Promise<Ended> {
  try {
    return { kind: 'result', result: await handle.result() };
  } catch (error) {
    const { WorkflowFailedError } = await import('@temporalio/client');
    const common = await import('@temporalio/common');
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause instanceof common.CancelledFailure) return { kind: 'cancelled' };
    const failure = innermost(cause, (one) => one instanceof common.ApplicationFailure);
    const type = failure?.type ?? '';
    return {
      kind: 'failed',
      code: isErrorCode(type) ? type : 'INTERNAL',
      message: failure?.message ?? error.message,
      details: failure?.details ?? [],
    };
  }
}

/** The failure that carries our code: activities and children wrap it. */
function innermost(
  cause: unknown,
  isFailure: (one: unknown) => one is ApplicationFailure,
): ApplicationFailure | undefined {
  let found: ApplicationFailure | undefined;
  let current = cause;
  for (let depth = 0; depth < 10 && current instanceof Error; depth += 1) {
    if (isFailure(current) && (found === undefined || isErrorCode(current.type ?? ''))) found = current;
    current = current.cause;
  }
  return found;
}

/** The run's summary, where it is one. */
export function asRun(value: unknown): RunSummary | undefined {
  return runSummarySchema.safeParse(value).data;
}

/** Workflows write `what → remedy` into one message, so that the Temporal UI shows both; here they are two again. */
export function failureOf({ code, message }: Extract<Ended, { kind: 'failed' }>): HeadwaterError {
  const [what = message, ...remedies] = message.split(' → ');
  return new HeadwaterError(code, what, remedies.length === 0 ? {} : { remedy: remedies.join(' → ') });
}
