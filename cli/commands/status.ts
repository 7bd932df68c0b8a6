import { formatDuration } from '../../config/quantities.ts';
import type { Config, ConnectionConfig } from '../../config/schema.ts';
import { sinkOf } from '../../config/connection-config.ts';
import { formatInstant } from '../../rules/report.ts';
import { ORIGIN, type Instant } from '../../schemas/instant.ts';
import type { RunSummary } from '../../schemas/run.ts';
import type { Interval } from '../../schemas/window.ts';
import type { Ledger } from '../../stores/ledger/ledger.ts';
import type { Call, Command } from '../command.ts';
import { chosenConnections } from '../chosen.ts';
import { EXIT } from '../exit-codes.ts';
import { knownObjects } from '../objects.ts';
import { openLedger } from '../open.ts';
import { ago, outcomeWords } from '../words.ts';

/** An object is stale when its warehouse copy is older than so many intervals of its schedule. */
const STALE_INTERVALS = 2;

export interface ObjectStatus {
  connection: string;
  object: string;
  /** Ends of the gap-free coverage; null before the first load. */
  staged: Instant | null;
  landed: Instant | null;
  lagMs: number | null;
  stale: boolean;
  paused: boolean;
  openWindows: number;
}

export interface Status {
  at: Instant;
  objects: ObjectStatus[];
  runs: {
    connection: string;
    last: RunSummary | null;
    everyMs: number;
    quota: { used: number; limit: number } | null;
  }[];
}

export const status: Command = {
  name: 'status',
  summary: 'How fresh each object is, and how the last runs ended',
  usage: '[connection]',
  example: 'status salesforce',
  about: `Ends with ${EXIT.stale} when an object in the warehouse is older than ${STALE_INTERVALS} intervals of its schedule.`,
  options: {},
  arguments: { min: 0, max: 1 },
  async run(call) {
    const { config } = await call.load();
    const ledger = await openLedger(config);
    try {
      const found = await readStatus(
        config,
        chosenConnections(config, call.arguments[0]),
        ledger,
        Date.now(),
      );
      if (call.json) call.output.json(found);
      else printStatus(call, found);
      return found.objects.some(({ stale }) => stale) ? EXIT.stale : EXIT.ok;
    } finally {
      await ledger.close();
    }
  },
};

export async function readStatus(
  config: Config,
  connections: ConnectionConfig[],
  ledger: Ledger,
  nowMs: number,
): Promise<Status> {
  const objects: ObjectStatus[] = [];
  const runs: Status['runs'] = [];
  for (const connection of connections) {
    const { name } = connection;
    const open = await ledger.openWindows(name);
    for (const object of await knownObjects(connection, ledger)) {
      const staged = checkpointOf(await ledger.coverage(name, object));
      const landed = checkpointOf(await ledger.sinkCoverage(sinkOf(config), name, object));
      const lagMs = landed === null ? null : Math.max(0, nowMs - Date.parse(landed));
      const paused = (await ledger.meta(`pause/${name}/${object}`)) === 'paused';
      const stale = !paused && (lagMs === null || lagMs > STALE_INTERVALS * connection.schedule.everyMs);
      const openWindows = open.filter((window) => window.object === object).length;
      objects.push({ connection: name, object, staged, landed, lagMs, stale, paused, openWindows });
    }
    const [last = null] = await ledger.runs({ connection: name, limit: 1 });
    const quota = await ledger.quota(name);
    runs.push({
      connection: name,
      last,
      everyMs: connection.schedule.everyMs,
      quota: quota === null ? null : { used: quota.used, limit: quota.limit },
    });
  }
  return { at: new Date(nowMs).toISOString(), objects, runs };
}

function checkpointOf(coverage: readonly Interval[]): Instant | null {
  const [first] = coverage;
  return first?.from === ORIGIN ? first.until : null;
}

function printStatus({ output }: Call, { objects, runs, at }: Status): void {
  output.table(
    [
      { title: 'connection' },
      { title: 'object' },
      { title: 'in the warehouse up to (UTC)' },
      { title: 'lag', align: 'right' },
      { title: 'state' },
    ],
    objects.map((one) => [
      one.connection,
      one.object,
      one.landed === null ? '–' : formatInstant(one.landed),
      one.lagMs === null ? '–' : ago(one.lagMs),
      stateWords(one),
    ]),
  );
  output.line();
  for (const { connection, last, everyMs, quota } of runs) {
    const ended =
      last === null
        ? 'no run yet'
        : `last run ${outcomeWords(output, last.outcome)}, ${ago(Date.parse(at) - Date.parse(last.startedAt))} ago`;
    const calls = quota === null ? '' : `, ${quota.used} of ${quota.limit} calls used today`;
    output.line(`${connection}: every ${formatDuration(everyMs)}, ${ended}${calls}`);
  }
}

function stateWords(one: ObjectStatus): string {
  if (one.paused) return 'paused';
  if (one.landed === null) return one.openWindows > 0 ? 'first load is running' : 'no first load yet';
  if (one.staged !== null && one.staged > one.landed) return 'warehouse behind the stage';
  return one.stale ? '✗ stale' : '✓ fresh';
}
