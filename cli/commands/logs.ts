import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { connectionNamed } from '../../config/connection-config.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { oneOf, wholeNumber } from '../chosen.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { endOfLog, followLines } from '../log-follow.ts';
import { splitTarget } from '../objects.ts';

const LINES_MAX = 100_000;
/** The file that the worker writes to now. */
const CURRENT = 'worker.ndjson';
const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

const lineSchema = z.looseObject({
  time: z.union([z.string(), z.number()]),
  level: z.string(),
  message: z.string(),
  run: z.string().optional(),
  connection: z.string().optional(),
  object: z.string().optional(),
});
type LogLine = z.infer<typeof lineSchema>;

export interface LogFilter {
  connection?: string | undefined;
  object?: string | undefined;
  /** The end of a run's workflow id or run id is enough. */
  run?: string | undefined;
  level: (typeof LEVELS)[number];
  limit: number;
}

export const logs: Command = {
  name: 'logs',
  summary: "The worker's log, by run and object",
  usage: '[connection[/object]]',
  example: 'logs salesforce/Contact --level warn',
  options: {
    run: { type: 'string', value: '<id>', help: 'One run: its workflow id or run id' },
    object: { type: 'string', value: '<object>', help: 'One object' },
    level: {
      type: 'string',
      value: '<level>',
      help: 'At least this: debug, info, warn or error; default info',
    },
    limit: { type: 'string', value: '<n>', help: 'Newest lines to show; default 200' },
    follow: {
      type: 'boolean',
      help: 'Then show new lines as they come, until Ctrl-C; --json: one document per line',
    },
  },
  arguments: { min: 0, max: 1 },
  async run(call) {
    const { config, home } = await call.load();
    const target = splitTarget(call.arguments[0] ?? '');
    if (target.connection !== '') connectionNamed(config, target.connection);
    const filter: LogFilter = {
      connection: target.connection || undefined,
      object: call.options.text('object') ?? target.object,
      run: call.options.text('run'),
      level: oneOf('--level', call.options.text('level') ?? 'info', LEVELS),
      limit: wholeNumber('--limit', call.options.text('limit'), { min: 1, max: LINES_MAX, or: 200 }),
    };
    const folder = join(home, 'logs');
    const follow = call.options.flag('follow');
    const end = endOfLog(join(folder, CURRENT));
    const found = await readLog(folder, filter, follow ? end.offset : undefined);
    if (call.json && !follow) call.output.json(found);
    else for (const line of found) print(call, line);
    if (found.length === 0 && !call.json) call.output.note('No line of the log fits.');
    if (!follow) return EXIT.ok;
    for await (const text of followLines(join(folder, CURRENT), end, call.signal)) {
      const line = parseLine(text);
      if (line !== undefined && fits(line, filter)) print(call, line);
    }
    return EXIT.ok;
  },
};

function print(call: Call, line: LogLine): void {
  if (call.json) call.output.json(line);
  else call.output.line(formatLine(call, line));
}

/** The newest `limit` lines that fit, oldest first; a torn last line is passed over. */
export async function readLog(
  folder: string,
  filter: LogFilter,
  /** How far the current file is read; to its end when absent. */
  bytesMax?: number,
): Promise<LogLine[]> {
  const kept: LogLine[] = [];
  for (const path of logFiles(folder)) {
    const current = path === join(folder, CURRENT);
    if (current && bytesMax === 0) continue;
    const until = current && bytesMax !== undefined ? { end: bytesMax - 1 } : {};
    for await (const text of createInterface({ input: createReadStream(path, until), crlfDelay: Infinity })) {
      const line = parseLine(text);
      if (line === undefined || !fits(line, filter)) continue;
      kept.push(line);
      if (kept.length >= 2 * filter.limit) kept.splice(0, kept.length - filter.limit);
    }
  }
  return kept.slice(-filter.limit);
}

/** Oldest first: rotated files carry a number that rises with age, the current one none. */
function logFiles(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => /^worker\.ndjson(\.\d+)?$/.test(name));
  } catch (cause) {
    throw new HeadwaterError('INPUT_INVALID', `there is no log in ${folder}`, {
      cause,
      remedy: 'A worker writes it; start one with `npx headwater start`.',
    });
  }
  const age = (name: string) => Number(/\.(\d+)$/.exec(name)?.[1] ?? 0);
  return names.toSorted((left, right) => age(right) - age(left)).map((name) => join(folder, name));
}

function parseLine(text: string): LogLine | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function fits(line: LogLine, { connection, object, run, level }: LogFilter): boolean {
  if (connection !== undefined && line.connection !== connection) return false;
  if (object !== undefined && line.object !== object) return false;
  if (run !== undefined && !(line.run ?? '').includes(run)) return false;
  const rank = (name: string) => LEVELS.findIndex((known) => known === name);
  return rank(line.level) < 0 || rank(line.level) >= rank(level);
}

function formatLine({ output }: Call, line: LogLine): string {
  const { time, level, message, run, connection, object, ...rest } = line;
  const at = typeof time === 'number' ? new Date(time).toISOString() : time;
  const where = [connection, object].filter(Boolean).join('/');
  const fields = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const shown =
    level === 'error' ? output.style('red', level) : level === 'warn' ? output.style('yellow', level) : level;
  return [at, shown.padEnd(5), where, message, ...fields, run === undefined ? '' : `run=${run}`]
    .filter(Boolean)
    .join('  ');
}
