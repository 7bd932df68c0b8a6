// Brings one warehouse up to everything that is proven: from the stage what is still there, the rest by reading it again.
import {
  executeChild,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { outcomeOf } from '../rules/outcome.ts';
import { countOf, deliveryReport, lackingOf, migrationReport } from '../rules/report.ts';
import { unmoved } from '../rules/summary.ts';
import type { MigrateInput, MigrationPlan, MigrationResult } from '../schemas/migration.ts';
import type { ObjectSummary, RunSummary } from '../schemas/run.ts';
import { CONNECTION, OUTCOME, PHASE } from './attributes.ts';
import { backfill } from './backfill.ts';
import { deliverNow } from './copies.ts';
import { plainFailure, refuseMisshapen, summariesIn, troubleOf } from './failures.ts';
import { progressQuery } from './messages.ts';
import { activityCalls, type Calls } from './proxies.ts';

const BEGINNING = 'beginning';

/** Every step may be repeated: asked for again after whatever happened, it goes on with what is still missing. */
export async function migrate(input: MigrateInput): Promise<MigrationResult> {
  refuseMisshapen(input);
  const { connection, sink, tuning } = input;
  const run = newRun(connection);
  setHandler(progressQuery, () => run);
  upsertSearchAttributes([
    { key: CONNECTION, value: connection },
    { key: PHASE, value: 'plan' },
  ]);
  const calls = activityCalls({ tuning, priority: 5, deadlineMs: undefined });
  const look = (what: string) =>
    calls
      .planMigration(`${what} ${sink} lacks of ${connection}`, { given: input })
      .catch((error: unknown) => {
        throw plainFailure(error);
      });
  setCurrentDetails(deliveryReport(run, sink, 'what it lacks is looked up'));
  const plan = await look('what');
  setCurrentDetails(migrationReport(plan));
  if (input.dryRun === true) return end(run, plan, plan, true);
  const reread = plan.objects.filter(({ way }) => way === 'read').map(({ object }) => object);
  if (reread.length > 0) await readAgain(run, input, reread);
  await deliver(run, input);
  if (plan.golden !== undefined) await publish(calls, run, sink);
  const after = await look('what is left that');
  const result = end(run, plan, after, false);
  setCurrentDetails(`${deliveryReport(run, sink, endText(result))}\n\n${migrationReport(after)}`);
  return result;
}

function newRun(connection: string): RunSummary {
  const { workflowId, runId, startTime } = workflowInfo();
  return {
    ...{ connection, workflowId, runId, trigger: 'backfill', outcome: 'ok' },
    ...{ startedAt: startTime.toISOString(), endedAt: null, idle: 0, objects: [] },
  };
}

/** The whole objects, with the calls of a backfill; the other warehouses find their rows unchanged. */
async function readAgain(run: RunSummary, input: MigrateInput, objects: string[]): Promise<void> {
  const { connection, sink, maxActive = 2, allowShrink, tuning } = input;
  setCurrentDetails(
    deliveryReport(run, sink, `step 1 of 3: ${countOf(objects.length, 'object')} to read again`),
  );
  try {
    const { run: read } = await executeChild(backfill, {
      workflowId: `migrate/${connection}/${sink}/read`,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `${connection}: what ${sink} lacks and the stage no longer holds`,
      args: [
        {
          ...{
            connection,
            objects,
            from: BEGINNING,
            to: new Date().toISOString(),
            reprocess: 'all',
            maxActive,
          },
          ...(allowShrink === true ? { allowShrink } : {}),
          ...(tuning === undefined ? {} : { tuning }),
        },
      ],
    });
    run.objects.push(...(read?.objects ?? []).map((line) => readLine(line, sink)));
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble.state === 'cancelled') throw error;
    const lines = summariesIn(error);
    const told = { code: trouble.code, message: trouble.message };
    run.objects.push(
      ...(lines.length > 0 ? lines : objects.map((object) => ({ ...unmoved(object, 'failed'), ...told }))),
    );
  }
}

/** Its counts are those of the main warehouse, which mostly had these rows. */
function readLine(line: ObjectSummary, sink: string): ObjectSummary {
  if (line.state !== 'landed' || line.code !== undefined) return line;
  const message = `read again for ${sink}; what was new and changed is counted in the main warehouse`;
  return { ...line, code: 'NOTE', message };
}

async function deliver(run: RunSummary, input: MigrateInput): Promise<void> {
  const { connection, sink, allowShrink, tuning } = input;
  setCurrentDetails(
    deliveryReport(run, sink, `step 2 of 3: what is staged lands, by \`deliver/${connection}/${sink}\``),
  );
  const { landed, trouble } = await deliverNow(connection, sink, { deadlineMs: null, allowShrink, tuning });
  run.objects.push(...landed);
  if (trouble !== null) run.behind = [trouble];
}

/** Golden tables as they are, the event log, and the versions of before this warehouse was there. */
async function publish(calls: Calls, run: RunSummary, sink: string): Promise<void> {
  const { connection } = run;
  setCurrentDetails(deliveryReport(run, sink, 'step 3 of 3: profiles and their history'));
  try {
    await calls.publish(`publish profiles and their history to ${sink}`, { connection, historyTo: sink });
  } catch (error) {
    const { code, message, state } = troubleOf(error);
    if (state === 'cancelled') throw error;
    run.behind ??= [{ sink, code, message }];
  }
}

function endText({ run, left }: MigrationResult): string {
  if (left.length === 0) return 'it has everything that is proven';
  return `${run?.outcome ?? ''}: it still lacks ${left.join(', ')}; asked for again it goes on`;
}

function end(run: RunSummary, plan: MigrationPlan, after: MigrationPlan, dryRun: boolean): MigrationResult {
  const left = lackingOf(after);
  if (!dryRun) {
    if (left.length === 0) delete run.behind;
    else
      run.behind ??= [
        {
          sink: plan.sink,
          code: 'WINDOW_IN_PROGRESS',
          message: `${plan.sink} still lacks ${left.join(', ')}`,
        },
      ];
    run.outcome = outcomeOf(run);
    run.endedAt = new Date().toISOString();
  }
  upsertSearchAttributes([
    { key: OUTCOME, value: dryRun ? 'ok' : run.outcome },
    { key: PHASE, value: 'done' },
  ]);
  return { plan, run: dryRun ? null : run, left };
}
