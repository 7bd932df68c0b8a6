import { checkObjects, oneConnection } from '../chosen.ts';
import { MANY, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { openLedger } from '../open.ts';
import { withTemporal } from '../temporal-client.ts';
import { startSync } from './sync.ts';

/** Runs that are looked at, newest first, for one that has ended. */
const RUNS_READ_MAX = 20;
const UNFINISHED: ReadonlySet<string> = new Set(['failed', 'deferred', 'cancelled', 'staged']);

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
    const objects = named.length > 0 ? named : await unfinishedObjects();
    if (objects === undefined) {
      if (call.json) call.output.json({ connection, objects: [] });
      else call.output.line(`${connection}: nothing failed in the last run.`);
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
        const last = runs.find((run) => run.endedAt !== null);
        if (last === undefined || last.outcome === 'ok') return undefined;
        // A cancelled run lists only what had ended by then.
        if (last.outcome === 'cancelled') return [];
        const unfinished = last.objects.filter((line) => UNFINISHED.has(line.state));
        return unfinished.map((line) => line.object);
      } finally {
        await ledger.close();
      }
    }
  },
};
