import type { AuditRun, DriftKind, ObjectAudit, ReplayRun } from '../schemas/audit.ts';
import { formatCount, formatInstant, row } from './report.ts';

/** Lines of a table in the Temporal UI. */
const LINES_MAX = 60;
/** Records that a table names. */
const RECORDS_MAX = 20;

const KIND_WORDS: Record<DriftKind, string> = {
  missing: 'missing',
  outdated: 'outdated',
  kept: 'deleted in the source',
  lost: 'wrongly deleted',
  altered: 'other values',
  unclaimed: 'not in profiles',
};
const KINDS = ['missing', 'outdated', 'kept', 'lost', 'altered', 'unclaimed'] as const;

/** `2 missing, 1 outdated`; `nothing`. */
export function foundWords(found: ObjectAudit['found']): string {
  const told = KINDS.flatMap((kind) => {
    const { [kind]: count = 0 } = found;
    return count > 0 ? [`${formatCount(count)} ${KIND_WORDS[kind]}`] : [];
  });
  return told.length === 0 ? 'nothing' : told.join(', ');
}

/** When every record was last compared; before that, how long a pass takes. */
export function passWords({ rotation }: Pick<ObjectAudit, 'rotation'>): string {
  if (rotation === null) return '–';
  const hours = rotation.periodMs / 3_600_000;
  const period = hours >= 48 ? `${Math.round(hours / 24)} d` : `${Math.max(1, Math.round(hours))} h`;
  return rotation.lastFullPass === null
    ? `first pass, one takes ${period}`
    : `${formatInstant(rotation.lastFullPass)}, one takes ${period}`;
}

/** The table of an audit as the Temporal UI shows it: names, counts and ids of records, never a value. */
export function auditReport(run: AuditRun, phase: string): string {
  const lines = run.objects.slice(0, LINES_MAX);
  const head = `**Audit of ${run.connection}** · ${phase} · ${run.objects.length} objects${run.later === undefined ? '' : ` · ${run.later} more in the next audits`}`;
  if (lines.length === 0) return head;
  const records = lines.flatMap((line) => line.records.map((one) => ({ ...one, object: line.object })));
  const troubles = lines.filter(({ message }) => message !== undefined);
  return [
    head,
    '',
    row(['object', 'found', 'repaired', 'left', 'rows', 'ids compared', 'values compared', 'last full pass']),
    '|---|---|--:|--:|--:|--:|--:|---|',
    ...lines.map((line) =>
      row([
        line.object,
        line.code === undefined || line.code === 'NOTE' ? foundWords(line.found) : `✗ ${line.code}`,
        formatCount(line.repaired),
        formatCount(line.left),
        formatCount(line.rows),
        formatCount(line.compared),
        formatCount(line.sampled),
        passWords(line),
      ]),
    ),
    ...troubles.map(({ object, code, message }) => `- **${object}** \`${code ?? 'NOTE'}\` ${message ?? ''}`),
    ...(records.length === 0 ? [] : ['', '**Records that differed**', '']),
    ...records
      .slice(0, RECORDS_MAX)
      .map(
        ({ object, record, kind, fields }) =>
          `- ${object} \`${record}\` ${KIND_WORDS[kind]}${fields.length === 0 ? '' : `: ${fields.slice(0, 5).join(', ')}`}`,
      ),
  ].join('\n');
}

export function replayReport(run: ReplayRun, phase: string): string {
  const head = `**Replay of ${run.connection}** · ${phase}${run.dryRun ? ' · a dry run, nothing is written' : ''}`;
  if (run.objects.length === 0) return head;
  const reasons = run.objects.flatMap(({ object, reasons: why }) => why.map((one) => ({ ...one, object })));
  return [
    head,
    '',
    row(['object', 'records', run.dryRun ? 'would land' : 'landed', 'gone in the source', 'still set aside']),
    '|---|--:|--:|--:|--:|',
    ...run.objects
      .slice(0, LINES_MAX)
      .map(({ object, records, landed, gone, left, code }) =>
        row([
          object,
          code === undefined ? formatCount(records) : `✗ ${code}`,
          ...[landed, gone, left].map(formatCount),
        ]),
      ),
    ...reasons
      .slice(0, RECORDS_MAX)
      .map(
        ({ object, field, reason, records }) => `- ${object} ${field}: ${reason} (${formatCount(records)})`,
      ),
  ].join('\n');
}
