import { selectObjects } from '../../config/selection.ts';
import { errorLine } from '../output.ts';
import { oneConnection } from '../chosen.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withSource } from '../source.ts';

export const discover: Command = {
  name: 'discover',
  summary: 'What the source has, what is synced, and why the rest is not',
  usage: '[connection]',
  example: 'discover salesforce',
  options: { synced: { type: 'boolean', help: 'Only what is synced' } },
  arguments: { min: 0, max: 1 },
  async run(call) {
    const { config } = await call.load();
    const connection = oneConnection(config, call.arguments[0]);
    const listings = await withSource(config, connection, call.signal, ({ source }) => source.list());
    const selection = selectObjects(connection, listings);
    const reasons = new Map(selection.leftOut.map(({ object, reason }) => [object, reason]));
    const shown = listings.filter(({ object }) => !call.options.flag('synced') || !reasons.has(object));
    if (call.json) {
      call.output.json({ ...selection, listings: shown });
    } else {
      call.output.table(
        [{ title: 'object' }, { title: 'label' }, { title: 'custom' }, { title: 'synced' }],
        shown.map(({ object, label, custom }) => {
          const reason = reasons.get(object);
          return [object, label, custom ? 'custom' : '', reason === undefined ? '✓' : `– ${reason}`];
        }),
      );
      call.output.line(`${selection.objects.length} of ${listings.length} objects are synced.`);
    }
    for (const { object, nearest } of selection.unknown) {
      const remedy =
        nearest === undefined ? 'Correct the objects in the configuration.' : `Did you mean ${nearest}?`;
      call.output.note(errorLine('OBJECT_UNKNOWN', `${connection.name} has no object ${object}`, remedy));
    }
    return selection.unknown.length > 0 ? EXIT.usage : EXIT.ok;
  },
};
