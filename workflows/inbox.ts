// The fast lane of one connection: one long activity after another takes what is pushed. The only workflow without an end.
import {
  continueAsNew,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { addDrained, inboxReport, NOTHING_DRAINED } from '../rules/inbox-report.ts';
import { countOf } from '../rules/report.ts';
import type { DrainReceipt, InboxInput } from '../schemas/inbox-run.ts';
import { CONNECTION, PHASE, TRIGGER } from './attributes.ts';
import { plainFailure, refuseMisshapen, troubleOf } from './failures.ts';
import { inboxQuery } from './messages.ts';
import { activityCalls } from './proxies.ts';
import { syncConnection } from './sync-connection.ts';

/** A worker that died is noticed, and another goes on, after this. */
const HEARTBEAT_MS = 10_000;
const RETRY_MS_MAX = 5_000;
/** Longer than a round: one that hangs is started again. */
const TRY_MS = 30 * 60_000;
/** Rounds of one execution: half a day, and a history that stays short. */
const ROUNDS_MAX = 72;

export async function inbox(input: InboxInput): Promise<void> {
  refuseMisshapen(input);
  const { connection, tuning } = input;
  let sum: DrainReceipt = input.soFar ?? NOTHING_DRAINED;
  setHandler(inboxQuery, () => sum);
  const { heartbeatMs, retryMs, roundsMax = ROUNDS_MAX } = tuning ?? {};
  const calls = activityCalls({
    tuning: {
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
      ...(retryMs === undefined ? {} : { retryMs }),
    },
    priority: 1,
    deadlineMs: undefined,
    endless: { heartbeatMs: HEARTBEAT_MS, retryMsMax: RETRY_MS_MAX, tryMs: TRY_MS },
  });
  upsertSearchAttributes([
    { key: CONNECTION, value: connection },
    { key: PHASE, value: 'listening' },
  ]);
  setCurrentDetails(inboxReport(connection, sum));
  for (let round = 0; ; round += 1) {
    if (round >= roundsMax || workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof inbox>({ ...input, soFar: sum });
    }
    const label = `take what ${connection} pushes · ${countOf(sum.events, 'event')} so far`;
    const drained = await calls.drainInbox(label, { given: input }).catch((error: unknown) => {
      throw troubleOf(error).state === 'cancelled' ? error : plainFailure(error);
    });
    sum = addDrained(sum, drained);
    const text = inboxReport(connection, sum);
    setCurrentDetails(text);
    upsertMemo({ summary: text });
    if (drained.poll !== null) await poll(connection, drained.poll);
  }
}

/** Runs beside this workflow and outlives it, like any other run; one that goes on already is enough. */
async function poll(connection: string, why: NonNullable<DrainReceipt['poll']>): Promise<void> {
  try {
    await startChild(syncConnection, {
      workflowId: `sync/${connection}/poll`,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `${connection} · webhooks are ${why === 'quiet' ? 'quiet' : 'missing changes'}`,
      typedSearchAttributes: [
        { key: CONNECTION, value: connection },
        { key: TRIGGER, value: 'manual' },
        { key: PHASE, value: 'plan' },
      ],
      args: [{ connection, trigger: 'manual' }],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
