import type { LoadedConfig } from '../../config/load-config.ts';
import { formatCount } from '../../rules/report.ts';
import type { RunSummary } from '../../schemas/run.ts';
import type { TemporalTarget } from '../dev/temporal-target.ts';
import type { Output } from '../output.ts';
import { printRun } from '../words.ts';

/** What a newcomer sees once the first sync has run: what landed, where to look, what to try. */
export function showReady(
  output: Output,
  shown: { runs: RunSummary[]; temporal: TemporalTarget; seconds: number; home: string },
): void {
  const rows = shown.runs.reduce(
    (sum, run) => sum + run.objects.reduce((all, line) => all + line.rows, 0),
    0,
  );
  output.line();
  output.line(`${output.style('bold', 'Headwater')} is up · ${formatCount(rows)} rows in ${shown.seconds} s`);
  for (const run of shown.runs) showRun(output, run);
  output.line();
  if (shown.temporal.uiUrl !== undefined) {
    output.line(
      `  Temporal UI   ${output.style('cyan', `${shown.temporal.uiUrl}/namespaces/${shown.temporal.namespace}/workflows`)}`,
    );
  }
  output.line(`  Home          ${shown.home}`);
  output.line();
  output.line('  Try next, in another terminal:');
  for (const command of tryNext(shown.runs)) output.line(`    ${output.style('bold', command)}`);
  output.line();
}

/** Each of these works as printed while `npm start` runs; a test executes them. */
export function tryNext(runs: RunSummary[]): string[] {
  const connection = runs[0]?.connection ?? 'salesforce';
  return [
    `npx headwater status`,
    `npx headwater sql 'select name, email, _version from ${connection}.contact order by _version desc limit 5'`,
    `npx headwater temporal schedule trigger --schedule-id sync/${connection}`,
  ];
}

export function showRun(output: Output, run: RunSummary): void {
  output.line();
  printRun(output, run);
}

export function showNext(output: Output, loaded: LoadedConfig): void {
  const count = Object.keys(loaded.config.connections).length;
  output.note(
    `  ${count === 1 ? 'The connection syncs' : 'All connections sync'} on schedule from here on. Ctrl-C stops everything.`,
  );
}
