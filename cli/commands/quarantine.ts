import { replayRunSchema, type ReplayRun } from '../../schemas/audit.ts';
import { countOf, formatCount, named } from '../../rules/report.ts';
import { oneConnection, oneOf, wholeNumber } from '../chosen.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { runAttributes } from '../search-attributes.ts';
import { withTemporal, workflowUrl } from '../temporal-client.ts';
import { query } from '../warehouse.ts';
import { failureOf, watchWorkflow } from '../watch.ts';
import { printAnswer } from './sql.ts';

const ROWS_MAX = 10_000;

export const quarantine: Command = {
  name: 'quarantine',
  summary: 'Rows that were set aside, and why; replay them after a fix',
  usage: 'list|replay [connection] [object]',
  example: 'quarantine replay salesforce Contact --dry-run',
  about: `Record and field are shown; --values adds what the source sent, which is real customer data.\n\`replay\` reads the records by id and lands those that fit now; what still does not stays, with its\nnew reason, and the command ends with ${EXIT.partial}.`,
  options: {
    values: { type: 'boolean', help: 'list: also the value that did not fit' },
    all: { type: 'boolean', help: 'list: also what a replay has resolved' },
    limit: { type: 'string', value: '<n>', help: 'list: newest rows to show; default 50' },
    'dry-run': { type: 'boolean', help: 'replay: read and judge, write nothing' },
  },
  arguments: { min: 1, max: 3 },
  async run(call) {
    const action = oneOf('quarantine', call.arguments[0] ?? '', ['list', 'replay']);
    return action === 'replay' ? replay(call) : list(call);
  },
};

async function list(call: Call): Promise<number> {
  const [, name, object] = call.arguments;
  const loaded = await call.load();
  const connection = oneConnection(loaded.config, name).name;
  const limit = wholeNumber('--limit', call.options.text('limit'), { min: 1, max: ROWS_MAX, or: 50 });
  const all = call.options.flag('all');
  const columns = [
    'quarantined_at',
    'object',
    'record',
    'field',
    'reason',
    ...(all ? ['resolved_at'] : []),
    ...(call.options.flag('values') ? ['value'] : []),
  ];
  const conditions = [
    `connection = ${literal(connection)}`,
    ...(all ? [] : ['resolved_at IS NULL']),
    ...(object === undefined ? [] : [`object = ${literal(object)}`]),
  ];
  const statement = `SELECT ${columns.join(', ')} FROM _headwater.quarantine WHERE ${conditions.join(' AND ')} ORDER BY quarantined_at DESC LIMIT ${limit}`;
  const answer = await query(loaded, statement, limit);
  if (call.json) call.output.json(answer);
  else if (answer.rows.length === 0) call.output.line('Nothing is quarantined.');
  else printAnswer(call, answer);
  return EXIT.ok;
}

async function replay(call: Call): Promise<number> {
  const [, name, object] = call.arguments;
  const loaded = await call.load();
  const connection = oneConnection(loaded.config, name).name;
  const dryRun = call.options.flag('dry-run');
  const ended = await withTemporal(loaded, call.environment, async ({ client, taskQueue, target }) => {
    const handle = await client.workflow.start('replay', {
      workflowId: `replay/${connection}${object === undefined ? '' : `/${object}`}${dryRun ? '/dry-run' : ''}`,
      taskQueue,
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `${connection} · replay of quarantined records`,
      typedSearchAttributes: runAttributes(connection, 'manual'),
      args: [{ connection, dryRun, ...(object === undefined ? {} : { object }) }],
    });
    const url = workflowUrl(target, handle.workflowId);
    if (url !== undefined) call.output.note(url);
    return watchWorkflow(handle, { signal: call.signal, output: call.output, onProgress: () => {} });
  });
  if (ended.kind === 'detached') return EXIT.interrupted;
  if (ended.kind === 'failed') throw failureOf(ended);
  const run = ended.kind === 'result' ? replayRunSchema.safeParse(ended.result).data : undefined;
  if (run === undefined) return EXIT.failed;
  if (call.json) call.output.json(run);
  else print(call.output, run);
  return run.objects.some(({ left }) => left > 0) ? EXIT.partial : EXIT.ok;
}

function print(output: Output, run: ReplayRun): void {
  if (run.objects.length === 0) {
    output.line('Nothing is quarantined.');
    return;
  }
  output.table(
    [
      { title: 'object' },
      { title: 'records', align: 'right' },
      { title: run.dryRun ? 'would land' : 'landed', align: 'right' },
      { title: 'gone in the source', align: 'right' },
      { title: 'still set aside', align: 'right' },
    ],
    run.objects.map(({ object, records, landed, gone, left }) => [
      object,
      ...[records, landed, gone, left].map(formatCount),
    ]),
  );
  for (const { object, reasons, code, message } of run.objects) {
    if (message !== undefined) output.note(`✗ ${code ?? ''} ${named(object, message)}`);
    for (const { field, reason, records } of reasons)
      output.line(`  ${object} ${field}: ${reason} (${countOf(records, 'record')})`);
  }
  if (run.dryRun) output.line('A dry run: nothing was written.');
}

/** A text in a statement: in single quotes, its own doubled; nothing else ends it in standard SQL. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
