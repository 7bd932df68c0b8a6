import type { LoadedConfig } from '../../config/load-config.ts';
import { withClaims } from '../claims.ts';
import { showLive, type LiveChange } from './live.ts';
import type { ServerUrls } from './servers.ts';
import { showDisagreements, type Example } from './disagreements.ts';
import { formatCount } from '../../rules/report.ts';
import type { RunSummary } from '../../schemas/run.ts';
import type { TemporalTarget } from '../dev/temporal-target.ts';
import { mayHaveClaims } from '../open.ts';
import type { Output } from '../output.ts';
import { printRun } from '../words.ts';

/** What a newcomer sees once the first sync has run: what landed, where to look, what to try. */
export async function showReady(
  output: Output,
  shown: {
    runs: RunSummary[];
    temporal: TemporalTarget;
    servers: ServerUrls | undefined;
    live: LiveChange | null;
    seconds: number;
    loaded: LoadedConfig;
    once: boolean;
    config: string | undefined;
  },
): Promise<void> {
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
  const example = await customers(output, shown.loaded);
  if (shown.live !== null) showLive(output, shown.live);
  output.line();
  if (shown.temporal.uiUrl !== undefined) {
    const url = `${shown.temporal.uiUrl}/namespaces/${shown.temporal.namespace}/workflows`;
    output.line(`  Temporal UI   ${output.style('cyan', url)}`);
  }
  if (shown.servers !== undefined) {
    output.line(`  Profile API   ${output.style('cyan', `${shown.servers.profiles}/docs`)}`);
    output.line(`  Webhooks      ${output.style('cyan', shown.servers.webhooks)}`);
  }
  output.line(`  Home          ${shown.loaded.home}`);
  output.line();
  if (shown.once) return;
  output.line('  Try next, in another terminal:');
  for (const command of tryNext(shown.runs, shown.config, example))
    output.line(`    ${output.style('bold', command)}`);
  output.line();
}

/** Where systems disagree; nothing where the configuration asks for no profiles, or none was made. */
async function customers(output: Output, loaded: LoadedConfig): Promise<Example | undefined> {
  if (!mayHaveClaims(loaded.config)) return undefined;
  const call = { load: () => Promise.resolve(loaded) };
  return withClaims(call, (claims, config) => showDisagreements(output, claims, config));
}

/** Each of these works as printed while `npm start` runs; a test executes them. */
function tryNext(runs: RunSummary[], config: string | undefined, example: Example | undefined): string[] {
  const connection = runs[0]?.connection ?? 'salesforce';
  const which = config === undefined ? '' : ` --config ${config}`;
  const table = `${connection}.contact`;
  return [
    `npx headwater status${which}`,
    example === undefined
      ? `npx headwater sql${which} 'select name, email, _version from ${table} order by _version desc limit 5'`
      : `npx headwater explain${which} ${example.email} ${example.field}`,
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
