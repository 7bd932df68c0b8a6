// After the windows have landed: reconcile adds their records as claims, publish writes what that changed. Raw rows never wait for it.
import {
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setCurrentDetails,
  startChild,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { countOf, runReport } from '../rules/report.ts';
import { unmoved } from '../rules/summary.ts';
import type { RunSummary } from '../schemas/run.ts';
import { troubleOf } from './failures.ts';
import type { Calls } from './proxies.ts';
import { lookSignal, review, REVIEW_ID } from './review.ts';

/** The line of a run under which trouble with profiles is told. */
const LINE = 'profiles';

export async function resolveProfiles(calls: Calls, run: RunSummary): Promise<void> {
  const { connection } = run;
  try {
    setCurrentDetails(runReport(run, 'reconciling'));
    const golden = await calls.reconcile(`reconcile ${connection}`, {
      connection,
      backfill: run.trigger === 'backfill',
    });
    run.golden = golden;
    setCurrentDetails(runReport(run, 'publishing'));
    const changed = golden.created + golden.changed + golden.merged;
    const published = await calls.publish(`publish ${connection} · ${countOf(changed, 'profile')}`, {
      connection,
    });
    run.golden = { ...golden, published };
    if (golden.reviews > 0) await openReview();
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble.state === 'cancelled') throw error;
    run.objects.push({ ...unmoved(LINE, trouble.state), code: trouble.code, message: trouble.message });
  }
}

/** One queue for the whole ledger: started, or told to look again. */
async function openReview(): Promise<void> {
  try {
    await startChild(review, {
      workflowId: REVIEW_ID,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: 'cases that a person decides',
      args: [],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    await getExternalWorkflowHandle(REVIEW_ID).signal(lookSignal);
  }
}
