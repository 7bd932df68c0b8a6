import { checkObjects, oneConnection } from '../chosen.ts';
import { MANY, type Call, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { followRun } from '../follow.ts';
import { withTemporal, workflowUrl, type TemporalClient } from '../temporal-client.ts';
import { startRun, type SyncRequest } from '../start-run.ts';

/** An execution that is so much older than our start was there before. */
const ATTACHED_MS_MIN = 2_000;

export const sync: Command = {
  name: 'sync',
  summary: 'Sync a connection now and show how it goes',
  usage: '[connection] [object…]',
  example: 'sync salesforce Contact',
  about: 'A second call while one runs shows the same run. Interrupting stops the view, not the run.',
  options: {
    'allow-shrink': { type: 'boolean', help: 'Accept that the source suddenly has far fewer rows' },
    detach: { type: 'boolean', help: 'Start it and return at once' },
  },
  arguments: { min: 0, max: MANY },
  async run(call) {
    const loaded = await call.load();
    const [name, ...objects] = call.arguments;
    const configured = oneConnection(loaded.config, name);
    checkObjects(configured, objects);
    const connection = configured.name;
    return withTemporal(loaded, call.environment, (temporal) =>
      startSync(call, temporal, { connection, objects, allowShrink: call.options.flag('allow-shrink') }),
    );
  },
};

/** Starts or joins the run by hand of a connection, follows it and prints its table. */
export async function startSync(call: Call, temporal: TemporalClient, request: SyncRequest): Promise<number> {
  const handle = await startRun(temporal.client, temporal.taskQueue, request);
  const { workflowId } = handle;
  const { startTime, runId } = await handle.describe();
  if (Date.now() - startTime.getTime() > ATTACHED_MS_MIN)
    call.output.note(`This shows ${workflowId}, which runs already.`);
  const url = workflowUrl(temporal.target, workflowId, runId);
  if (url !== undefined) call.output.note(url);
  if (call.options.flag('detach')) {
    if (call.json) call.output.json({ workflowId, runId });
    return EXIT.ok;
  }
  return followRun(call, handle);
}
