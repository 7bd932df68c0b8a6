import type { Verdict } from '../schemas/receipt.ts';
import type { ObjectSummary, Outcome, RunSummary, SinkTrouble } from '../schemas/run.ts';
import { withNames } from '../rules/errors.ts';
import { countOf, formatCount, formatWindow, named } from '../rules/report.ts';
import { tableLines, type Column, type Output } from './output.ts';

const VERDICT_WORDS: Record<Verdict, string> = {
  proven: '✓ proven',
  moved: '✓ proven, some moved',
  'transport-only': '○ transport only',
  accepted: '! accepted by hand',
  failed: '✗ failed',
};

const STATE_WORDS: Record<ObjectSummary['state'], string> = {
  idle: '✓ nothing changed',
  current: '✓ up to date',
  landed: '✓ landed',
  staged: '… staged, warehouse behind',
  failed: '✗ failed',
  deferred: '… deferred',
  'in-progress': '… in progress',
  cancelled: '✗ cancelled',
};

const OUTCOME_STYLE: Record<Outcome, Parameters<Output['style']>[0]> = {
  ok: 'green',
  partial: 'yellow',
  failed: 'red',
  behind: 'yellow',
  deferred: 'yellow',
  cancelled: 'yellow',
};

export function verdictWords(verdict: Verdict): string {
  return VERDICT_WORDS[verdict];
}

/** `ok`, `behind: lake`. */
export function outcomeWords(output: Output, outcome: Outcome, behind: readonly SinkTrouble[] = []): string {
  const sinks = behind.length === 0 ? '' : `: ${behind.map(({ sink }) => sink).join(', ')}`;
  return output.style(OUTCOME_STYLE[outcome], `${outcome}${sinks}`);
}

/** `42 s`, `3 min`, `2 h 5 min`, `4 d`: for people, never for arithmetic. */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d`;
}

export const RUN_COLUMNS: Column[] = [
  { title: 'object' },
  { title: 'rows', align: 'right' },
  { title: 'new', align: 'right' },
  { title: 'changed', align: 'right' },
  { title: 'deleted', align: 'right' },
  { title: 'quarantined', align: 'right' },
  { title: 'window (UTC)' },
  { title: 'seconds', align: 'right' },
  { title: 'receipt' },
];

export function runRow(line: ObjectSummary): string[] {
  return [
    line.object,
    formatCount(line.rows),
    formatCount(line.inserted),
    formatCount(line.updated),
    formatCount(line.deleted),
    formatCount(line.quarantined),
    formatWindow(line.from, line.until),
    line.seconds.toFixed(1),
    line.verdict === null ? stateWords(line) : VERDICT_WORDS[line.verdict],
  ];
}

/** What is no failure needs no line of its own: `paused`, `in progress: <workflow>`. */
function stateWords({ state, code, message }: ObjectSummary): string {
  if (code) return `${STATE_WORDS[state]} ${code}`;
  return message === undefined ? STATE_WORDS[state] : `… ${message}`;
}

/** A run that is going: what has ended so far. */
export function progressLines(run: RunSummary): string[] {
  const table = run.objects.length === 0 ? [] : tableLines(RUN_COLUMNS, run.objects.map(runRow));
  const since = ago(Date.now() - Date.parse(run.startedAt));
  return [...table, `${run.connection}: ${run.objects.length} objects done, ${since} …`];
}

/** `✗ CODE Object: what → remedy`; what goes on by itself, and a note on what has landed, have no cross. */
export function failureLine(
  connection: string,
  { object, state, code, message = '' }: Pick<ObjectSummary, 'object' | 'state' | 'code' | 'message'>,
): string {
  const told = withNames(named(object, message), { connection, object });
  const mark = state === 'failed' ? '✗' : state === 'landed' || state === 'current' ? '·' : '…';
  return `${mark} ${code ?? state} ${told}`;
}

/** One line per object that did not land, on stderr. */
export function printFailures(output: Output, run: RunSummary): void {
  for (const line of run.objects)
    if (line.code && line.message !== undefined) output.note(failureLine(run.connection, line));
}

/** The table of one run and the line under it. */
export function printRun(output: Output, run: RunSummary): void {
  if (run.objects.length > 0) output.table(RUN_COLUMNS, run.objects.map(runRow));
  printFailures(output, run);
  for (const { sink, code, message } of run.behind ?? [])
    output.note(`… ${code} ${named(sink, message)} → It gets what it lacks from the stage, by itself.`);
  const objects = new Set(run.objects.map((line) => line.object)).size;
  const rows = run.objects.reduce((sum, line) => sum + line.rows, 0);
  const took = run.endedAt === null ? '' : ` in ${ago(Date.parse(run.endedAt) - Date.parse(run.startedAt))}`;
  const idle = run.idle > 0 ? `, ${run.idle} idle` : '';
  output.line(
    `${run.connection}: ${outcomeWords(output, run.outcome)}, ${countOf(objects, 'object')}${idle}, ${formatCount(rows)} rows${took}`,
  );
}
