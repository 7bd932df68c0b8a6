import { sinkOf } from '../../config/connection-config.ts';
import { sinkName, warehouseNamed } from '../../config/warehouses.ts';
import { CLAIMS_SINK } from '../../rules/sinks.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Command } from '../command.ts';
import { worstExit } from '../exit-codes.ts';
import { openLedger } from '../open.ts';
import { withTemporal } from '../temporal-client.ts';
import { startSync } from './sync.ts';

export const repair: Command = {
  name: 'repair',
  summary: 'Land everything again after the warehouse was lost or restored',
  usage: '--from-stage [--warehouse <name>] | --profiles',
  example: 'repair --from-stage',
  about:
    'Forgets what the warehouse had landed, of all connections, then lands what is still in the stage.\nWhat is there already stays: loads are guarded by version. For the rest: `backfill --from beginning`.',
  options: {
    'from-stage': { type: 'boolean', help: 'Land the staged windows again' },
    warehouse: { type: 'string', value: '<name>', help: 'Which of several; default the main one' },
    profiles: { type: 'boolean', help: 'Make the golden profiles again, after their store was lost' },
  },
  arguments: { min: 0, max: 0 },
  async run(call) {
    const loaded = await call.load();
    const main = sinkOf(loaded.config);
    const named = call.options.text('warehouse');
    const lost = named === undefined ? main : sinkName(warehouseNamed(loaded.config, named));
    const sinks = [
      ...(call.options.flag('from-stage') ? [lost] : []),
      ...(call.options.flag('profiles') ? [CLAIMS_SINK] : []),
    ];
    if (sinks.length === 0) {
      throw new HeadwaterError('INPUT_INVALID', 'repair needs to know how', {
        remedy: 'Write `npx headwater repair --from-stage`, or --profiles.',
      });
    }
    // The client first: with Temporal away nothing would land, and the ledger had better keep what it knows.
    return withTemporal(loaded, call.environment, async (temporal) => {
      const ledger = await openLedger(loaded.config);
      try {
        // I7: all connections share the warehouse; one that was left out would stay green over a hole.
        for (const sink of sinks) await ledger.resetSink(sink, { keepReceipts: sink !== main });
      } finally {
        await ledger.close();
      }
      const codes: number[] = [];
      for (const connection of Object.keys(loaded.config.connections)) {
        codes.push(await startSync(call, temporal, { connection, objects: [], allowShrink: false }));
      }
      return worstExit(codes);
    });
  },
};
