import type { Client } from '@temporalio/client';
import type { Log } from '../activities/dependencies.ts';
import type { Config } from '../config/schema.ts';
import { pushing } from './wiring.ts';

/**
 * Events may wait since before this worker started, so it sees to it that the lanes run, whether or not a listener does too.
 * Never fails: without Temporal the worker ends anyway, and the listener asks again.
 */
export async function startFastLanes(client: Client, config: Config, log: Log): Promise<void> {
  for (const connection of pushing(config)) {
    try {
      await client.workflow.start('inbox', {
        workflowId: `inbox/${connection}`,
        taskQueue: config.temporal.taskQueue,
        workflowIdConflictPolicy: 'USE_EXISTING',
        staticSummary: `${connection} · pushed changes`,
        staticDetails: `Takes what \`${connection}\` pushes from the inbox, for as long as the worker runs.`,
        args: [{ connection }],
      });
    } catch (error) {
      const reason = error instanceof Error ? error.name : 'unknown';
      log('warn', 'the fast lane could not be started', { connection, reason });
    }
  }
}
