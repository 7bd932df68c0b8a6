// The activity of the fast lane, with what all connections of a worker share in it.
import { inboxInputSchema, type DrainReceipt } from '../schemas/inbox-run.ts';
import type { OpenSources } from './connections.ts';
import type { Dependencies } from './dependencies.ts';
import { step } from './failure.ts';
import { drainInbox } from './inbox.ts';
import { checkInput } from './input.ts';
import { publish } from './publish.ts';

export interface DrainAsked {
  /** What was started, as given: checked here, because workflow code cannot. */
  given: unknown;
}

export function inboxSteps(
  dependencies: Dependencies,
  sources: OpenSources,
  failing: Parameters<typeof step>[0],
) {
  const golden = onceAtATime(dependencies);
  return {
    drainInbox: step(
      failing,
      'drain inbox',
      async ({ given }: DrainAsked): Promise<DrainReceipt> => {
        const { connection, tuning = {} } = checkInput(inboxInputSchema, given);
        const { roundMs } = tuning;
        const input = { connection, ...(roundMs === undefined ? {} : { roundMs }) };
        return drainInbox(dependencies, { sources, publish: golden }, input);
      },
      { ownBeat: true },
    ),
  };
}

/**
 * Golden tables are written for all connections together. Not in the lane of the claims, which a bulk reconcile holds for
 * minutes, but never beside another publish.
 */
function onceAtATime(dependencies: Dependencies): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= dependencies
      .lanes('publish', () => publish(dependencies))
      .then(() => undefined)
      .catch((error: unknown) => {
        const reason = error instanceof Error ? error.name : 'unknown';
        dependencies.log('warn', 'golden tables wait for the next publish', { reason });
      })
      .finally(() => (running = undefined));
    return running;
  };
}
