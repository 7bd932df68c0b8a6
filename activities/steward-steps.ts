// The activities of a data steward: rollback, changed rules, reviews.
import {
  applyRulesInputSchema,
  decisionSchema,
  rollbackInputSchema,
  type RollbackRequest,
  type RulesRequest,
} from '../schemas/inputs.ts';
import type { Dependencies } from './dependencies.ts';
import { step } from './failure.ts';
import { checkInput } from './input.ts';
import {
  applyRules,
  openReviews,
  previewRollback,
  previewRules,
  resolveReview,
  rollback,
} from './steward.ts';

export function stewardSteps(dependencies: Dependencies, failing: Parameters<typeof step>[0]) {
  return {
    previewRollback: step(failing, 'preview rollback', async ({ given }: { given: unknown }) => {
      const request = checkInput(rollbackInputSchema, given);
      return { request, preview: await previewRollback(dependencies, request) };
    }),
    rollback: step(failing, 'rollback', (input: { request: RollbackRequest; approver: string }) =>
      rollback(dependencies, input.request, input.approver),
    ),
    previewRules: step(failing, 'preview rules', async ({ given }: { given: unknown }) => {
      const request = checkInput(applyRulesInputSchema, given);
      return { request, preview: await previewRules(dependencies, request.entity) };
    }),
    applyRules: step(failing, 'apply rules', (input: { request: RulesRequest; approver: string }) =>
      applyRules(dependencies, input.request, input.approver),
    ),
    openReviews: step(failing, 'open reviews', () => openReviews(dependencies)),
    resolveReview: step(failing, 'resolve review', ({ given }: { given: unknown }) =>
      resolveReview(dependencies, checkInput(decisionSchema, given)),
    ),
  };
}
