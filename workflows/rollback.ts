// Takes values back: previewed, approved, then written as events that the next poll cannot undo.
import { setCurrentDetails, upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import type { ChangePreview } from '../activities/steward.ts';
import { changeReport, countOf } from '../rules/report.ts';
import type { RollbackInput, RollbackRequest } from '../schemas/inputs.ts';
import { approval } from './approval.ts';
import { OUTCOME, PHASE } from './attributes.ts';
import { plainFailure } from './failures.ts';
import { activityCalls } from './proxies.ts';

export interface RollbackResult {
  preview: ChangePreview;
  outcome: 'applied' | 'rejected' | 'expired' | 'nothing to do';
  retracted: number;
  profiles: number;
}

export async function rollback(input: RollbackInput): Promise<RollbackResult> {
  const approved = approval();
  const calls = activityCalls({ tuning: undefined, priority: 2, deadlineMs: undefined });
  const about = whatOf(input);
  setCurrentDetails(`**Rollback** of ${about} · looking`);
  const { request, preview } = await calls
    .previewRollback(`preview the rollback of ${about}`, { given: input })
    .catch((error: unknown) => {
      throw plainFailure(error);
    });
  const end = (outcome: RollbackResult['outcome'], done = { retracted: 0, profiles: 0 }): RollbackResult => {
    const text = changeReport(`Rollback of ${about}`, preview, outcome);
    setCurrentDetails(text);
    upsertMemo({ summary: text });
    upsertSearchAttributes([
      { key: OUTCOME, value: outcome },
      { key: PHASE, value: 'done' },
    ]);
    return { preview, outcome, ...done };
  };
  if (preview.values === 0) return end('nothing to do');
  const approver = await agreed(request, preview, about, approved);
  if (approver.actor === null) return end(approver.how === 'rejected' ? 'rejected' : 'expired');
  const done = await calls.rollback(`take back ${countOf(preview.values, 'value')}`, {
    request,
    approver: approver.actor,
  });
  await calls.publish(`publish ${countOf(done.profiles, 'profile')}`, {});
  return end('applied', done);
}

async function agreed(
  request: RollbackRequest,
  preview: ChangePreview,
  about: string,
  approved: ReturnType<typeof approval>,
): ReturnType<ReturnType<typeof approval>['wait']> {
  if (request.approved) return { actor: request.actor, how: 'approved' };
  setCurrentDetails(
    changeReport(
      `Rollback of ${about}`,
      preview,
      'waiting for the update `approve` or `reject` {"actor": "…"}',
    ),
  );
  return approved.wait();
}

function whatOf({ profile, field, source, run, since }: RollbackInput): string {
  const parts = [
    field === undefined ? 'all fields' : field,
    profile === undefined ? '' : `of ${profile}`,
    source === undefined ? '' : `from ${source}`,
    run === undefined ? '' : `by run ${run}`,
    since === undefined ? '' : `since ${since}`,
  ];
  return parts.filter(Boolean).join(' ');
}
