// Reads records that were set aside once more and lands those that fit now.
import {
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { replayReport } from '../rules/audit-report.ts';
import type { ObjectReplay, ReplayInput, ReplayRun } from '../schemas/audit.ts';
import { OUTCOME, PHASE } from './attributes.ts';
import { plainFailure, refuseMisshapen, troubleOf } from './failures.ts';
import { replayQuery } from './messages.ts';
import { activityCalls } from './proxies.ts';

export async function replay(input: ReplayInput): Promise<ReplayRun> {
  refuseMisshapen(input);
  const dryRun = input.dryRun === true;
  const run: ReplayRun = {
    ...{ connection: input.connection, workflowId: workflowInfo().workflowId, dryRun, objects: [] },
  };
  setHandler(replayQuery, () => run);
  const calls = activityCalls({ tuning: input.tuning, priority: 3, deadlineMs: undefined });
  setCurrentDetails(replayReport(run, 'looking'));
  const { parts, profiles } = await calls
    .planReplay(`look for records of ${input.connection} that were set aside`, { given: input })
    .catch((error: unknown) => {
      throw plainFailure(error);
    });
  for (const part of parts) {
    setCurrentDetails(replayReport(run, `reading ${part.object}`));
    let line: ObjectReplay;
    try {
      line = await calls.replayRecords(`replay ${part.records.length} records of ${part.object}`, part);
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble.state === 'cancelled') throw error;
      line = {
        ...{ object: part.object, records: part.records.length, landed: 0, gone: 0, reasons: [] },
        ...{ left: part.records.length, code: trouble.code, message: trouble.message },
      };
    }
    add(run, line);
  }
  if (!dryRun && profiles && parts.length > 0)
    await calls.publish('publish profiles of records that landed', { connection: run.connection });
  const left = run.objects.reduce((sum, line) => sum + line.left, 0);
  const text = replayReport(run, left === 0 ? 'ok' : `${left} records still do not fit`);
  setCurrentDetails(text);
  upsertMemo({ summary: text });
  upsertSearchAttributes([
    { key: OUTCOME, value: left === 0 ? 'ok' : 'partial' },
    { key: PHASE, value: 'done' },
  ]);
  return run;
}

/** An object of many records comes in several parts: one line. */
function add(run: ReplayRun, line: ObjectReplay): void {
  const known = run.objects.find(({ object }) => object === line.object);
  if (known === undefined) {
    run.objects.push(line);
    return;
  }
  const { records, landed, gone, left, reasons, ...rest } = line;
  Object.assign(known, rest);
  known.records += records;
  known.landed += landed;
  known.gone += gone;
  known.left += left;
  for (const reason of reasons) {
    const same = known.reasons.find((one) => one.field === reason.field && one.reason === reason.reason);
    if (same === undefined) known.reasons.push(reason);
    else same.records += reason.records;
  }
}
