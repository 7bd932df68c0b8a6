// The activities of audit and replay.
import { auditInputSchema, replayInputSchema, type ObjectAudit } from '../schemas/audit.ts';
import { auditObject, planAudit, settleAudit, type AuditObjectInput, type AuditPlan } from './audit.ts';
import { repairDrift, type RepairInput } from './audit-repair.ts';
import type { OpenSources } from './connections.ts';
import type { Dependencies } from './dependencies.ts';
import { step } from './failure.ts';
import { checkInput } from './input.ts';
import { planReplay, replayRecords, type ReplayPart } from './replay.ts';

export function auditSteps(
  dependencies: Dependencies,
  sources: OpenSources,
  failing: Parameters<typeof step>[0],
) {
  return {
    planAudit: step(failing, 'plan audit', ({ given }: { given: unknown }): Promise<AuditPlan> =>
      planAudit(dependencies, sources, checkInput(auditInputSchema, given)),
    ),
    auditObject: step(failing, 'audit', (input: AuditObjectInput) =>
      auditObject(dependencies, sources, input),
    ),
    repairDrift: step(failing, 'repair', (input: RepairInput) => repairDrift(dependencies, sources, input)),
    settleAudit: step(failing, 'settle audit', (input: { connection: string; line: ObjectAudit }) =>
      settleAudit(dependencies, input),
    ),
    planReplay: step(failing, 'plan replay', ({ given }: { given: unknown }) =>
      planReplay(dependencies, checkInput(replayInputSchema, given)),
    ),
    replayRecords: step(failing, 'replay', (input: ReplayPart) =>
      replayRecords(dependencies, sources, input),
    ),
  };
}
