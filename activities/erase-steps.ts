// The activities of an erasure. The lanes of the claims store keep reconcile and publish away while one of them works.
import { eraseInputSchema, type EraseRequest } from '../schemas/inputs.ts';
import type { ErasurePreview } from '../schemas/erasure.ts';
import type { Dependencies } from './dependencies.ts';
import * as erase from './erase.ts';
import type { ErasedProfiles, Pending, Suppressed } from './erase.ts';
import { step } from './failure.ts';
import { checkInput } from './input.ts';
import { besideNobody } from './lanes.ts';

export interface Asked {
  request: EraseRequest;
}

export function eraseSteps(dependencies: Dependencies, failing: Parameters<typeof step>[0]) {
  const alone = <T>(work: () => Promise<T>): Promise<T> => besideNobody(dependencies.lanes, work);
  return {
    previewErase: step(
      failing,
      'preview erase',
      async ({ given }: { given: unknown }): Promise<Asked & { preview: ErasurePreview }> => {
        const request = checkInput(eraseInputSchema, given);
        return { request, preview: await erase.previewErase(dependencies, request) };
      },
    ),
    suppressSubject: step(failing, 'keep out', (input: Asked & { approver: string }): Promise<Suppressed> =>
      alone(() => erase.suppressSubject(dependencies, input.request, input.approver)),
    ),
    pendingWindows: step(failing, 'look for windows', (input: Asked & { until: string }): Promise<Pending> =>
      erase.pendingWindows(dependencies, input.request, input.until),
    ),
    unstageSubject: step(failing, 'remove files', (input: Asked & { until: string }) =>
      alone(() => erase.unstageSubject(dependencies, input.request, input.until)),
    ),
    purgeSubject: step(failing, 'purge', ({ request }: Asked) =>
      alone(() => erase.purgeSubject(dependencies, request)),
    ),
    shredSubject: step(failing, 'shred', (input: Asked & { subjects: ErasedProfiles; approver: string }) =>
      alone(() => erase.shredSubject(dependencies, input.request, input.subjects, input.approver)),
    ),
    scrubSubject: step(failing, 'scrub', ({ subjects }: { subjects: ErasedProfiles }) =>
      alone(() => erase.scrubSubject(dependencies, subjects)),
    ),
  };
}
