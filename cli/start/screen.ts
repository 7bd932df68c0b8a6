import type { LoadedConfig } from '../../config/load-config.ts';
import { formatCount } from '../../rules/report.ts';
import type { RunSummary } from '../../schemas/run.ts';
import type { TemporalTarget } from '../dev/temporal-target.ts';
import type { Output } from '../output.ts';
import { printRun } from '../words.ts';

/** What a newcomer sees once the first sync has run: what landed, where to look, what to try. */
export function showReady(
  output: Output,
  shown: {
    runs: RunSummary[];
    temporal: TemporalTarget;
    seconds: number;
    home: string;
    once: boolean;
    config: string | undefined;
  },
): void {
  const rows = shown.runs.reduce(
    (sum, run) => sum + run.objects.reduce((all, line) => all + line.rows, 0),
    0,
  );
  const failed = shown.runs.some((run) => run.outcome === 'failed');
  output.line();
  if (failed)
    output.line(`${output.style('bold', 'Headwater')} is up, but the sync failed · ${shown.seconds} s`);
  else
    output.line(
      `${output.style('bold', 'Headwater')} is up · ${formatCount(rows)} rows in ${shown.seconds} s`,
    );
  for (const run of shown.runs) showRun(output, run);
  output.line();
  if (shown.temporal.uiUrl !== undefined) {
    const url = `${shown.temporal.uiUrl}/namespaces/${shown.temporal.namespace}/workflows`;
    output.line(`  Temporal UI   ${output.style('cyan', url)}`);
  }
  output.line(`  Home          ${shown.home}`);
  output.line();
  if (shown.once) return;
  output.line('  Try next, in another terminal:');
  for (const command of tryNext(shown.runs, shown.config))
    output.line(`    ${output.style('bold', command)}`);
  output.line();
}

/** Each of these works as printed while `npm start` runs; a test executes them. */
function tryNext(runs: RunSummary[], config: string | undefined): string[] {
  const connection = runs[0]?.connection ?? 'salesforce';
  const table = `${connection}.contact`;
  const which = config === undefined ? '' : ` --config ${config}`;
  return [
    `npx headwater status${which}`,
    `npx headwater sql${which} 'select name, email, _version from ${table} order by _version desc limit 5'`,
    config === undefined
      ? `npx headwater temporal schedule trigger --schedule-id sync/${connection}`
      : `npx headwater runs --grid${which}`,
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
