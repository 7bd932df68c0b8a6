// Part of plan: the lines of the run's table for objects that need no window, or cannot have one.
import { HeadwaterError } from '../rules/errors.ts';
import { unmoved } from '../rules/summary.ts';
import type { ObjectSummary } from '../schemas/run.ts';
import type { Opened } from './plan-candidates.ts';

export function settledLines(opened: Opened[]): ObjectSummary[] {
  const lines: ObjectSummary[] = [];
  for (const { candidate, result } of opened) {
    if (result.kind === 'in-progress') {
      lines.push(line(candidate.object, 'in-progress', `in progress: ${result.owner.workflowId}`));
    } else if (result.kind === 'first-load-missing') {
      lines.push(
        failureLine(candidate.object, new HeadwaterError('FIRST_LOAD_MISSING', 'there is no first load yet')),
      );
    } else if (result.kind === 'current') {
      lines.push(line(candidate.object, 'current'));
    }
  }
  return lines;
}

export function line(object: string, state: ObjectSummary['state'], message?: string): ObjectSummary {
  return { ...unmoved(object, state), ...(message === undefined ? {} : { message }) };
}

/** The line of an object that cannot be synced now. */
export function failureLine(object: string, error: HeadwaterError): ObjectSummary {
  const state = error.code === 'QUOTA_EXHAUSTED' ? 'deferred' : 'failed';
  return { ...line(object, state, `${error.message} → ${error.remedy}`), code: error.code };
}
