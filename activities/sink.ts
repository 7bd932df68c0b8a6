// Compares what the warehouse says of itself with what the ledger remembers, before anything is planned.
import { HeadwaterError } from '../rules/errors.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * A deleted warehouse file, a table restored by time travel or an old ledger shows in epoch and seq (I7: never green over a
 * hole). Warehouse behind or of another epoch: SINK_REWOUND. Ledger behind: it adopts the warehouse's interval rows.
 */
export async function compareSink(dependencies: Dependencies, connection: string): Promise<void> {
  const { ledger, warehouse, sink } = dependencies;
  // The ledger first: another connection's commit between the two reads then looks like a warehouse ahead, which is adopted.
  const remembered = await ledger.sinkState(sink);
  const actual = await warehouse.sinkState();
  if (remembered !== null && remembered.epoch !== actual.epoch) {
    throw rewound(connection, `the warehouse is another one than before (epoch ${actual.epoch.slice(0, 8)})`);
  }
  const seq = remembered?.seq ?? 0;
  if (actual.seq < seq) {
    throw rewound(connection, `the warehouse holds ${actual.seq} interval rows, the ledger remembers ${seq}`);
  }
  if (remembered === null || actual.seq > seq) {
    await ledger.adoptIntervals(sink, await warehouse.intervals(seq), actual);
  }
}

function rewound(connection: string, what: string): HeadwaterError {
  return new HeadwaterError('SINK_REWOUND', `${connection}: ${what}`, {
    remedy:
      'Run `npx headwater repair --from-stage` to land again what the stage still holds, then, if windows are missing, ' +
      `\`npx headwater backfill ${connection} --from beginning\` to read everything again.`,
  });
}
