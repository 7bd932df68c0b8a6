// Queries, signals and updates that operators and the command line use; names are part of the product's interface.
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { AuditRun, ReplayRun } from '../schemas/audit.ts';
import type { DrainReceipt } from '../schemas/inbox-run.ts';
import type { DeliveryReceipt } from '../schemas/notification.ts';
import type { RunSummary } from '../schemas/run.ts';
import type { WriteBackResult } from './write-back.ts';

/** The run's table so far; answered by every workflow that moves windows. */
export const progressQuery = defineQuery<RunSummary>('progress');

/** The same question to an audit and a replay, whose tables are others. */
export const auditQuery = defineQuery<AuditRun>('progress');
export const replayQuery = defineQuery<ReplayRun>('progress');
export const changeQuery = defineQuery<WriteBackResult>('progress');
/** The same to the fast lane: sums of the rounds that are over. */
export const inboxQuery = defineQuery<DrainReceipt>('progress');
export const notifyQuery = defineQuery<DeliveryReceipt>('progress');

/** A backfill starts no new window until it is resumed; windows in flight end by themselves. */
export const pauseUpdate = defineUpdate<'paused'>('pause');
export const resumeUpdate = defineUpdate<'running'>('resume');

/** To a delivery: a window more is staged. */
export const stagedSignal = defineSignal('staged');
/** To a delivery: nothing more comes. It looks once more, lands what it can and ends. With the run id of the run that says so. */
export const completeSignal = defineSignal<[string?]>('complete');
/** From a delivery to the run that it follows: one that is gone does not get it. */
export const followedSignal = defineSignal('followed');
