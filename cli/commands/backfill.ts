import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import { countOf, formatCalls, formatCount, formatInstant, formatWindow } from '../../rules/report.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import { BEGINNING, backfillInputSchema, type BackfillRequest } from '../../schemas/inputs.ts';
import { runSummarySchema } from '../../schemas/run.ts';
import { checkObjects, oneConnection, oneOf, wholeNumber } from '../chosen.ts';
import { MANY, type Call, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { followRun } from '../follow.ts';
import { withTemporal, workflowUrl, type TemporalClient } from '../temporal-client.ts';

const HASH_CHARACTERS = 12;

const cellsSchema = z.object({
  missing: z.number(),
  covered: z.number(),
  failed: z.number(),
  open: z.number(),
});
const resultSchema = z.object({
  plan: z.object({
    connection: z.string(),
    from: z.string(),
    to: z.string(),
    windows: z.array(z.unknown()),
    objects: z.array(
      z.object({ object: z.string(), cells: cellsSchema, rowsEstimate: z.number().nullable() }),
    ),
    calls: z.number(),
    quota: z.object({ used: z.number(), limit: z.number() }).nullable().default(null),
    dryRun: z.boolean(),
  }),
  run: runSummarySchema.nullable(),
});
type BackfillPlan = z.infer<typeof resultSchema>['plan'];

export const backfill: Command = {
  name: 'backfill',
  summary: 'Read a past range again, or what is missing of it',
  usage: '[connection] [object…] --from <time> [--to <time>] | --fields <names>',
  example: 'backfill salesforce Contact --from 2026-11-01 --to 2026-11-08 --dry-run',
  about: 'A past window lands the current values of the rows whose last change lies in it. Times are UTC.',
  options: {
    from: {
      type: 'string',
      value: '<time>',
      help: `Start of the range, included; '${BEGINNING}' reads everything again`,
    },
    to: { type: 'string', value: '<time>', help: 'End of the range, excluded; default now' },
    reprocess: { type: 'string', value: '<what>', help: 'missing, failed or all; default missing' },
    fields: {
      type: 'string',
      value: '<names>',
      help: 'Only these fields, of all records: Score__c,Greeting__c; Id alone compares ids',
    },
    'max-active': { type: 'string', value: '<n>', help: 'Windows at once, 1 to 16; default 2' },
    'newest-first': { type: 'boolean', help: 'Begin at the end of the range' },
    'dry-run': { type: 'boolean', help: 'Show intervals, windows, rows and calls, and change nothing' },
    'allow-shrink': { type: 'boolean', help: 'Accept that the source suddenly has far fewer rows' },
    detach: { type: 'boolean', help: 'Start it and return at once' },
  },
  arguments: { min: 0, max: MANY },
  async run(call) {
    const loaded = await call.load();
    const [name, ...objects] = call.arguments;
    const connection = oneConnection(loaded.config, name);
    checkObjects(connection, objects);
    const request = requestOf(call, connection.name, objects);
    const workflowId = backfillId(request);
    call.output.note('As a Temporal command:');
    call.output.note(startCommand(workflowId, loaded.config.temporal.taskQueue, request));
    return withTemporal(loaded, call.environment, (temporal) => start(call, temporal, workflowId, request));
  },
};

function requestOf(call: Call, connection: string, objects: string[]): BackfillRequest {
  const { options } = call;
  const fields = options
    .text('fields')
    ?.split(',')
    .map((name) => name.trim());
  const from = options.text('from') ?? (fields === undefined ? undefined : BEGINNING);
  if (from === undefined) {
    throw new HeadwaterError('INPUT_INVALID', 'a backfill needs a range', {
      remedy: 'Write --from 2026-11-01.',
    });
  }
  const parsed = backfillInputSchema.safeParse({
    connection,
    ...(objects.length > 0 ? { objects } : {}),
    from: from === BEGINNING ? ORIGIN : instantOf('--from', from),
    to: instantOf('--to', options.text('to') ?? new Date().toISOString()),
    reprocess: oneOf('--reprocess', options.text('reprocess') ?? 'missing', ['missing', 'failed', 'all']),
    maxActive: wholeNumber('--max-active', options.text('max-active'), { min: 1, max: 16, or: 2 }),
    newestFirst: options.flag('newest-first'),
    ...(fields === undefined ? {} : { fields }),
    dryRun: options.flag('dry-run'),
    ...(options.flag('allow-shrink') ? { allowShrink: true } : {}),
  });
  if (parsed.success && parsed.data.from < parsed.data.to) return parsed.data;
  const namesMissing = fields?.some((field) => field === '') === true;
  throw new HeadwaterError('INPUT_INVALID', namesMissing ? '--fields needs names' : 'the range is empty', {
    remedy: namesMissing ? 'Write --fields Score__c,Greeting__c.' : 'Write a --to that is after --from.',
  });
}

/** A time as people type it, UTC when it names no zone. */
export function instantOf(what: string, text: string): string {
  const zoned = /([zZ]|[+-]\d\d:?\d\d)$/.test(text) || /^\d{4}-\d\d-\d\d$/.test(text) ? text : `${text}Z`;
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(zoned) : Number.NaN;
  if (!Number.isNaN(ms)) return new Date(ms).toISOString();
  throw new HeadwaterError('INPUT_INVALID', `${what} cannot be ${JSON.stringify(text)}`, {
    remedy: 'Write a UTC time such as 2026-11-01 or 2026-11-01T08:00.',
  });
}

/** The same request has the same id, so asking twice shows the one that runs. */
export function backfillId(request: BackfillRequest): string {
  const canonical = JSON.stringify(
    Object.entries(request).toSorted(([left], [right]) => (left < right ? -1 : 1)),
  );
  return `backfill/${request.connection}/${createHash('sha256').update(canonical).digest('hex').slice(0, HASH_CHARACTERS)}`;
}

function startCommand(workflowId: string, taskQueue: string, request: BackfillRequest): string {
  const input = JSON.stringify(request).replaceAll("'", String.raw`'\''`);
  return `npx headwater temporal workflow start --type backfill --task-queue ${taskQueue} --workflow-id ${workflowId} --input '${input}'`;
}

async function start(
  call: Call,
  temporal: TemporalClient,
  workflowId: string,
  request: BackfillRequest,
): Promise<number> {
  const handle = await temporal.client.workflow.start('backfill', {
    workflowId,
    taskQueue: temporal.taskQueue,
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `${request.connection}: backfill ${formatWindow(request.from, request.to)}${request.dryRun ? ', dry run' : ''}`,
    args: [request],
  });
  const url = workflowUrl(temporal.target, workflowId);
  if (url !== undefined) call.output.note(url);
  if (call.options.flag('detach')) {
    if (call.json) call.output.json({ workflowId });
    return EXIT.ok;
  }
  return followRun(call, handle, {
    noun: 'backfill',
    afterCancel: 'asking for the same range continues it',
    runOf: (result) => resultSchema.safeParse(result).data?.run,
    before: (result) => printPlan(call, resultSchema.parse(result).plan),
  });
}

function printPlan({ output }: Call, plan: BackfillPlan): void {
  output.table(
    [
      { title: 'object' },
      { title: 'missing', align: 'right' },
      { title: 'covered', align: 'right' },
      { title: 'failed', align: 'right' },
      { title: 'open', align: 'right' },
      { title: 'rows to read', align: 'right' },
    ],
    plan.objects.map(({ object, cells, rowsEstimate }) => [
      object,
      ...[cells.missing, cells.covered, cells.failed, cells.open].map(formatCount),
      rowsEstimate === null ? 'unknown' : formatCount(rowsEstimate),
    ]),
  );
  output.line(
    `${formatInstant(plan.from)} → ${formatInstant(plan.to)} UTC: ${countOf(plan.windows.length, 'window')}, ${formatCalls(plan.calls, plan.quota)}${plan.dryRun ? '; a dry run, nothing was read' : ''}`,
  );
}
