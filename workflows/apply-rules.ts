// Puts changed conflict rules into force: previewed, approved, then applied to every profile without reading a source again.
import { setCurrentDetails, upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import type { ChangePreview } from '../activities/steward.ts';
import { changeReport, countOf } from '../rules/report.ts';
import type { ApplyRulesInput } from '../schemas/inputs.ts';
import { approval } from './approval.ts';
import { OUTCOME, PHASE } from './attributes.ts';
import { plainFailure } from './failures.ts';
import { activityCalls } from './proxies.ts';

export interface ApplyRulesResult {
  preview: ChangePreview;
  outcome: 'applied' | 'rejected' | 'expired';
  changed: number;
}

export async function applyRules(input: ApplyRulesInput): Promise<ApplyRulesResult> {
  const waiting = approval();
  const calls = activityCalls({ tuning: undefined, priority: 4, deadlineMs: undefined });
  const title = `Rules of ${input.entity ?? 'every entity'}`;
  setCurrentDetails(`**${title}** · looking`);
  const { request, preview } = await calls
    .previewRules(`preview the rules of ${input.entity ?? 'every entity'}`, { given: input })
    .catch((error: unknown) => {
      throw plainFailure(error);
    });
  const end = (outcome: ApplyRulesResult['outcome'], changed = 0): ApplyRulesResult => {
    const text = changeReport(title, preview, outcome);
    setCurrentDetails(text);
    upsertMemo({ summary: text });
    upsertSearchAttributes([
      { key: OUTCOME, value: outcome },
      { key: PHASE, value: 'done' },
    ]);
    return { preview, outcome, changed };
  };
  let approver: string | null = request.actor;
  if (!request.approved) {
    setCurrentDetails(
      changeReport(title, preview, 'waiting for the update `approve` or `reject` {"actor": "…"}'),
    );
    const answer = await waiting.wait();
    if (answer.how !== 'approved') return end(answer.how);
    approver = answer.actor;
  }
  const { changed } = await calls.applyRules(`apply the rules of ${input.entity ?? 'every entity'}`, {
    request,
    approver: approver ?? request.actor,
  });
  await calls.publish(`publish ${countOf(changed, 'profile')}`, {});
  return end('applied', changed);
}
