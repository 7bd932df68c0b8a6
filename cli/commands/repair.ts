import { sinkOf } from '../../config/connection-config.ts';
import { sinkName, warehouseNamed } from '../../config/warehouses.ts';
import { CLAIMS_SINK } from '../../rules/sinks.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Ledger } from '../../stores/ledger/ledger.ts';
import { countOf } from '../../rules/report.ts';
import type { Config } from '../../config/schema.ts';
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
    const fromStage = call.options.flag('from-stage');
    const sinks = [...(fromStage ? [lost] : []), ...(call.options.flag('profiles') ? [CLAIMS_SINK] : [])];
    if (sinks.length === 0) {
      throw new HeadwaterError('INPUT_INVALID', 'repair needs to know how', {
        remedy: 'Write `npx headwater repair --from-stage`, or --profiles.',
      });
    }
    // The client first: with Temporal away nothing would land, and the ledger had better keep what it knows.
    const connections = Object.keys(loaded.config.connections);
    return withTemporal(loaded, call.environment, async (temporal) => {
      const waiting = await withLedger(loaded.config, async (ledger) => {
        // I7: all connections share the warehouse; one that was left out would stay green over a hole.
        for (const sink of sinks) await ledger.resetSink(sink, { keepReceipts: sink !== main });
        return await undelivered(ledger, lost, connections);
      });
      if (fromStage) call.output.note(`${lost}: ${windows(waiting)} of the stage to land again.`);
      const codes: number[] = [];
      for (const connection of connections) {
        codes.push(await startSync(call, temporal, { connection, objects: [], allowShrink: false }));
      }
      if (fromStage) {
        const left = await withLedger(loaded.config, (ledger) => undelivered(ledger, lost, connections));
        call.output.note(
          left === 0
            ? `${lost}: all have landed.`
            : `${lost}: ${windows(left)} still to land; see \`npx headwater status\`.`,
        );
      }
      return worstExit(codes);
    });
  },
};

async function withLedger<T>(config: Config, work: (ledger: Ledger) => Promise<T>): Promise<T> {
  const ledger = await openLedger(config);
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

async function undelivered(ledger: Ledger, sink: string, connections: readonly string[]): Promise<number> {
  const each = connections.map((connection) => ledger.undelivered(sink, connection));
  return (await Promise.all(each)).flat().length;
}

const windows = (count: number): string => countOf(count, 'window', 'windows');
