import { parseArgs } from 'node:util';
import type { LoadedConfig } from '../config/load-config.ts';
import { nearest } from '../config/nearest.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Output } from './output.ts';

export interface CommandOption {
  type: 'string' | 'boolean';
  /** May be given several times. */
  multiple?: boolean;
  /** What stands for the value in the help: `<time>`. */
  value?: string;
  help: string;
}

/** One line of the table in cli/commands.ts. */
export interface Command {
  name: string;
  /** A few words, no full stop. */
  summary: string;
  /** What follows the command's name: `<connection> [object…]`. */
  usage: string;
  /** A complete command line that works. */
  example: string;
  /** Further sentences of the help, wrapped by hand at 90 characters. */
  about?: string;
  options: Record<string, CommandOption>;
  arguments: { min: number; max: number };
  /** Everything after the name goes to another program untouched. */
  passThrough?: boolean;
  run(call: Call): Promise<number>;
}

/** What a command gets to work with. */
export interface Call {
  arguments: readonly string[];
  options: Options;
  output: Output;
  environment: NodeJS.ProcessEnv;
  json: boolean;
  /** Reads the configuration that --config names; once per call. */
  load(): Promise<LoadedConfig>;
  /** Ends what takes long when the operator interrupts. */
  signal: AbortSignal;
}

export interface Options {
  text(name: string): string | undefined;
  list(name: string): string[];
  flag(name: string): boolean;
}

export const COMMON_OPTIONS: Record<string, CommandOption> = {
  config: { type: 'string', value: '<file>', help: 'The configuration; default headwater.config.ts here' },
  json: { type: 'boolean', help: 'The answer as one JSON document' },
  help: { type: 'boolean', help: 'This text' },
};

/** Any number of arguments, within reason. */
export const MANY = 1_000;

export interface ParsedCall {
  arguments: string[];
  options: Options;
}

/** INPUT_INVALID in one line with the nearest option, for whatever is not in the command's table. */
export function parseCall(command: Command, words: readonly string[]): ParsedCall {
  const specs = { ...command.options, ...COMMON_OPTIONS };
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(
      Object.entries(specs).map(([name, { type }]) => [
        name,
        { type, ...(name === 'help' ? { short: 'h' } : {}) },
      ]),
    ),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const given: string[] = [];
  const values = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') given.push(token.value);
    if (token.kind !== 'option') continue;
    const value = checkOption(command, specs, token.name, token.rawName, token.value);
    const before = values.get(token.name) ?? [];
    values.set(token.name, specs[token.name]?.multiple ? [...before, value] : [value]);
  }
  checkArguments(command, given, values.has('help'));
  return {
    arguments: given,
    options: {
      text: (name) => values.get(name)?.at(-1),
      list: (name) => (values.get(name) ?? []).flatMap((value) => value.split(',')).filter(Boolean),
      flag: (name) => values.has(name),
    },
  };
}

function checkOption(
  command: Command,
  specs: Record<string, CommandOption>,
  name: string,
  written: string,
  value: string | undefined,
): string {
  const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
  if (!spec) {
    const guess = nearest(name, Object.keys(specs));
    throw new HeadwaterError('INPUT_INVALID', `${command.name} has no option ${written}`, {
      remedy: guess ? `Did you mean --${guess}?` : `See \`npx headwater ${command.name} --help\`.`,
    });
  }
  if (spec.type === 'boolean' && value !== undefined) {
    throw new HeadwaterError('INPUT_INVALID', `${written} takes no value`, {
      remedy: `Write ${written} alone.`,
    });
  }
  if (spec.type === 'string' && (value === undefined || value === '')) {
    const { value: placeholder = '<value>' } = spec;
    throw new HeadwaterError('INPUT_INVALID', `${written} needs a value`, {
      remedy: `Write ${written} ${placeholder}.`,
    });
  }
  return value ?? '';
}

function checkArguments(command: Command, given: readonly string[], help: boolean): void {
  const { min, max } = command.arguments;
  if (help || (given.length >= min && given.length <= max)) return;
  const what =
    given.length < min
      ? `${command.name} needs ${missingOf(command.usage, given.length)}`
      : `${command.name} does not take ${JSON.stringify(given[max])}`;
  throw new HeadwaterError('INPUT_INVALID', what, {
    remedy: `Write \`${`npx headwater ${command.name} ${command.usage}`.trimEnd()}\`.`,
  });
}

/** The words of the usage that are not there yet: `<connection> <object>`. */
function missingOf(usage: string, given: number): string {
  const required = usage
    .replaceAll(/\[[^\]]*\]/g, '')
    .split(' ')
    .filter(Boolean);
  return required.slice(given).join(' ') || 'more';
}

/** The command's own help: usage, what it does, options, an example. */
export function helpOf(command: Command): string {
  const options = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(([name, { value, help }]) => [
    `  --${name}${value ? ` ${value}` : ''}`,
    help,
  ]);
  const width = Math.max(...options.map(([left = '']) => left.length));
  return [
    `headwater ${command.name} ${command.usage}`.trimEnd(),
    '',
    `${command.summary}.`,
    ...(command.about ? ['', command.about] : []),
    '',
    'Options',
    ...options.map(([left = '', right = '']) => `${left.padEnd(width)}   ${right}`),
    '',
    'Example',
    `  npx headwater ${command.example}`,
  ].join('\n');
}
