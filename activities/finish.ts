// After the last step: writes the run's summary to the ledger and the warehouse, where it outlives Temporal's retention.
import type { RunSummary } from '../schemas/run.ts';
import { copiesOf, inTime, tryEachCopy } from './copies.ts';
import type { Dependencies } from './dependencies.ts';

/** One of several that still lands records it after that: the run does not wait. */
const RECORD_MS_MAX = 10_000;

export async function beginRun(dependencies: Dependencies, run: RunSummary): Promise<void> {
  await dependencies.ledger.startRun(run);
}

/** A warehouse that is away does not turn a finished run into a failed one: the ledger has the summary. */
export async function finishRun(dependencies: Dependencies, run: RunSummary): Promise<void> {
  for (const line of run.objects) {
    if (line.code === undefined) continue;
    const fields = { run: run.workflowId, connection: run.connection, object: line.object, code: line.code };
    dependencies.log('warn', `${line.state}: ${line.message ?? line.code}`, fields);
  }
  for (const { sink, code, message } of run.behind ?? [])
    dependencies.log('warn', `behind: ${message}`, {
      run: run.workflowId,
      connection: run.connection,
      sink,
      code,
    });
  await dependencies.ledger.endRun(run);
  const isOne = copiesOf(dependencies).length === 0;
  const recordIn = ({ sink, lanes, warehouse }: Dependencies) => {
    const record = () => lanes('warehouse', () => warehouse.recordRun(run));
    return isOne ? record() : inTime(sink, RECORD_MS_MAX, record);
  };
  const copies = tryEachCopy(dependencies, 'the run', recordIn);
  try {
    await recordIn(dependencies);
  } catch (error) {
    dependencies.log('warn', 'the warehouse could not record the run; the ledger has it', {
      connection: run.connection,
      run: run.workflowId,
      reason: error instanceof Error ? error.name : 'unknown',
    });
  }
  await copies;
}
