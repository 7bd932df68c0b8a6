// How workflows call activities: time limits, retries and what the Temporal UI shows on each bar of the timeline.
import { ActivityCancellationType, proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';
import type { Tuning } from '../schemas/inputs.ts';

/** A step that stops beating is started again elsewhere after this long. */
const HEARTBEAT_MS = 20_000;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
/** Tries of one step: a payload that never fits or a defect must not retry for ever. */
const ATTEMPTS_MAX = 30;
/** Summaries are labels; the UI cuts what is longer. */
const SUMMARY_CHARACTERS_MAX = 120;

export type Calls = {
  [Name in keyof Activities]: (
    label: string,
    input: Parameters<Activities[Name]>[0],
  ) => ReturnType<Activities[Name]>;
};

export interface CallLimits {
  tuning: Tuning | undefined;
  /** 1 is most urgent, 5 least: webhooks 1, hourly runs 3, backfills 5. */
  priority: number;
  /** All tries of one step end by then; undefined: a day. */
  deadlineMs: number | undefined;
  /** A step that shall go on for ever: no number of tries ends it, and a try comes soon. */
  endless?: { heartbeatMs: number; retryMsMax: number; tryMs: number };
}

export function activityCalls(limits: CallLimits): Calls {
  const { endless } = limits;
  const options: ActivityOptions = {
    startToCloseTimeout: endless?.tryMs ?? '24h',
    ...(endless === undefined ? { scheduleToCloseTimeout: limits.deadlineMs ?? '24h' } : {}),
    heartbeatTimeout: limits.tuning?.heartbeatMs ?? endless?.heartbeatMs ?? HEARTBEAT_MS,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    priority: { priorityKey: limits.priority },
    retry: {
      initialInterval: limits.tuning?.retryMs ?? RETRY_MS,
      maximumInterval: endless?.retryMsMax ?? RETRY_MS_MAX,
      backoffCoefficient: 2,
      ...(endless === undefined ? { maximumAttempts: ATTEMPTS_MAX } : {}),
    },
  };
  const proxies = proxyActivities<Activities>(options);
  const summary = (label: string) => ({ summary: label.slice(0, SUMMARY_CHARACTERS_MAX) });
  return {
    plan: (label, input) => proxies.plan.executeWithOptions(summary(label), [input]),
    moveSlice: (label, input) => proxies.moveSlice.executeWithOptions(summary(label), [input]),
    extract: (label, input) => proxies.extract.executeWithOptions(summary(label), [input]),
    shape: (label, input) => proxies.shape.executeWithOptions(summary(label), [input]),
    load: (label, input) => proxies.load.executeWithOptions(summary(label), [input]),
    commit: (label, input) => proxies.commit.executeWithOptions(summary(label), [input]),
    reconcile: (label, input) => proxies.reconcile.executeWithOptions(summary(label), [input]),
    publish: (label, input) => proxies.publish.executeWithOptions(summary(label), [input]),
    previewRollback: (label, input) => proxies.previewRollback.executeWithOptions(summary(label), [input]),
    rollback: (label, input) => proxies.rollback.executeWithOptions(summary(label), [input]),
    previewRules: (label, input) => proxies.previewRules.executeWithOptions(summary(label), [input]),
    applyRules: (label, input) => proxies.applyRules.executeWithOptions(summary(label), [input]),
    openReviews: (label, input) => proxies.openReviews.executeWithOptions(summary(label), [input]),
    resolveReview: (label, input) => proxies.resolveReview.executeWithOptions(summary(label), [input]),
    previewErase: (label, input) => proxies.previewErase.executeWithOptions(summary(label), [input]),
    suppressSubject: (label, input) => proxies.suppressSubject.executeWithOptions(summary(label), [input]),
    pendingWindows: (label, input) => proxies.pendingWindows.executeWithOptions(summary(label), [input]),
    unstageSubject: (label, input) => proxies.unstageSubject.executeWithOptions(summary(label), [input]),
    purgeSubject: (label, input) => proxies.purgeSubject.executeWithOptions(summary(label), [input]),
    shredSubject: (label, input) => proxies.shredSubject.executeWithOptions(summary(label), [input]),
    scrubSubject: (label, input) => proxies.scrubSubject.executeWithOptions(summary(label), [input]),
    planAudit: (label, input) => proxies.planAudit.executeWithOptions(summary(label), [input]),
    auditObject: (label, input) => proxies.auditObject.executeWithOptions(summary(label), [input]),
    repairDrift: (label, input) => proxies.repairDrift.executeWithOptions(summary(label), [input]),
    settleAudit: (label, input) => proxies.settleAudit.executeWithOptions(summary(label), [input]),
    planReplay: (label, input) => proxies.planReplay.executeWithOptions(summary(label), [input]),
    replayRecords: (label, input) => proxies.replayRecords.executeWithOptions(summary(label), [input]),
    drainInbox: (label, input) => proxies.drainInbox.executeWithOptions(summary(label), [input]),
    deliverChanges: (label, input) => proxies.deliverChanges.executeWithOptions(summary(label), [input]),
    openChange: (label, input) => proxies.openChange.executeWithOptions(summary(label), [input]),
    writeTarget: (label, input) => proxies.writeTarget.executeWithOptions(summary(label), [input]),
    undoTarget: (label, input) => proxies.undoTarget.executeWithOptions(summary(label), [input]),
    settleChange: (label, input) => proxies.settleChange.executeWithOptions(summary(label), [input]),
    finish: (label, input) => proxies.finish.executeWithOptions(summary(label), [input]),
    undelivered: (label, input) => proxies.undelivered.executeWithOptions(summary(label), [input]),
    planMigration: (label, input) => proxies.planMigration.executeWithOptions(summary(label), [input]),
    planBackfill: (label, input) => proxies.planBackfill.executeWithOptions(summary(label), [input]),
  };
}
