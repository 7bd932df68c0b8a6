import { checkObjects, oneConnection } from '../chosen.ts';
import { MANY, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { openLedger } from '../open.ts';
import { withTemporal } from '../temporal-client.ts';
import { startSync } from './sync.ts';

/** Runs that are looked at, newest first, for one that has ended. */
const RUNS_READ_MAX = 20;

export const retry: Command = {
  name: 'retry',
  summary: 'Try again what failed in the last run, from where it stopped',
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
    const objects = named.length > 0 ? named : await failedObjects();
    if (objects.length === 0) {
      if (call.json) call.output.json({ connection, objects });
      else call.output.line(`${connection}: nothing failed in the last run.`);
      return EXIT.ok;
    }
    call.output.note(`${connection}: trying ${objects.join(', ')} again.`);
    return withTemporal(loaded, call.environment, (temporal) =>
      startSync(call, temporal, { connection, objects, allowShrink: false }),
    );

    async function failedObjects(): Promise<string[]> {
      const ledger = await openLedger(loaded.config);
      try {
        const runs = await ledger.runs({ connection, limit: RUNS_READ_MAX });
        const last = runs.find((run) => run.endedAt !== null);
        const unfinished = new Set(['failed', 'deferred', 'cancelled']);
        return (last?.objects ?? []).filter((line) => unfinished.has(line.state)).map((line) => line.object);
      } finally {
        await ledger.close();
      }
    }
  },
};
