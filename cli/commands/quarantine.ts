import { oneConnection, oneOf, wholeNumber } from '../chosen.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { query } from '../warehouse.ts';
import { printAnswer } from './sql.ts';

const ROWS_MAX = 10_000;

export const quarantine: Command = {
  name: 'quarantine',
  summary: 'Rows that were set aside, and why',
  usage: 'list [connection] [object]',
  example: 'quarantine list salesforce Contact',
  about: 'Record and field are shown; --values adds what the source sent, which is real customer data.',
  options: {
    values: { type: 'boolean', help: 'Also the value that did not fit' },
    limit: { type: 'string', value: '<n>', help: 'Newest rows to show; default 50' },
  },
  arguments: { min: 1, max: 3 },
  async run(call) {
    const [action = '', name, object] = call.arguments;
    oneOf('quarantine', action, ['list']);
    const loaded = await call.load();
    const connection = oneConnection(loaded.config, name).name;
    const limit = wholeNumber('--limit', call.options.text('limit'), { min: 1, max: ROWS_MAX, or: 50 });
    const columns = [
      'quarantined_at',
      'object',
      'record',
      'field',
      'reason',
      ...(call.options.flag('values') ? ['value'] : []),
    ];
    const conditions = [
      `connection = ${literal(connection)}`,
      ...(object === undefined ? [] : [`object = ${literal(object)}`]),
    ];
    const statement = `SELECT ${columns.join(', ')} FROM _headwater.quarantine WHERE ${conditions.join(' AND ')} ORDER BY quarantined_at DESC LIMIT ${limit}`;
    const answer = await query(loaded, statement, limit);
    if (call.json) call.output.json(answer);
    else if (answer.rows.length === 0) call.output.line('Nothing is quarantined.');
    else printAnswer(call, answer);
    return EXIT.ok;
  },
};

/** A text in a statement: in single quotes, its own doubled; nothing else ends it in standard SQL. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
