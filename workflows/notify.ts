// Tells one subscriber of changed profiles: one long activity after another. Ends when the receiver wants no more.
import {
  continueAsNew,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { addDelivered, notifyReport, NOTHING_DELIVERED } from '../rules/notify-report.ts';
import { countOf } from '../rules/report.ts';
import type { DeliveryReceipt, NotifyInput } from '../schemas/notification.ts';
import { PHASE } from './attributes.ts';
import { plainFailure, troubleOf } from './failures.ts';
import { notifyQuery } from './messages.ts';
import { activityCalls } from './proxies.ts';

/** A worker that died is noticed, and another goes on, after this. */
const HEARTBEAT_MS = 10_000;
const RETRY_MS_MAX = 30_000;
/** Longer than a round: one that hangs is started again. */
const TRY_MS = 30 * 60_000;
/** Rounds of one execution: some hours, and a history that stays short. */
const ROUNDS_MAX = 300;

export async function notify(input: NotifyInput): Promise<DeliveryReceipt> {
  const { subscription, soFar, tuning } = input;
  let sum: DeliveryReceipt = soFar ?? NOTHING_DELIVERED;
  setHandler(notifyQuery, () => sum);
  const { heartbeatMs, retryMs, roundsMax = ROUNDS_MAX } = tuning ?? {};
  const calls = activityCalls({
    tuning: {
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
      ...(retryMs === undefined ? {} : { retryMs }),
    },
    priority: 2,
    deadlineMs: undefined,
    endless: { heartbeatMs: HEARTBEAT_MS, retryMsMax: RETRY_MS_MAX, tryMs: TRY_MS },
  });
  upsertSearchAttributes([{ key: PHASE, value: 'listening' }]);
  setCurrentDetails(notifyReport(subscription, sum));
  for (let round = 0; ; round += 1) {
    if (round >= roundsMax || workflowInfo().continueAsNewSuggested)
      await continueAsNew<typeof notify>({ ...input, soFar: sum });
    const label = `tell ${subscription} of changes · ${countOf(sum.delivered, 'notification')} so far`;
    const receipt = await calls.deliverChanges(label, { given: input }).catch((error: unknown) => {
      throw troubleOf(error).state === 'cancelled' ? error : plainFailure(error);
    });
    sum = addDelivered(sum, receipt);
    const text = notifyReport(subscription, sum);
    setCurrentDetails(text);
    upsertMemo({ summary: text });
    if (sum.disabled) break;
  }
  upsertSearchAttributes([{ key: PHASE, value: 'done' }]);
  return sum;
}
