// Part of every step: says that it lives while the source or the warehouse takes its time.
import { Context } from '@temporalio/activity';

/** Half of the shortest heartbeat timeout in use. */
const BEAT_EVERY_MS = 1_000;

/** Cancellation too reaches the worker through heartbeats only. */
export async function beating<T>(step: string, work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat({ step }), BEAT_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
