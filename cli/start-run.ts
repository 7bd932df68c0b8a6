import type { Client, WorkflowHandle } from '@temporalio/client';
import { runAttributes } from './search-attributes.ts';

export interface SyncRequest {
  connection: string;
  /** Empty: all that are configured. */
  objects: readonly string[];
  allowShrink: boolean;
}

/** Starts the run by hand of a connection, or joins the one that goes on: there is one at a time. */
export function startRun(client: Client, taskQueue: string, request: SyncRequest): Promise<WorkflowHandle> {
  const { connection, objects, allowShrink } = request;
  return client.workflow.start('syncConnection', {
    workflowId: `sync/${connection}/now`,
    taskQueue,
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `${connection} · by hand`,
    typedSearchAttributes: runAttributes(connection, 'manual'),
    args: [
      {
        connection,
        trigger: 'manual',
        ...(objects.length > 0 ? { objects } : {}),
        ...(allowShrink ? { allowShrink } : {}),
      },
    ],
  });
}
