// After the windows have landed: reconcile adds their records as claims, publish writes what that changed. Raw rows never wait for it.
import { setCurrentDetails } from '@temporalio/workflow';
import { runReport } from '../rules/report.ts';
import { unmoved } from '../rules/summary.ts';
import type { RunSummary } from '../schemas/run.ts';
import { troubleOf } from './failures.ts';
import type { Calls } from './proxies.ts';

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
    const published = await calls.publish(`publish ${connection} · ${changed} profiles`, { connection });
    run.golden = { ...golden, published };
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble.state === 'cancelled') throw error;
    run.objects.push({ ...unmoved(LINE, trouble.state), code: trouble.code, message: trouble.message });
  }
}
