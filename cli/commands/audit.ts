import { foundWords, passWords } from '../../rules/audit-report.ts';
import { countOf, formatCount, named } from '../../rules/report.ts';
import { auditRunSchema, type AuditRun } from '../../schemas/audit.ts';
import { checkObjects, oneConnection } from '../chosen.ts';
import { MANY, type Call, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { runAttributes } from '../search-attributes.ts';
import { withTemporal, workflowUrl } from '../temporal-client.ts';
import { failureOf, watchWorkflow, type Ended } from '../watch.ts';

const RECORDS_SHOWN_MAX = 20;

export const audit: Command = {
  name: 'audit',
  summary: 'Compare the warehouse and the profiles with the source now, and repair what differs',
  usage: '[connection] [object…]',
  example: 'audit salesforce Contact --dry-run',
  about: `The schedule does the same by itself. Records are named by id, their values never.\nEnds with ${EXIT.partial} when something differs that was not repaired.`,
  options: { 'dry-run': { type: 'boolean', help: 'Only tell what differs' } },
  arguments: { min: 0, max: MANY },
  async run(call) {
    const loaded = await call.load();
    const [name, ...objects] = call.arguments;
    const configured = oneConnection(loaded.config, name);
    checkObjects(configured, objects);
    const connection = configured.name;
    const ended = await withTemporal(loaded, call.environment, async ({ client, taskQueue, target }) => {
      const handle = await client.workflow.start('audit', {
        workflowId: `audit/${connection}/now`,
        taskQueue,
        workflowIdConflictPolicy: 'USE_EXISTING',
        staticSummary: `${connection} · audit by hand`,
        typedSearchAttributes: runAttributes(connection, 'manual'),
        args: [
          {
            connection,
            trigger: 'manual',
            ...(objects.length > 0 ? { objects } : {}),
            ...(call.options.flag('dry-run') ? { repair: false } : {}),
          },
        ],
      });
      const url = workflowUrl(target, handle.workflowId);
      if (url !== undefined) call.output.note(url);
      return watchWorkflow(handle, {
        signal: call.signal,
        output: call.output,
        onProgress: (progress) => {
          const run = auditRunSchema.safeParse(progress).data;
          if (run)
            call.output.progress([`${connection}: ${countOf(run.objects.length, 'object')} compared …`]);
        },
      });
    });
    return tell(call, ended);
  },
};

function tell(call: Call, ended: Ended): number {
  if (ended.kind === 'detached') return EXIT.interrupted;
  if (ended.kind === 'cancelled') {
    call.output.note('The audit was cancelled; the next one goes on.');
    return EXIT.failed;
  }
  const told = ended.kind === 'result' ? ended.result : ended.details[0];
  const run = auditRunSchema.safeParse(told).data;
  if (run === undefined) {
    if (ended.kind === 'failed') throw failureOf(ended);
    return EXIT.failed;
  }
  if (call.json) call.output.json(run);
  else printAudit(call.output, run);
  return run.outcome === 'partial' ? EXIT.partial : EXIT.ok;
}

function printAudit(output: Output, run: AuditRun): void {
  output.table(
    [
      { title: 'object' },
      { title: 'found' },
      { title: 'repaired', align: 'right' },
      { title: 'left', align: 'right' },
      { title: 'rows', align: 'right' },
      { title: 'ids compared', align: 'right' },
      { title: 'values compared', align: 'right' },
      { title: 'last full pass (UTC)' },
    ],
    run.objects.map((line) => [
      line.object,
      foundWords(line.found),
      ...[line.repaired, line.left, line.rows, line.compared, line.sampled].map(formatCount),
      passWords(line),
    ]),
  );
  for (const { object, records } of run.objects) {
    for (const { record, kind, fields } of records.slice(0, RECORDS_SHOWN_MAX)) {
      const which = fields.length === 0 ? '' : ` in ${fields.join(', ')}`;
      output.line(`  ${object} ${record}: ${kind}${which}`);
    }
    if (records.length > RECORDS_SHOWN_MAX)
      output.line(`  … and ${records.length - RECORDS_SHOWN_MAX} more of ${object}; --json has them`);
  }
  for (const { object, code, message } of run.objects)
    if (message !== undefined)
      output.note(`${code === 'NOTE' ? '·' : '✗'} ${code ?? ''} ${named(object, message)}`);
  const found = run.objects.reduce((sum, line) => sum + line.repaired + line.left, 0);
  const left = run.objects.reduce((sum, line) => sum + line.left, 0);
  output.line(
    `${run.connection}: ${countOf(run.objects.length, 'object')} compared, ${countOf(found, 'record')} differed, ${formatCount(left)} not repaired`,
  );
}
