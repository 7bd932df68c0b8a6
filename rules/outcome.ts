import type { ObjectSummary, Outcome, RunSummary } from '../schemas/run.ts';

/** How a run of a connection ends, from how its objects ended. Some failed and some did not: partial. */
export function runOutcome(objects: ObjectSummary[], idle: number): Outcome {
  const failed = objects.filter((line) => line.state === 'failed').length;
  if (failed > 0) return failed === objects.length && idle === 0 ? 'failed' : 'partial';
  if (objects.some((line) => line.state === 'cancelled')) return 'cancelled';
  if (objects.some((line) => line.state === 'deferred')) return 'deferred';
  if (objects.some((line) => line.state === 'staged')) return 'behind';
  return 'ok';
}

/** The same with what further warehouses lack: everything is proven, so it is no failure. */
export function outcomeOf({
  objects,
  idle,
  behind,
}: Pick<RunSummary, 'objects' | 'idle' | 'behind'>): Outcome {
  const outcome = runOutcome(objects, idle);
  return outcome === 'ok' && behind !== undefined ? 'behind' : outcome;
}

/** Outcomes after which the workflow execution itself closes as Failed. */
export const FAILING_OUTCOMES: readonly Outcome[] = ['partial', 'failed'];
