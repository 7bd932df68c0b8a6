import { z } from 'zod';
import { sinkOf } from '../../config/connection-config.ts';
import { sinkName, warehouseNamed } from '../../config/warehouses.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { countOf, formatCalls, formatCount, lackingOf, PROFILES_WAY, wayWords } from '../../rules/report.ts';
import type { MigrateInput, MigrationPlan } from '../../schemas/migration.ts';
import { runSummarySchema } from '../../schemas/run.ts';
import { agreed } from '../approve.ts';
import { checkObjects, oneConnection, wholeNumber } from '../chosen.ts';
import { MANY, type Call, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { followRun } from '../follow.ts';
import { failureOf, watchWorkflow } from '../watch.ts';
import { withTemporal, workflowUrl, type TemporalClient } from '../temporal-client.ts';

const planSchema = z.object({
  connection: z.string(),
  sink: z.string(),
  objects: z.array(
    z.object({
      object: z.string(),
      way: z.enum(['level', 'stage', 'read', 'no first load']),
      stagedWindows: z.number(),
      stagedRows: z.number(),
      readRows: z.number().nullable(),
    }),
  ),
  golden: z.enum(['level', 'behind']).optional(),
  calls: z.number(),
  quota: z.object({ used: z.number(), limit: z.number() }).nullable(),
});
const resultSchema = z.object({
  plan: planSchema,
  run: runSummarySchema.nullable(),
  left: z.array(z.string()),
});

export const migrate: Command = {
  name: 'migrate',
  summary: 'Bring a warehouse that was added up to everything that is proven',
  usage: '[connection] [object…] --to <warehouse>',
  example: 'migrate salesforce --to lake --dry-run',
  about: `What the stage still holds is landed from there; the rest is read again, with the calls of a backfill.\nShows what it takes, asks, then does it; asked for again it goes on. Ends with ${EXIT.failed} while something is missing.`,
  options: {
    to: { type: 'string', value: '<warehouse>', help: 'Its name in `warehouses` of the configuration' },
    'dry-run': { type: 'boolean', help: 'Only show what it takes' },
    yes: { type: 'boolean', help: 'Go on without asking' },
    'max-active': { type: 'string', value: '<n>', help: 'Objects that are read at once, 1 to 16; default 2' },
    'allow-shrink': { type: 'boolean', help: 'Accept that the warehouse loses far more rows than usual' },
    detach: { type: 'boolean', help: 'Start it and return at once' },
  },
  arguments: { min: 0, max: MANY },
  async run(call) {
    const loaded = await call.load();
    const [name, ...objects] = call.arguments;
    const connection = oneConnection(loaded.config, name);
    checkObjects(connection, objects);
    const to = call.options.text('to');
    if (to === undefined) {
      throw new HeadwaterError('INPUT_INVALID', 'migrate needs a warehouse', {
        remedy: 'Name it in `warehouses` of headwater.config.ts, restart the worker and write --to <name>.',
      });
    }
    const sink = sinkName(warehouseNamed(loaded.config, to));
    const input: MigrateInput = {
      ...{ connection: connection.name, sink },
      ...(objects.length > 0 ? { objects } : {}),
      maxActive: wholeNumber('--max-active', call.options.text('max-active'), { min: 1, max: 16, or: 2 }),
      ...(call.options.flag('allow-shrink') ? { allowShrink: true } : {}),
    };
    const isMain = sink === sinkOf(loaded.config);
    return withTemporal(loaded, call.environment, (temporal) => run(call, temporal, input, isMain));
  },
};

async function run(
  call: Call,
  temporal: TemporalClient,
  input: MigrateInput,
  isMain: boolean,
): Promise<number> {
  const dryRun = call.options.flag('dry-run');
  if (dryRun || !call.options.flag('yes')) {
    const plan = await preview(call, temporal, input);
    if (plan === null) return EXIT.interrupted;
    if (call.json && dryRun) call.output.json({ plan, run: null, left: lackingOf(plan) });
    else if (!call.json) print(call, plan, isMain);
    if (dryRun) return EXIT.ok;
    if (lackingOf(plan).length === 0) {
      if (call.json) call.output.json({ plan, run: null, left: [] });
      return EXIT.ok;
    }
    if (!(await agreed(call, `Bring ${input.sink} up to date?`))) return EXIT.failed;
  }
  const handle = await begin(temporal, input, '');
  const url = workflowUrl(temporal.target, handle.workflowId);
  if (url !== undefined) call.output.note(url);
  if (call.options.flag('detach')) {
    if (call.json) call.output.json({ workflowId: handle.workflowId });
    return EXIT.ok;
  }
  let left: string[] = [];
  const code = await followRun(call, handle, {
    noun: 'migration',
    afterCancel: 'asking for it again goes on with what is missing',
    runOf: (result) => {
      const parsed = resultSchema.safeParse(result).data;
      left = parsed?.left ?? [];
      return parsed?.run;
    },
  });
  if (left.length === 0) {
    if (code === EXIT.ok && !call.json) printLevel(call, input.sink, isMain);
    return code;
  }
  call.output.note(`${input.sink} still lacks ${left.join(', ')}; asking for it again goes on.`);
  return code === EXIT.ok ? EXIT.failed : code;
}

/** Null: the operator stopped waiting for it. */
async function preview(
  call: Call,
  temporal: TemporalClient,
  input: MigrateInput,
): Promise<MigrationPlan | null> {
  const handle = await begin(temporal, { ...input, dryRun: true }, '/preview');
  const { signal, output } = call;
  const ended = await watchWorkflow(handle, { signal, output, onProgress: () => {} });
  if (ended.kind === 'failed') throw failureOf(ended);
  if (ended.kind === 'result') return resultSchema.parse(ended.result).plan;
  if (ended.kind === 'cancelled') return null;
  await handle.cancel();
  output.note('The preview was cancelled; nothing was moved.');
  return null;
}

function begin({ client, taskQueue }: TemporalClient, input: MigrateInput, more: string) {
  const { connection, sink } = input;
  return client.workflow.start('migrate', {
    workflowId: `migrate/${connection}/${sink}${more}`,
    taskQueue,
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `${connection} to ${sink}${more === '' ? '' : ', preview'}`,
    staticDetails:
      `Brings **${sink}** to everything that is proven of \`${connection}\`: what the stage no longer holds is read again, then ` +
      'what is staged lands, then profiles. A last look proves that nothing is missing. Asked for again, it goes on.',
    args: [input],
  });
}

function print(call: Call, plan: MigrationPlan, isMain: boolean): void {
  call.output.table(
    [
      { title: 'object' },
      { title: 'how' },
      { title: 'staged windows', align: 'right' },
      { title: 'staged rows', align: 'right' },
      { title: 'rows to read', align: 'right' },
    ],
    [
      ...plan.objects.map((one) => [
        one.object,
        wayWords(one),
        formatCount(one.stagedWindows),
        formatCount(one.stagedRows),
        one.way !== 'read' ? '–' : one.readRows === null ? 'unknown' : formatCount(one.readRows),
      ]),
      ...(plan.golden === 'behind' ? [['profiles', PROFILES_WAY, '–', '–', '–']] : []),
    ],
  );
  const lacking = lackingOf(plan).length;
  const objects = lackingOf({ ...plan, golden: 'level' }).length;
  const what = [
    ...(objects > 0 ? [`windows of ${countOf(objects, 'object')}`] : []),
    ...(plan.golden === 'behind' ? ['profiles'] : []),
  ];
  const reads = plan.objects.filter(({ way }) => way === 'read').length;
  const price =
    reads === 0
      ? 'Nothing has to be read again.'
      : `${countOf(reads, 'object')} to read again: ${formatCalls(plan.calls, plan.quota)}.`;
  if (lacking === 0) return printLevel(call, plan.sink, isMain);
  call.output.line(`${plan.sink} lacks ${what.join(' and ')}. ${price}`);
}

function printLevel({ output }: Call, sink: string, isMain: boolean): void {
  output.line(`${sink} has everything that is proven.`);
  if (!isMain) output.line('To make it the main one, name it first in `warehouses` and restart the worker.');
}
