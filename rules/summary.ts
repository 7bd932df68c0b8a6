import type { ObjectSummary } from '../schemas/run.ts';

/** The line of an object of which nothing was moved: every count is zero, and there is no receipt. */
export function unmoved(object: string, state: ObjectSummary['state']): ObjectSummary {
  return {
    object,
    window: null,
    from: null,
    until: null,
    state,
    rows: 0,
    inserted: 0,
    updated: 0,
    unchanged: 0,
    deleted: 0,
    quarantined: 0,
    verdict: null,
    seconds: 0,
  };
}
