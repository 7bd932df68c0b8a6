// Compares what the warehouse says of itself with what the ledger remembers, before anything is planned.
import { HeadwaterError } from '../rules/errors.ts';
import type { SinkState } from '../schemas/sink.ts';
import type { IntervalRow } from '../warehouses/warehouse.ts';
import type { Dependencies } from './dependencies.ts';

/** Windows that are looked up when a copy is ahead of the ledger, newest first. */
const WINDOWS_MAX = 100_000;

/**
 * A deleted warehouse file, a table restored by time travel or an old ledger shows in epoch and seq (I7: never green over a
 * hole). Warehouse behind or of another epoch: SINK_REWOUND. Ledger behind: it adopts the warehouse's interval rows.
 */
export async function compareSink(dependencies: Dependencies, connection: string): Promise<void> {
  const { ledger, warehouse, sink, isCopy } = dependencies;
  // The ledger first: another connection's commit between the two reads then looks like a warehouse ahead, which is adopted.
  const remembered = await ledger.sinkState(sink);
  const actual = await warehouse.sinkState();
  if (remembered !== null && remembered.epoch !== actual.epoch) {
    throw rewound(
      dependencies,
      connection,
      `the warehouse is another one than before (epoch ${actual.epoch.slice(0, 8)})`,
    );
  }
  const seq = remembered?.seq ?? 0;
  if (actual.seq < seq) {
    throw rewound(
      dependencies,
      connection,
      `the warehouse holds ${actual.seq} interval rows, the ledger remembers ${seq}`,
    );
  }
  if (remembered === null || actual.seq > seq) {
    const rows = await warehouse.intervals(seq);
    if (isCopy === true) await adoptByCopy(dependencies, rows, actual);
    else await ledger.adoptIntervals(sink, rows, actual);
  }
}

/** Windows that are staged here keep their receipt, which tells of the main warehouse; others are taken over with this one's. */
async function adoptByCopy(
  { ledger, sink }: Dependencies,
  rows: (IntervalRow & { seq: number })[],
  state: SinkState,
): Promise<void> {
  const known = new Map<string, boolean>();
  for (const connection of new Set(rows.map((row) => row.connection))) {
    for (const { id, state: now } of await ledger.windows({ connection, limit: WINDOWS_MAX }))
      known.set(id, now === 'staged');
  }
  const staged = rows.filter(({ window }) => known.get(window) === true);
  const others = rows.filter(({ window }) => known.get(window) !== true);
  if (others.length > 0) await ledger.adoptIntervals(sink, others, state);
  await ledger.commitSink(
    sink,
    staged.map(({ window, attempt }) => ({ window, attempt })),
    state,
  );
}

function rewound({ sink, isCopy }: Dependencies, connection: string, what: string): HeadwaterError {
  if (isCopy === true) {
    return new HeadwaterError('SINK_REWOUND', `${connection}, ${sink}: ${what}`, {
      remedy: `Run \`npx headwater repair --from-stage --warehouse ${sink}\`, then \`npx headwater migrate ${connection} --to ${sink}\`.`,
    });
  }
  return new HeadwaterError('SINK_REWOUND', `${connection}: ${what}`, {
    remedy:
      'Run `npx headwater repair --from-stage` to land again what the stage still holds, then, if windows are missing, ' +
      `\`npx headwater backfill ${connection} --from beginning\` to read everything again.`,
  });
}
