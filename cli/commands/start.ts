import { wholeNumber } from '../chosen.ts';
import type { Command } from '../command.ts';

const RECORDS_MAX = 10_000_000;

export const start: Command = {
  name: 'start',
  summary: 'Start Temporal, the worker and the schedules, sync, and stay',
  usage: '',
  example: 'start --once',
  about:
    "With the demo's configuration it starts the Salesforce-compatible sandbox too. Ctrl-C ends everything.",
  options: {
    once: { type: 'boolean', help: 'Sync each connection once, show the result and end' },
    records: { type: 'string', value: '<n>', help: 'Records of the sandbox' },
  },
  arguments: { min: 0, max: 0 },
  async run({ options, json }) {
    const config = options.text('config');
    const written = options.text('records');
    const records = wholeNumber('--records', written, { min: 1, max: RECORDS_MAX, or: 0 });
    const { start: run } = await import('../start.ts');
    return run({
      once: options.flag('once'),
      json,
      ...(config === undefined ? {} : { config }),
      ...(written === undefined ? {} : { records }),
    });
  },
};
