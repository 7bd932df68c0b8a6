import { sinkOf } from '../../config/connection-config.ts';
import { checkObjects, oneConnection } from '../chosen.ts';
import { MANY, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { knownObjects } from '../objects.ts';
import { openLedger } from '../open.ts';
import { withTemporal } from '../temporal-client.ts';
import { checkpointOf, RUNS_READ_MAX, troubleOf } from '../troubles.ts';
import { startSync } from './sync.ts';

export const retry: Command = {
  name: 'retry',
  summary: 'Try again what failed and has not landed since, from where it stopped',
  usage: '[connection] [object…]',
  example: 'retry salesforce',
  about: 'Windows keep their bounds, and slices that are staged are not read again.',
  options: {},
  arguments: { min: 0, max: MANY },
  async run(call) {
    const loaded = await call.load();
    const [name, ...named] = call.arguments;
    const configured = oneConnection(loaded.config, name);
    checkObjects(configured, named);
    const connection = configured.name;
    const objects = named.length > 0 ? named : await unfinishedObjects();
    if (objects === undefined) {
      if (call.json) call.output.json({ connection, objects: [] });
      else call.output.line(`${connection}: nothing failed that has not landed since.`);
      return EXIT.ok;
    }
    call.output.note(`${connection}: trying ${objects.join(', ') || 'everything'} again.`);
    return withTemporal(loaded, call.environment, (temporal) =>
      startSync(call, temporal, { connection, objects, allowShrink: false }),
    );

    /** Undefined when all is well; empty when the run ended before it came to single objects. */
    async function unfinishedObjects(): Promise<string[] | undefined> {
      const ledger = await openLedger(loaded.config);
      try {
        const runs = await ledger.runs({ connection, limit: RUNS_READ_MAX });
        const ended = runs.filter((run) => run.endedAt !== null);
        // A cancelled run lists only what had ended by then.
        if (ended[0]?.outcome === 'cancelled' || ended[0]?.code !== undefined) return [];
        const troubled: string[] = [];
        for (const object of await knownObjects(configured, ledger)) {
          const coverage = await ledger.sinkCoverage(sinkOf(loaded.config), connection, object);
          if (troubleOf(object, checkpointOf(coverage), ended) !== null) troubled.push(object);
        }
        return troubled.length === 0 ? undefined : troubled;
      } finally {
        await ledger.close();
      }
    }
  },
};
