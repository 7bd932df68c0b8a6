import { sinkOf } from '../../config/connection-config.ts';
import { formatDuration } from '../../config/quantities.ts';
import type { Config, ConnectionConfig } from '../../config/schema.ts';
import {
  freshnessLimits,
  freshnessOf,
  isStale,
  worstOf,
  type Freshness,
  type FreshnessLimits,
  type FreshnessState,
} from '../../rules/freshness.ts';
import { formatInstant } from '../../rules/report.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { Ledger } from '../../stores/ledger/ledger.ts';
import { chosenConnections } from '../chosen.ts';
import { copyNames } from '../copies.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { knownObjects } from '../objects.ts';
import { openLedger } from '../open.ts';
import type { Output } from '../output.ts';
import { checkpointOf } from '../troubles.ts';
import { ago } from '../words.ts';

export interface ObjectFreshness extends Freshness, FreshnessLimits {
  object: string;
  /** A further warehouse; absent for the main one. */
  warehouse?: string;
  /** The end of what is proven and landed; null before the first load. */
  landed: Instant | null;
}

export interface SourceFreshness {
  connection: string;
  state: FreshnessState;
  objects: ObjectFreshness[];
}

export const freshness: Command = {
  name: 'freshness',
  summary: 'Whether each object is as fresh as was promised',
  usage: '[connection]',
  example: 'freshness salesforce --json',
  about: `Counted from the last proven window, not from the newest row: a quiet source is fresh, a broken\none is not. Ends with ${EXIT.stale} when an object is older than its \`errorAfter\`.`,
  options: {},
  arguments: { min: 0, max: 1 },
  async run(call) {
    const { config } = await call.load();
    const ledger = await openLedger(config);
    try {
      const found: SourceFreshness[] = [];
      for (const connection of chosenConnections(config, call.arguments[0]))
        found.push(await readFreshness(config, connection, ledger, new Date().toISOString()));
      if (call.json) call.output.json(found);
      else print(call.output, found);
      return found.some(({ objects }) => objects.some(isStale)) ? EXIT.stale : EXIT.ok;
    } finally {
      await ledger.close();
    }
  },
};

export async function readFreshness(
  config: Config,
  connection: ConnectionConfig,
  ledger: Ledger,
  now: Instant,
): Promise<SourceFreshness> {
  const { name, schedule, freshness: policy } = connection;
  const objects: ObjectFreshness[] = [];
  for (const object of await knownObjects(connection, ledger)) {
    const paused = (await ledger.meta(`pause/${name}/${object}`)) === 'paused';
    const limits = freshnessLimits(policy, object, schedule.everyMs);
    for (const sink of [sinkOf(config), ...copyNames(config)]) {
      const landed = checkpointOf(await ledger.sinkCoverage(sink, name, object));
      const named = sink === sinkOf(config) ? {} : { warehouse: sink };
      objects.push({ object, ...named, landed, ...limits, ...freshnessOf(landed, now, limits, paused) });
    }
  }
  return { connection: name, state: worstOf(objects.map(({ state }) => state)), objects };
}

const WORDS: Record<FreshnessState, string> = {
  fresh: '✓ fresh',
  late: '! late',
  stale: '✗ stale',
  never: '✗ no first load yet',
  paused: 'paused',
};

function print(output: Output, found: readonly SourceFreshness[]): void {
  output.table(
    [
      { title: 'connection' },
      { title: 'object' },
      { title: 'proven up to (UTC)' },
      { title: 'lag', align: 'right' },
      { title: 'warn after', align: 'right' },
      { title: 'error after', align: 'right' },
      { title: 'state' },
    ],
    found.flatMap(({ connection, objects }) =>
      objects.map((one) => [
        connection,
        one.warehouse === undefined ? one.object : `${one.object} in ${one.warehouse}`,
        one.landed === null ? '–' : formatInstant(one.landed),
        one.lagMs === null ? '–' : ago(one.lagMs),
        formatDuration(one.warnMs),
        formatDuration(one.errorMs),
        WORDS[one.state],
      ]),
    ),
  );
  output.line();
  for (const { connection, state } of found) output.line(`${connection}: ${WORDS[state]}`);
}
