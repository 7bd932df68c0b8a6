import { sinkOf } from '../../config/connection-config.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { oneConnection } from '../chosen.ts';
import type { Command } from '../command.ts';
import { openLedger } from '../open.ts';
import { withTemporal } from '../temporal-client.ts';
import { startSync } from './sync.ts';

export const repair: Command = {
  name: 'repair',
  summary: 'Land everything again after the warehouse was lost or restored',
  usage: '[connection] --from-stage',
  example: 'repair salesforce --from-stage',
  about:
    'Forgets what the warehouse had landed, then lands the windows that are still in the stage, in order.\nWhat is there already stays: loads are guarded by version. Older windows need a backfill.',
  options: { 'from-stage': { type: 'boolean', help: 'Land the staged windows again' } },
  arguments: { min: 0, max: 1 },
  async run(call) {
    const loaded = await call.load();
    const connection = oneConnection(loaded.config, call.arguments[0]).name;
    if (!call.options.flag('from-stage')) {
      throw new HeadwaterError('INPUT_INVALID', 'repair needs to know how', {
        remedy: `Write \`npx headwater repair ${connection} --from-stage\`.`,
      });
    }
    // The client first: with Temporal away nothing would land, and the ledger had better keep what it knows.
    return withTemporal(loaded, call.environment, async (temporal) => {
      const ledger = await openLedger(loaded.config);
      try {
        await ledger.resetSink(sinkOf(loaded.config), { connection });
      } finally {
        await ledger.close();
      }
      return startSync(call, temporal, { connection, objects: [], allowShrink: false });
    });
  },
};
