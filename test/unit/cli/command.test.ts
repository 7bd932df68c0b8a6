import { describe, expect, test } from '@jest/globals';
import { helpOf, parseCall, type Command } from '../../../cli/command.ts';
import { COMMANDS } from '../../../cli/commands.ts';
import { HeadwaterError } from '../../../rules/errors.ts';

const COMMAND: Command = {
  name: 'copy',
  summary: 'Copy things',
  usage: '<from> [to]',
  example: 'copy a b',
  options: {
    limit: { type: 'string', value: '<n>', help: 'How many' },
    tag: { type: 'string', multiple: true, help: 'Marks' },
    force: { type: 'boolean', help: 'Overwrite' },
  },
  arguments: { min: 1, max: 2 },
  run: () => Promise.resolve(0),
};

function failure(words: string[]): string {
  try {
    parseCall(COMMAND, words);
  } catch (error) {
    if (error instanceof HeadwaterError) return `${error.code} ${error.message} → ${error.remedy}`;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('a command line', () => {
  test('is arguments and options in any order', () => {
    const call = parseCall(COMMAND, ['--limit=3', 'a', '--tag', 'x,y', '--force', 'b', '--tag', 'z']);
    expect(call.arguments).toEqual(['a', 'b']);
    expect(call.options.text('limit')).toBe('3');
    expect(call.options.list('tag')).toEqual(['x', 'y', 'z']);
    expect(call.options.flag('force')).toBe(true);
    expect(call.options.flag('json')).toBe(false);
  });

  test('-- ends the options', () => {
    expect(parseCall(COMMAND, ['--', '--limit']).arguments).toEqual(['--limit']);
  });

  test.each([
    [['a', '--limt', '3'], 'INPUT_INVALID copy has no option --limt → Did you mean --limit?'],
    [
      ['a', '--wholly-else'],
      'INPUT_INVALID copy has no option --wholly-else → See `npx headwater copy --help`.',
    ],
    [['a', '-x'], 'INPUT_INVALID copy has no option -x → See `npx headwater copy --help`.'],
    [['a', '--limit'], 'INPUT_INVALID --limit needs a value → Write --limit <n>.'],
    [['a', '--force=yes'], 'INPUT_INVALID --force takes no value → Write --force alone.'],
    [[], 'INPUT_INVALID copy needs <from> → Write `npx headwater copy <from> [to]`.'],
    [['a', 'b', 'c'], 'INPUT_INVALID copy does not take "c" → Write `npx headwater copy <from> [to]`.'],
    [
      ['a', '--__proto__', 'x'],
      'INPUT_INVALID copy has no option --__proto__ → See `npx headwater copy --help`.',
    ],
  ])('%j is refused in one line', (words, line) => {
    expect(failure(words)).toBe(line);
  });

  test('help needs no arguments', () => {
    expect(parseCall(COMMAND, ['-h']).options.flag('help')).toBe(true);
  });
});

describe('the table of commands', () => {
  test.each(COMMANDS.map((command) => [command.name, command] as const))('%s', (name, command) => {
    expect(name).toMatch(/^[a-z]+$/);
    expect(command.summary).not.toMatch(/\.$/);
    expect(`${command.example} `).toContain(`${name} `);
    for (const line of helpOf(command).split('\n')) expect(line.length).toBeLessThanOrEqual(110);
  });

  test('names are unique', () => {
    const names = COMMANDS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test.each(
    COMMANDS.filter(({ passThrough }) => passThrough !== true).map(
      (command) => [command.example, command] as const,
    ),
  )('the example `%s` is a valid line', (example, command) => {
    const words = example.match(/'[^']*'|\S+/g) ?? [];
    expect(() => parseCall(command, words.slice(1))).not.toThrow();
  });
});
