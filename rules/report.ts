import type { Instant } from '../schemas/instant.ts';
import type { BackfillPlan } from '../schemas/backfill.ts';
import type { ErasurePreview } from '../schemas/erasure.ts';
import type { MigrationObject, MigrationPlan } from '../schemas/migration.ts';
import type { GoldenSummary, ObjectSummary, RunSummary, SinkTrouble } from '../schemas/run.ts';
import { ORIGIN } from './time.ts';

/** Lines of a table in the Temporal UI; more objects than this are summed up in one line. */
const LINES_MAX = 60;
/** Objects that a sentence names. */
const OBJECTS_NAMED_MAX = 10;

const VERDICT_TEXT: Record<string, string> = {
  proven: '✓ proven',
  moved: '✓ proven, some moved',
  'transport-only': '○ transport only',
  accepted: '! accepted by hand',
  failed: '✗ failed',
};

/** `1 value`, `2,000 values`. */
export function countOf(count: number, noun: string, nouns = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : nouns}`;
}

export function formatCount(count: number): string {
  return count.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** A moment for people: minutes, or seconds when it has any; `the beginning` for -inf. */
export function formatInstant(instant: Instant): string {
  if (instant === ORIGIN) return 'the beginning';
  const seconds = instant.slice(17, 19) === '00' ? 16 : 19;
  return `${instant.slice(0, 10)} ${instant.slice(11, seconds)}`;
}

export function formatWindow(from: Instant | null, until: Instant | null): string {
  if (from === null || until === null) return '–';
  const sameDay = from.slice(0, 10) === until.slice(0, 10);
  return `${formatInstant(from)} → ${sameDay ? formatInstant(until).slice(11) : formatInstant(until)}`;
}

/** Many messages begin with the object that they are about: beside its name that is said once. */
export function withoutName(object: string, message: string): string {
  return message.startsWith(`${object}: `) ? message.slice(object.length + 2) : message;
}

export function named(object: string, message: string): string {
  return `${object}: ${withoutName(object, message)}`;
}

/** The pane is narrow and its tables have no padding: texts must not wrap, and columns need air. */
function cell(text: string): string {
  return `\u00A0${text.replaceAll(' ', '\u00A0').replaceAll('-', '\u2011')}\u00A0`;
}

/** The day only where a window crosses midnight: `09:46:15 → 09:51:08`, `11-20 08:00 → 11-21 09:00`. */
function shortWindow(from: Instant | null, until: Instant | null): string {
  if (from === null || until === null) return '–';
  if (from === ORIGIN) return `until ${formatInstant(until).slice(5)}`;
  const start = from.slice(0, 10) === until.slice(0, 10) ? 11 : 5;
  return `${formatInstant(from).slice(start)} → ${formatInstant(until).slice(start)}`;
}

export function row(cells: string[]): string {
  return `|${cells.map(cell).join('|')}|`;
}

function objectLine(line: ObjectSummary): string {
  return row([
    line.object,
    line.verdict === null ? stateText(line) : (VERDICT_TEXT[line.verdict] ?? line.verdict),
    shortWindow(line.from, line.until),
    formatCount(line.rows),
    formatCount(line.inserted),
    formatCount(line.updated),
    formatCount(line.deleted),
    formatCount(line.quarantined),
    `${line.seconds.toFixed(1)} s`,
  ]);
}

function stateText(line: ObjectSummary): string {
  const icons = {
    idle: '✓ nothing changed',
    current: '✓ up to date',
    landed: '✓ landed',
    staged: '… staged, warehouse behind',
    failed: `✗ ${line.code ?? 'failed'}`,
    deferred: '… deferred',
    'in-progress': '… in progress',
    cancelled: '✗ cancelled',
  };
  return icons[line.state];
}

/** What became of the rows as customers: `**Profiles** · 120 new · 3 changed · 2 merged`. */
export function goldenLine(golden: GoldenSummary): string {
  const parts: [number, string][] = [
    [golden.created, 'new'],
    [golden.changed, 'changed'],
    [golden.merged, 'merged'],
    [golden.published, 'published'],
    [golden.quarantined, 'records set aside'],
    [golden.suppressed, 'suppressed'],
    [golden.reviews, 'to review'],
  ];
  const told = parts.filter(([count]) => count > 0).map(([count, what]) => `${formatCount(count)} ${what}`);
  return `**Profiles** · ${told.length === 0 ? 'nothing changed' : told.join(' · ')}`;
}

/** A warehouse that lacks windows. */
function behindLine({ sink, code, message }: SinkTrouble): string {
  return `- **${sink}** is behind: \`${code}\` ${withoutName(sink, message)}`;
}

