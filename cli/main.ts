import process from 'node:process';
import type { LoadedConfig } from '../config/load-config.ts';
import { nearest } from '../config/nearest.ts';
import { ERRORS, HeadwaterError, withNames } from '../rules/errors.ts';
import { COMMANDS, GROUPS } from './commands.ts';
import { helpOf, parseCall, type Call, type Command } from './command.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { createOutput, type Output } from './output.ts';

/** Finds the command, parses its line, runs it. Every failure is one line on stderr and an exit code. */
export async function main(
  words: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  const output = createOutput({ stdout: process.stdout, stderr: process.stderr, environment });
  const interruption = new AbortController();
  const json = words.includes('--json');
  let failing: Call | undefined;
  try {
    const [name, ...rest] = words;
    if (name === undefined || name === 'help' || name === '--help' || name === '-h')
      return help(rest[0], output);
    if (name === '--version' || name === 'version') return await version(output);
    const command = commandNamed(name);
    if (command.passThrough === true && !isHelp(rest)) {
      const call = callOf(command, { output, environment, signal: interruption.signal, words: [] });
      return await command.run({ ...call, arguments: rest });
    }
    const call = callOf(command, { output, environment, signal: interruption.signal, words: rest });
    failing = call;
    if (call.options.flag('help')) return help(name, output);
    // `start` ends its own processes in order; every other command may be interrupted at any point.
    if (command.name !== 'start') onInterrupt(interruption);
    return await command.run(call);
  } catch (thrown) {
    if (interruption.signal.aborted) return EXIT.interrupted;
    const error = await withNamesOf(failing, thrown);
    if (json) output.json({ error: jsonError(error) });
    output.error(error);
    if (environment['HEADWATER_DEBUG'] && error instanceof Error) output.note(error.stack ?? '');
    return error instanceof HeadwaterError ? exitCodeOf(error.code) : EXIT.failed;
  } finally {
    output.endProgress();
  }
}

function callOf(
  command: Command,
  given: { words: readonly string[]; output: Output; environment: NodeJS.ProcessEnv; signal: AbortSignal },
): Call {
  const { words, output, environment, signal } = given;
  const { arguments: positional, options } = parseCall(command, words);
  let loaded: Promise<LoadedConfig> | undefined;
  const path = options.text('config');
  return {
    arguments: positional,
    options,
    output,
    environment,
    signal,
    json: options.flag('json'),
    load: () => (loaded ??= load(environment, path)),
  };
}

/** `temporal --help` is ours; `temporal workflow --help` is Temporal's. */
function isHelp(words: readonly string[]): boolean {
  return words.length === 1 && (words[0] === '--help' || words[0] === '-h');
}

/** Connectors and their SDKs come with the configuration, so help and mistakes answer without them. */
async function load(environment: NodeJS.ProcessEnv, path: string | undefined): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config/load-config.ts');
  return loadConfig({ environment, ...(path === undefined ? {} : { path }) });
}

function commandNamed(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command) return command;
  const guess = nearest(
    name,
    COMMANDS.map((candidate) => candidate.name),
  );
  throw new HeadwaterError('INPUT_INVALID', `there is no command ${JSON.stringify(name)}`, {
    remedy: guess ? `Did you mean \`npx headwater ${guess}\`?` : 'See `npx headwater --help`.',
  });
}

function help(name: string | undefined, output: Output): number {
  const named = name !== undefined && !name.startsWith('-');
  output.line(named ? helpOf(commandNamed(name)) : overview((title) => output.style('bold', title)));
  return EXIT.ok;
}

/** All commands, each with what it is for. */
export function overview(titled: (title: string) => string = (title) => title): string {
  const width = Math.max(...COMMANDS.map((command) => command.name.length));
  return [
    'Headwater keeps customer data correct and fresh where it is used.',
    '',
    'headwater <command> [options]',
    ...Object.entries(GROUPS).flatMap(([group, commands]) => [
      '',
      titled(group),
      ...commands.map((command) => `  ${command.name.padEnd(width)}   ${command.summary}`),
    ]),
    '',
    'Each command takes --help, --json and --config <file>.',
  ].join('\n');
}

async function version(output: Output): Promise<number> {
  const { readPackage } = await import('./package-file.ts');
  output.line(readPackage().version);
  return EXIT.ok;
}

/** The catalog's remedy with the names that this command line means; a usage line keeps its `<words>`. */
async function withNamesOf(call: Call | undefined, error: unknown): Promise<unknown> {
  if (!(error instanceof HeadwaterError) || error.remedy !== ERRORS[error.code].remedy) return error;
  const { chosenNames } = await import('./chosen.ts');
  const names = call === undefined || error.code === 'CONFIG_INVALID' ? {} : await chosenNames(call);
  const remedy = withNames(error.remedy, names);
  return new HeadwaterError(error.code, error.message, { details: error.details, cause: error, remedy });
}

function jsonError(error: unknown): Record<string, unknown> {
  if (!(error instanceof HeadwaterError)) return { code: 'INTERNAL', message: String(error) };
  const { code, message, remedy, details } = error;
  return { code, message, remedy, ...(Array.isArray(details['lines']) ? { lines: details['lines'] } : {}) };
}

/** The first interrupt lets the command end its work; the second ends the process. */
function onInterrupt(interruption: AbortController): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (interruption.signal.aborted) process.exit(EXIT.interrupted);
      interruption.abort();
    });
  }
}
