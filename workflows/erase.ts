// Erases a customer everywhere: previewed, approved, then step by step, each of which may be repeated after a crash.
import {
  ApplicationFailure,
  ParentClosePolicy,
  setCurrentDetails,
  sleep,
  startChild,
  upsertMemo,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Suppressed } from '../activities/erase.ts';
import { alwaysRemains } from '../rules/erasure.ts';
import { erasureReport } from '../rules/report.ts';
import type { ErasurePreview } from '../schemas/erasure.ts';
import type { EraseInput, EraseRequest } from '../schemas/inputs.ts';
import { approval } from './approval.ts';
import { OUTCOME, PHASE } from './attributes.ts';
import { deliver } from './deliver.ts';
import { plainFailure } from './failures.ts';
import { activityCalls, type Calls } from './proxies.ts';

/** Until the next look at windows that were read before, ms; doubles. */
const PAUSE_MS_MIN = 2_000;
const PAUSE_MS_MAX = 60_000;
/** Looks at windows that do not end: some twelve hours. */
const LOOKS_MAX = 720;

export interface EraseResult {
  /** What was found right before it was removed; of an erasure that was not made, what would be. */
  places: ErasurePreview;
  outcome: 'erased' | 'previewed' | 'rejected' | 'expired' | 'nothing to do';
  /** In whole sentences: what is left, where and until when. */
  remains: string[];
}

export async function erase(input: EraseInput): Promise<EraseResult> {
  const approved = approval();
  const calls = activityCalls({ tuning: input.tuning, priority: 2, deadlineMs: undefined });
  const title = `Erasure of ${input.profile}`;
  setCurrentDetails(`**${title}** · looking`);
  const { request, preview } = await calls
    .previewErase(`preview the erasure of ${input.profile}`, { given: input })
    .catch((error: unknown) => {
      throw plainFailure(error);
    });
  const end = (outcome: EraseResult['outcome'], places = preview, remains: string[] = []): EraseResult => {
    const text = erasureReport(title, places, outcome, remains);
    setCurrentDetails(text);
    upsertMemo({ summary: text });
    upsertSearchAttributes([
      { key: OUTCOME, value: outcome },
      { key: PHASE, value: 'done' },
    ]);
    return { places, outcome, remains };
  };
  if (preview.records === 0) return end('nothing to do');
  if (request.dryRun) return end('previewed', preview, alwaysRemains(preview.referring));
  let { actor } = request;
  if (!request.approved) {
    const waiting = 'waiting for the update `approve` or `reject` {"actor": "…"}';
    setCurrentDetails(erasureReport(title, preview, waiting));
    const answer = await approved.wait();
    if (answer.actor === null) return end(answer.how === 'rejected' ? 'rejected' : 'expired');
    actor = answer.actor;
  }
  const tell = (phase: string): void => setCurrentDetails(erasureReport(title, preview, phase));
  tell('keeping out');
  const suppressed = await calls.suppressSubject('keep the subject out', { request, approver: actor });
  tell('landing what was read before');
  await landed(calls, request, suppressed.until);
  const { preview: places } = await calls.previewErase('count once more', { given: request });
  const remains = await removed(calls, request, actor, suppressed, tell);
  return end('erased', places, [...remains, ...alwaysRemains(places.referring)]);
}

/** Windows that were read before the subject was kept out: their rows are removed where they land. */
async function landed(calls: Calls, request: EraseRequest, until: string): Promise<void> {
  let pauseMs = PAUSE_MS_MIN;
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const pending = await calls.pendingWindows('look for windows on their way', { request, until });
    for (const connection of pending.deliver) await deliverStaged(connection);
    for (const connection of pending.reconcile)
      await calls.reconcile(`reconcile ${connection}`, { connection, backfill: false });
    if (pending.moving + pending.deliver.length === 0) {
      await calls.publish('publish what is on its way', {});
      return;
    }
    await sleep(pauseMs, { summary: 'windows that were read before are on their way' });
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
  }
  throw ApplicationFailure.nonRetryable(
    'windows that were read before do not land → See `npx headwater status`; the customer is kept out, start the erasure again.',
    'WINDOW_IN_PROGRESS',
  );
}

async function deliverStaged(connection: string): Promise<void> {
  try {
    await startChild(deliver, {
      workflowId: `deliver/${connection}`,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: 'staged windows, before an erasure',
      args: [{ connection }],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** Files, then rows, then keys: while the keys are there, a crash finds the subject again. */
async function removed(
  calls: Calls,
  request: EraseRequest,
  approver: string,
  { until, subjects }: Suppressed,
  tell: (phase: string) => void,
): Promise<string[]> {
  tell('removing files');
  await calls.unstageSubject('remove staged files', { request, until });
  tell('removing rows');
  await calls.purgeSubject('remove rows of the warehouse', { request });
  tell('shredding keys');
  await calls.shredSubject('shred the keys', { request, subjects, approver });
  tell('writing files anew');
  const remains = await calls.scrubSubject('overwrite what was removed', { subjects });
  await calls.publish('publish the tombstones', {});
  return remains;
}
