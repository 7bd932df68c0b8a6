import { existsSync, writeFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { HeadwaterError } from '../../rules/errors.ts';
import { formatCount } from '../../rules/report.ts';
import type { QueryAnswer } from '../../warehouses/warehouse.ts';
import { oneOf, wholeNumber } from '../chosen.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { subjectDocument } from '../subject.ts';
import { exportTo, query } from '../warehouse.ts';

const ROWS_MAX = 100_000;
const CELL_CHARACTERS_MAX = 60;
const NUMERIC = /INT|DECIMAL|DOUBLE|FLOAT|NUMERIC|HUGEINT/i;

export const sql: Command = {
  name: 'sql',
  summary: 'Ask the warehouse, read-only',
  usage: "'<select>'",
  example: "sql 'select count(*) from salesforce.contact'",
  about: 'The worker that owns the warehouse answers; without one it is opened directly.',
  options: { 'rows-max': { type: 'string', value: '<n>', help: 'At most so many rows; default 1000' } },
  arguments: { min: 1, max: 1 },
  async run(call) {
    const loaded = await call.load();
    const rowsMax = wholeNumber('--rows-max', call.options.text('rows-max'), {
      min: 1,
      max: ROWS_MAX,
      or: 1_000,
    });
    const answer = await query(loaded, call.arguments[0] ?? '', rowsMax);
    if (call.json) call.output.json(answer);
    else printAnswer(call, answer);
    return EXIT.ok;
  },
};

export const exportCommand: Command = {
  name: 'export',
  summary: 'Write the answer of a select to a Parquet, CSV or JSON file, or all that is held of a customer',
  usage: "['<select>' <file>]",
  example: "export 'select * from salesforce.contact' contacts.parquet",
  about:
    'With --subject: profiles, claims, history, raw rows and what refers to the customer, as one JSON document:\nthe answer to an access request. It goes to the file or to the screen, never into a log.',
  options: {
    subject: { type: 'string', value: '<who>', help: 'A profile, a record or an identifier' },
    out: { type: 'string', value: '<file>', help: 'With --subject: the file, readable by you alone' },
    force: { type: 'boolean', help: 'Overwrite the file' },
  },
  arguments: { min: 0, max: 2 },
  async run(call) {
    const subject = call.options.text('subject');
    if (subject !== undefined) return exportSubject(call, subject);
    const loaded = await call.load();
    const [statement = '', file] = call.arguments;
    if (file === undefined) {
      throw new HeadwaterError('INPUT_INVALID', "export needs '<select>' <file>", {
        remedy: "Write `npx headwater export '<select>' <file>`, or --subject <who>.",
      });
    }
    const path = resolve(file);
    oneOf('the ending of the file', extname(path), ['.parquet', '.csv', '.json']);
    refuseExisting(call, file);
    const rows = await exportTo(loaded, statement, path);
    if (call.json) call.output.json({ path, rows });
    else call.output.line(`${formatCount(rows)} rows in ${file}.`);
    return EXIT.ok;
  },
};

function refuseExisting(call: Call, file: string): void {
  if (!existsSync(resolve(file)) || call.options.flag('force')) return;
  throw new HeadwaterError('INPUT_INVALID', `${file} exists already`, {
    remedy: 'Write --force to overwrite it.',
  });
}

async function exportSubject(call: Call, named: string): Promise<number> {
  const out = call.options.text('out');
  if (call.arguments.length > 0) {
    throw new HeadwaterError('INPUT_INVALID', '--subject takes no select', {
      remedy: 'Write `npx headwater export --subject <who> --out <file>`.',
    });
  }
  if (out !== undefined) refuseExisting(call, out);
  const document = await subjectDocument(call, named);
  if (out === undefined) {
    call.output.json(document);
    return EXIT.ok;
  }
  writeFileSync(resolve(out), `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 });
  const rows = Object.values(document.raw).reduce((sum, one) => sum + one.length, 0);
  if (call.json) call.output.json({ path: resolve(out), profiles: document.profiles.length, rows });
  else call.output.line(`${document.profiles.length} profiles with ${formatCount(rows)} raw rows in ${out}.`);
  return EXIT.ok;
}

/** A bounded table; numbers to the right, long values cut. */
export function printAnswer({ output }: Call, { columns, rows, truncated }: QueryAnswer): void {
  output.table(
    columns.map(({ name, type }) => ({ title: name, align: NUMERIC.test(type) ? 'right' : 'left' })),
    rows.map((row) => row.map(cell)),
  );
  if (truncated)
    output.note(
      `Only the first ${formatCount(rows.length)} rows; more with --rows-max, or all with \`npx headwater export\`.`,
    );
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '–';
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(/[\r\n\t]+/g, ' ');
  return text.length <= CELL_CHARACTERS_MAX ? text : `${text.slice(0, CELL_CHARACTERS_MAX - 1)}…`;
}