/** The live table of a run as Markdown, as the Temporal UI shows it in current details. No personal value can be in it. */
export function runReport(run: RunSummary, phase: string): string {
  const counts = `**${run.connection}** · ${phase} · ${run.objects.length} with changes · ${run.idle} idle`;
  const head = run.message === undefined ? counts : `${counts}\n\n\`${run.code ?? ''}\` ${run.message}`;
  const behind = (run.behind ?? []).map(
    (trouble) =>
      `${behindLine(trouble)}. What it lacks lands by itself, by \`deliver/${run.connection}/${trouble.sink}\`.`,
  );
  return tableUnder(head, run, behind);
}

/** The same for windows on their way to one of several warehouses: what has landed so far. */
export function deliveryReport(run: RunSummary, sink: string, phase: string): string {
  const landed = run.objects.filter(({ state }) => state === 'landed');
  const rows = landed.reduce((sum, line) => sum + line.rows, 0);
  const far =
    landed.length === 0 ? '' : ` · ${countOf(landed.length, 'window')} with ${countOf(rows, 'row')}`;
  const head = `**${run.connection} → ${sink}** · ${phase}${far}`;
  return tableUnder(head, run, (run.behind ?? []).map(behindLine));
}

/** Under a delivery that waits: why, when it looks again (null: now), and what somebody may do. `lines`: what did not land, at least one. */
export function waitingText(
  connection: string,
  sink: string,
  lines: readonly ObjectSummary[],
  next: Instant | null,
): string {
  const [first] = lines;
  const code = first?.code ?? 'INTERNAL';
  const objects = [...new Set(lines.map(({ object }) => object))];
  const more = objects.length > OBJECTS_NAMED_MAX ? ` and ${objects.length - OBJECTS_NAMED_MAX} more` : '';
  const help =
    first?.state === 'failed'
      ? `\`npx headwater logs ${connection}\` has more.`
      : `Nothing is lost, and nobody has to wait for it. \`npx headwater check ${connection}\` tells whether ${sink} answers.`;
  return [
    `\`${code}\` ${named(first?.object ?? '', first?.message ?? '')}`,
    `${countOf(objects.length, 'object')} ${objects.length === 1 ? 'waits' : 'wait'}: ${objects.slice(0, OBJECTS_NAMED_MAX).join(', ')}${more}. ` +
      `${next === null ? 'It looks now' : `The next look is at ${formatInstant(next)} UTC, or with the next run`}. ${help}`,
    `Staged files are kept for 7 days unless the configuration says otherwise; what waited longer: \`npx headwater migrate ${connection} --to ${sink}\`.`,
  ].join('\n\n');
}

function tableUnder(head: string, run: RunSummary, behind: readonly string[]): string {
  const shown = run.objects.slice(0, LINES_MAX);
  if (shown.length === 0) return [head, ...(behind.length > 0 ? ['', ...behind] : [])].join('\n');
  const lines = [
    head,
    '',
    row(['object', 'receipt', 'window (UTC)', 'rows', 'new', 'changed', 'deleted', 'set aside', 'time']),
    '|---|---|---|--:|--:|--:|--:|--:|--:|',
    ...shown.map(objectLine),
  ];
  if (run.objects.length > shown.length)
    lines.push(row([`… ${run.objects.length - shown.length} more`, ...Array<string>(8).fill('')]));
  if (run.golden !== undefined) lines.push('', goldenLine(run.golden));
  const failures = run.objects.filter((line) => line.message !== undefined).slice(0, LINES_MAX);
  if (failures.length > 0)
    lines.push(
      '',
      ...failures.map(
        (line) =>
          `- **${line.object}** \`${line.code ?? line.state}\` ${withoutName(line.object, line.message ?? '')}`,
      ),
    );
  if (behind.length > 0) lines.push('', ...behind);
  return lines.join('\n');
}

/** `about 1,200 calls, 1.2 % of a day's`; without the share where the limit is unknown; `no calls`. */
export function formatCalls(calls: number, quota: { limit: number } | null): string {
  if (calls === 0) return 'no calls';
  const text = `about ${countOf(calls, 'call')}`;
  if (quota === null || quota.limit <= 0) return text;
  const percent = (calls / quota.limit) * 100;
  return `${text}, ${percent < 0.1 ? percent.toFixed(2) : percent.toFixed(1)} % of a day's`;
}

