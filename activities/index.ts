// All activities of the worker; the order of the files is the order of the steps.
import { Context } from '@temporalio/activity';
import { withNames } from '../rules/errors.ts';
import { runOutcome } from '../rules/outcome.ts';
import { fromMs } from '../rules/time.ts';
import type { ObjectSummary, RunSummary } from '../schemas/run.ts';
import { backfillInputSchema, syncConnectionInputSchema } from '../schemas/inputs.ts';
import { auditSteps } from './audit-steps.ts';
import { openSources } from './connections.ts';
import { copiesOf, forSink } from './copies.ts';
import type { Dependencies } from './dependencies.ts';
import { eraseSteps } from './erase-steps.ts';
import { step } from './failure.ts';
import { beginRun, finishRun } from './finish.ts';
import { inboxSteps } from './inbox-steps.ts';
import { notifySteps } from './notify.ts';
import { writeBackSteps } from './write-back-steps.ts';
import { checkInput } from './input.ts';
import { namesOf } from './names.ts';
import { createSteps, type Steps } from './move-slice.ts';
import { sweeper } from './sweep.ts';
import { publishAsked, type PublishInput } from './publish-history.ts';
import { reconcile, reconcileOwed, type ReconcileInput } from './reconcile.ts';
import { stewardSteps } from './steward-steps.ts';
import { plan, undeliveredWindows, type PlanInput, type PlanOutput } from './plan.ts';
import type { BackfillPlan } from '../schemas/backfill.ts';
import { migrateInputSchema } from '../schemas/migration.ts';
import { planMigration } from './plan-migration.ts';
import { planBackfill, type PlanBackfillInput } from './plan-backfill.ts';

/** The first plan activity of a run also opens its record, and closes it when nothing is left to do: an idle run costs one activity. */
export interface RunPlanInput extends PlanInput {
  /** What was started, as given: checked here, because workflow code cannot. */
  given: unknown;
  startedAt: string;
  /** True inside a backfill, which keeps the record of the run itself. */
  part?: boolean;
}
export interface RunPlanOutput extends PlanOutput {
  /** Set when the run is over: nothing to move. */
  closed: RunSummary | null;
  /** Reconcile and publish follow once the windows have landed. */
  profiles?: true;
}

export function createActivities(dependencies: Dependencies) {
  const sources = openSources(dependencies);
  const steps = createSteps(dependencies, sources);
  const failing = { log: dependencies.log, namesOf: (input: unknown) => namesOf(dependencies.ledger, input) };
  const sweep = sweeper(dependencies);
  return {
    plan: step(failing, 'plan', async (input: RunPlanInput): Promise<RunPlanOutput> => {
      checkInput(syncConnectionInputSchema, input.given);
      const run = newRun(input);
      const alone = input.part !== true;
      if (alone && input.offset === 0) await beginRun(dependencies, run);
      const found = await plan(dependencies, sources, input);
      const planned = { ...found, settled: found.settled.map((line) => named(input.connection, line)) };
      const owed = alone && (await reconcileOwed(dependencies, input.connection));
      const profiles = dependencies.profiles !== undefined && (owed || planned.windows.length > 0);
      const over =
        planned.resync === undefined &&
        alone &&
        input.offset === 0 &&
        planned.next === null &&
        planned.windows.length === 0 &&
        planned.deliver === undefined &&
        planned.troubles === undefined &&
        !owed;
      if (!over) return { ...planned, closed: null, ...(profiles ? { profiles } : {}) };
      const closed: RunSummary = {
        ...run,
        idle: planned.idle,
        objects: planned.settled,
        outcome: runOutcome(planned.settled, planned.idle),
        endedAt: fromMs(dependencies.now()),
      };
      await finishRun(dependencies, closed);
      await sweep();
      return { ...planned, closed };
    }),
    moveSlice: step(failing, 'move', (input: StepInput<'moveSlice'>) => steps.moveSlice(input)),
    extract: step(failing, 'extract', (input: StepInput<'extract'>) => steps.extract(input)),
    shape: step(failing, 'shape', (input: StepInput<'shape'>) => steps.shape(input)),
    load: step(failing, 'load', (input: StepInput<'load'>) => steps.load(input)),
    commit: step(failing, 'commit', (input: StepInput<'commit'>) => steps.commit(input)),
    reconcile: step(failing, 'reconcile', (input: ReconcileInput) =>
      dependencies.lanes('claims', () => reconcile(dependencies, input)),
    ),
    publish: step(failing, 'publish', (input: PublishInput) => publishAsked(dependencies, input)),
    ...stewardSteps(dependencies, failing),
    ...eraseSteps(dependencies, failing),
    ...auditSteps(dependencies, sources, failing),
    ...inboxSteps(dependencies, sources, failing),
    ...notifySteps(dependencies, failing),
    ...writeBackSteps(dependencies, sources, failing),
    finish: step(failing, 'finish', async (run: RunSummary) => {
      await finishRun(dependencies, run);
      await sweep();
    }),
    undelivered: step(
      failing,
      'undelivered',
      async ({ connection, sink }: { connection: string; sink?: string }) =>
        undeliveredWindows(await forSink(dependencies, sink), connection),
    ),
    planMigration: step(failing, 'plan migration', ({ given }: { given: unknown }) =>
      planMigration(dependencies, sources, checkInput(migrateInputSchema, given)),
    ),
    planBackfill: step(failing, 'plan backfill', async (input: PlanBackfillInput): Promise<BackfillPlan> => {
      const plan = await planBackfill(dependencies, sources, checkInput(backfillInputSchema, input.given));
      return { ...plan, ...whatFollows(dependencies) };
    }),
  };
}

/** After a backfill has moved its windows. */
function whatFollows(dependencies: Dependencies): Pick<BackfillPlan, 'profiles' | 'deliver'> {
  const deliver = copiesOf(dependencies).map(({ sink }) => sink);
  return {
    ...(dependencies.profiles === undefined ? {} : { profiles: true }),
    ...(deliver.length === 0 ? {} : { deliver }),
  };
}

/** A line's message ends with its remedy, which names this very object. */
function named(connection: string, line: ObjectSummary): ObjectSummary {
  const { object, message } = line;
  return message === undefined ? line : { ...line, message: withNames(message, { connection, object }) };
}

type StepInput<Name extends keyof Steps> = Parameters<Steps[Name]>[0];

export type Activities = ReturnType<typeof createActivities>;

function newRun(input: PlanInput & { startedAt: string }): RunSummary {
  const { workflowExecution } = Context.current().info;
  return {
    connection: input.connection,
    workflowId: workflowExecution?.workflowId ?? '',
    runId: workflowExecution?.runId ?? '',
    trigger: input.trigger,
    outcome: 'ok',
    startedAt: input.startedAt,
    endedAt: null,
    idle: 0,
    objects: [],
  };
}
