import { ORIGIN, type Instant } from '../schemas/instant.ts';
import type { ObjectSummary, RunSummary } from '../schemas/run.ts';
import type { Interval } from '../schemas/window.ts';

/** States of a line that is no trouble, whatever it notes. */
const WELL: ReadonlySet<ObjectSummary['state']> = new Set(['landed', 'idle', 'current', 'in-progress']);

/** Runs that are looked at, newest first, for what became of each object. */
export const RUNS_READ_MAX = 50;

/** An object's last try that did not go well. */
export interface Trouble {
  state: ObjectSummary['state'];
  code: string;
  /** What, and after an arrow what to do. */
  message: string;
  workflowId: string;
  startedAt: Instant;
}

/**
 * The newest line about the object, unless it went well. An idle object has no line of its own: data that landed up to a
 * later moment than the run's start shows that it is well again.
 */
export function troubleOf(
  object: string,
  landed: Instant | null,
  ended: readonly RunSummary[],
): Trouble | null {
  for (const { objects, workflowId, startedAt } of ended) {
    const line = objects.findLast((one) => one.object === object);
    if (line === undefined) continue;
    const { state, code, message = '' } = line;
    if (code === undefined || WELL.has(state) || (landed !== null && landed > startedAt)) return null;
    return { state, code, message, workflowId, startedAt };
  }
  return null;
}

/** The end of the gap-free coverage; null before the first load. */
export function checkpointOf(coverage: readonly Interval[]): Instant | null {
  const [first] = coverage;
  return first?.from === ORIGIN ? first.until : null;
}
