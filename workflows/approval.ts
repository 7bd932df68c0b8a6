// A change that somebody else has to agree to: it waits, durably, for the update `approve` or `reject`.
import { ApplicationFailure, condition, defineUpdate, setHandler } from '@temporalio/workflow';

/** Who agrees or refuses; the name goes into the event log. */
export interface Verdict {
  actor: string;
}

export const approveUpdate = defineUpdate<'approved', [Verdict]>('approve');
export const rejectUpdate = defineUpdate<'rejected', [Verdict]>('reject');

/** After this long nobody seems to want it. */
const WAIT_DAYS_MAX = 7;

export interface Approval {
  /** Resolves with the name of whoever approved; null: rejected, or nobody answered. */
  wait(): Promise<{ actor: string | null; how: 'approved' | 'rejected' | 'expired' }>;
}

/** Handlers are set at once, so that an answer may come before the preview is there. */
export function approval(): Approval {
  let answer: { actor: string; how: 'approved' | 'rejected' } | undefined;
  const take = <How extends 'approved' | 'rejected'>(how: How) => {
    return ({ actor }: Verdict): How => {
      answer ??= { actor, how };
      return how;
    };
  };
  const validator = (verdict: unknown) => {
    const actor = typeof verdict === 'object' && verdict !== null && 'actor' in verdict ? verdict.actor : '';
    if (typeof actor === 'string' && actor !== '') return;
    throw ApplicationFailure.nonRetryable(
      'actor: say who you are → Send {"actor": "your name"}.',
      'INPUT_INVALID',
    );
  };
  setHandler(approveUpdate, take('approved'), { validator });
  setHandler(rejectUpdate, take('rejected'), { validator });
  return {
    async wait() {
      await condition(() => answer !== undefined, `${WAIT_DAYS_MAX} days`);
      if (answer === undefined) return { actor: null, how: 'expired' };
      return { actor: answer.how === 'approved' ? answer.actor : null, how: answer.how };
    },
  };
}