/** What the dry run of a backfill shows: intervals by state, windows, rows and calls. */
export function backfillReport(plan: BackfillPlan): string {
  const window = formatWindow(plan.from, plan.to);
  const lines = [
    `**Backfill of ${plan.connection}** · ${window} (UTC) · ${plan.windows.length} windows · ${formatCalls(plan.calls, plan.quota)}`,
    '',
    row(['object', 'missing', 'covered', 'failed', 'open', 'rows to read']),
    '|---|--:|--:|--:|--:|--:|',
    ...plan.objects.map(({ object, cells, rowsEstimate }) =>
      row([
        object,
        String(cells.missing),
        String(cells.covered),
        String(cells.failed),
        String(cells.open),
        rowsEstimate === null ? 'unknown' : formatCount(rowsEstimate),
      ]),
    ),
  ];
  if (plan.quota !== null) {
    lines.push(
      '',
      `Quota today: ${formatCount(plan.quota.used)} of ${formatCount(plan.quota.limit)} calls used.`,
    );
  }
  return lines.join('\n');
}

const WAYS: Record<MigrationObject['way'], string> = {
  level: 'nothing is missing',
  stage: 'from the stage',
  read: 'read again',
  'no first load': 'no first load yet',
};

/** How a further warehouse gets the golden tables. */
export const PROFILES_WAY = 'golden tables and their history';

export function wayWords({ way }: Pick<MigrationObject, 'way'>): string {
  return WAYS[way];
}

/** What is not there yet: objects, and `profiles`. */
export function lackingOf({ objects, golden }: MigrationPlan): string[] {
  const lacking = objects.filter(({ way }) => way === 'stage' || way === 'read').map(({ object }) => object);
  return golden === 'behind' ? [...lacking, 'profiles'] : lacking;
}

export function migrationReport({ connection, sink, objects, golden, calls, quota }: MigrationPlan): string {
  return [
    `**${connection} → ${sink}** · ${calls === 0 ? 'nothing has to be read again' : formatCalls(calls, quota)}`,
    '',
    row(['object', 'how', 'staged windows', 'staged rows', 'rows to read']),
    '|---|---|--:|--:|--:|',
    ...objects.map((one) =>
      row([
        one.object,
        wayWords(one),
        String(one.stagedWindows),
        formatCount(one.stagedRows),
        one.way !== 'read' ? '–' : one.readRows === null ? 'unknown' : formatCount(one.readRows),
      ]),
    ),
    ...(golden === 'behind' ? [row(['profiles', PROFILES_WAY, '–', '–', '–'])] : []),
  ].join('\n');
}

/** Counts of a change that waits for approval, or has been made; fields by name, never a value. */
export function changeReport(
  title: string,
  preview: { profiles: number; values: number; more: boolean; byField: Record<string, number> },
  phase: string,
): string {
  const atLeast = preview.more ? 'at least ' : '';
  const fields = Object.entries(preview.byField).toSorted(([, a], [, b]) => b - a);
  return [
    `**${title}** · ${phase}`,
    '',
    `${atLeast}${countOf(preview.values, 'value')} in ${atLeast}${countOf(preview.profiles, 'profile')}`,
    ...(fields.length === 0
      ? []
      : [
          '',
          row(['field', 'values']),
          '|---|--:|',
          ...fields.slice(0, LINES_MAX).map(([field, count]) => row([field, formatCount(count)])),
        ]),
  ].join('\n');
}

/** What an erasure takes, or has taken, by place; no value and no name of a record can be in it. */
export function erasureReport(
  title: string,
  preview: ErasurePreview,
  phase: string,
  remains: readonly string[] = [],
): string {
  const { profiles, records, places } = preview;
  return [
    `**${title}** · ${phase}`,
    '',
    `${formatCount(profiles)} profiles of ${formatCount(records)} records`,
    '',
    row(['place', 'what', 'count']),
    '|---|---|--:|',
    ...places.slice(0, LINES_MAX).map(({ place, what, count }) => row([place, what, formatCount(count)])),
    ...(remains.length === 0 ? [] : ['', ...remains.map((text) => `- ${text}`)]),
  ].join('\n');
}

/** Open cases as a table; the values are shown by `headwater conflicts list`, never here. */
export function reviewReport(
  open: readonly {
    id: string;
    kind: string;
    entity: string;
    profile: string;
    field: string | null;
    choices: readonly { claim: string; record: string }[];
  }[],
): string {
  if (open.length === 0) return '**Review** · nothing is open';
  return [
    `**Review** · ${formatCount(open.length)} open · answer with the update \`resolve\` {"review": "…", "decision": "…", "actor": "…"}`,
    '',
    row(['case', 'what', 'profile', 'field', 'choices']),
    '|---|---|---|---|---|',
    ...open
      .slice(0, LINES_MAX)
      .map(({ id, kind, entity, profile, field, choices }) =>
        row([
          id,
          `${kind} · ${entity}`,
          profile,
          field ?? '',
          kind === 'link'
            ? 'link, apart'
            : choices.map(({ claim, record }) => `${claim} (${record})`).join(', '),
        ]),
      ),
  ].join('\n');
}
