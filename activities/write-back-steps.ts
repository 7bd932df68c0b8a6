// The activities of a write-back.
import { writeBackInputSchema } from '../schemas/change.ts';
import type { OpenSources } from './connections.ts';
import type { Dependencies } from './dependencies.ts';
import { step } from './failure.ts';
import { checkInput } from './input.ts';
import { openChange, settleChange, undoTarget, writeTarget, type TargetInput } from './write-back.ts';

export function writeBackSteps(
  dependencies: Dependencies,
  sources: OpenSources,
  failing: Parameters<typeof step>[0],
) {
  return {
    openChange: step(failing, 'open change', ({ given }: { given: unknown }) =>
      openChange(dependencies, checkInput(writeBackInputSchema, given)),
    ),
    writeTarget: step(failing, 'write', (input: TargetInput) => writeTarget(dependencies, sources, input)),
    undoTarget: step(failing, 'undo', (input: TargetInput) => undoTarget(dependencies, sources, input)),
    settleChange: step(failing, 'settle', (input: Parameters<typeof settleChange>[1]) =>
      settleChange(dependencies, input),
    ),
  };
}
