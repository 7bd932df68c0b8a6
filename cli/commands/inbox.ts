import { countOf } from '../../rules/report.ts';
import { oneConnection, oneOf } from '../chosen.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withInbox } from '../pushed.ts';
import { ago } from '../words.ts';

export const inbox: Command = {
  name: 'inbox',
  summary: 'Pushed events that wait or were set aside, and why',
  usage: '[connection] [retry]',
  example: 'inbox salesforce retry',
  about:
    'Parked are those that failed five times, or whose object is not configured. `retry` lets them wait\nagain: mend what the code names first. Nothing of an event is shown but its object.',
  options: {},
  arguments: { min: 0, max: 2 },
  async run(call) {
    const loaded = await call.load();
    const [name, action] = call.arguments;
    const only = name === undefined ? undefined : oneConnection(loaded.config, name).name;
    if (action !== undefined) oneOf('inbox', action, ['retry']);
    const found = await withInbox(loaded, async (store) => {
      if (only !== undefined && action === 'retry') {
        const again = await store.retry(only);
        if (!call.json) call.output.line(`${countOf(again, 'event')} of ${only} wait again.`);
      }
      const states = (await store.states()).filter(
        ({ connection }) => only === undefined || connection === only,
      );
      return Promise.all(
        states.map(async (state) => ({ ...state, troubles: await store.troubles(state.connection) })),
      );
    });
    if (call.json) {
      call.output.json({ connections: found ?? [] });
      return EXIT.ok;
    }
    if (found === undefined || found.length === 0) {
      call.output.line('Nothing was pushed yet.');
      return EXIT.ok;
    }
    for (const { connection, waiting, parked, oldestAt, lastAt, troubles } of found) {
      const since = (at: string | null) => (at === null ? '–' : `${ago(Date.now() - Date.parse(at))} ago`);
      call.output.line(
        `${connection}: ${waiting} not landed yet (oldest ${since(oldestAt)}), ${parked} parked, last event ${since(lastAt)}`,
      );
      for (const one of troubles)
        call.output.line(`  ${one.object}: ${one.reason}, ${one.waiting} tried again, ${one.parked} parked`);
    }
    return EXIT.ok;
  },
};
