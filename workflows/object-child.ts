// Runs syncObject as a child and turns whatever becomes of it into lines of the run's table.
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { executeChild, ParentClosePolicy } from '@temporalio/workflow';
import type { PlannedWindow } from '../activities/plan.ts';
import { formatWindow } from '../rules/report.ts';
import type { Tuning } from '../schemas/inputs.ts';
import type { ObjectSummary, Trigger } from '../schemas/run.ts';
import { CONNECTION, CRM_OBJECT, DATA_INTERVAL_START, TRIGGER } from './attributes.ts';
import { summariesIn, troubleOf, unfinished } from './failures.ts';
import { syncObject } from './sync-object.ts';

export interface ObjectChild {
  workflowId: string;
  connection: string;
  object: string;
  /** In order of time, at least one. */
  windows: [PlannedWindow, ...PlannedWindow[]];
  trigger: Trigger;
  /** What follows object and window on the child's bar in the timeline. */
  about: string;
  deadlineMs?: number | undefined;
  allowShrink?: boolean | undefined;
  /** A further warehouse that staged windows land in. */
  sink?: string | undefined;
  /** Ends when the windows are staged and proven. */
  stageOnly?: boolean | undefined;
  tuning?: Tuning | undefined;
}

/** Throws only when the run itself is cancelled; a child of the same id that runs already is in progress, not an error. */
export async function moveInChild(child: ObjectChild): Promise<ObjectSummary[]> {
  const { connection, object, windows, trigger, deadlineMs, allowShrink, sink, stageOnly, tuning } = child;
  const last = windows.findLast(({ partial }) => partial !== true) ?? windows[0];
  const window = formatWindow(last.from, last.until);
  try {
    return await executeChild(syncObject, {
      workflowId: child.workflowId,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `${object} · ${window}${child.about === '' ? '' : ` · ${child.about}`}`,
      staticDetails: `Moves **${object}** of \`${connection}\` for ${window} (UTC) by ${last.api}.`,
      typedSearchAttributes: [
        { key: CONNECTION, value: connection },
        { key: CRM_OBJECT, value: object },
        { key: TRIGGER, value: trigger },
        { key: DATA_INTERVAL_START, value: new Date(last.from) },
      ],
      args: [
        {
          connection,
          object,
          windows,
          callClass: trigger === 'backfill' ? 'backfill' : 'hourly',
          ...(deadlineMs === undefined ? {} : { deadlineMs }),
          ...(allowShrink === true ? { allowShrink } : {}),
          ...(sink === undefined ? {} : { sink }),
          ...(stageOnly === true ? { stageOnly } : {}),
          ...(tuning === undefined ? {} : { tuning }),
        },
      ],
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      const message = `in progress: ${error.workflowId}`;
      return [unfinished(object, last, { code: '', state: 'in-progress', message })];
    }
    const reported = summariesIn(error);
    if (reported.length > 0) return reported;
    const trouble = troubleOf(error);
    if (trouble.state === 'cancelled') throw error;
    return [unfinished(object, last, trouble)];
  }
}
