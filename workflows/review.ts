// The review queue: ties and unsafe links wait here for a person, who answers by the update `resolve`.
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { OpenReview } from '../activities/steward.ts';
import { reviewReport } from '../rules/report.ts';
import type { Decision } from '../schemas/inputs.ts';
import { plainFailure } from './failures.ts';
import { activityCalls } from './proxies.ts';

export const resolveUpdate = defineUpdate<{ left: number }, [Decision]>('resolve');
/** Sent by every run that put a case up. */
export const lookSignal = defineSignal('look');

/** Looks again by itself this often: cases can also be settled on the command line. */
const LOOK_EVERY = '1 hour';

/** Its workflow id. */
export const REVIEW_ID = 'review';

/** One execution for the whole ledger; it ends when nothing is left to decide. */
export async function review(): Promise<void> {
  const calls = activityCalls({ tuning: undefined, priority: 2, deadlineMs: undefined });
  const queue: { open: OpenReview[]; stale: boolean } = { open: [], stale: true };
  const look = async () => {
    queue.stale = false;
    queue.open = await calls.openReviews('look for open cases', {});
    setCurrentDetails(reviewReport(queue.open));
  };
  setHandler(lookSignal, () => {
    queue.stale = true;
  });
  setHandler(resolveUpdate, async (decision) => {
    try {
      await calls.resolveReview(`resolve ${decision.review}`, { given: decision });
    } catch (error) {
      throw plainFailure(error);
    }
    await calls.publish('publish what the decision changed', {});
    await look();
    return { left: queue.open.length };
  });
  for (;;) {
    await look();
    await condition(allHandlersFinished);
    if (queue.open.length === 0 && !queue.stale) return;
    await condition(() => queue.stale || queue.open.length === 0, LOOK_EVERY);
    if (workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof review>();
    }
  }
}
