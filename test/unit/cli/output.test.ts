import { Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { createOutput, errorLines, tableLines } from '../../../cli/output.ts';
import { ago } from '../../../cli/words.ts';
import { HeadwaterError } from '../../../rules/errors.ts';

class Sink extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 40;

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

function outputOn(isTTY: boolean, environment: NodeJS.ProcessEnv = {}) {
  const stdout = new Sink(isTTY);
  const stderr = new Sink(isTTY);
  return { stdout, stderr, output: createOutput({ stdout, stderr, environment }) };
}

test('a table is aligned by what is seen', () => {
  const lines = tableLines(
    [{ title: 'object' }, { title: 'rows', align: 'right' }, { title: 'note' }],
    [
      ['Contact', '1,200', '\u001B[32mok\u001B[39m'],
      ['Å', '3', ''],
    ],
  );
  expect(lines).toEqual(['object    rows  note', 'Contact  1,200  \u001B[32mok\u001B[39m', 'Å            3']);
});

describe('errors', () => {
  test('one line with code and remedy', () => {
    expect(errorLines(new HeadwaterError('AUTH_FAILED', 'login refused'))).toEqual([
      '✗ AUTH_FAILED login refused. → Check the client id, secret and login URL, then run `npx headwater check <connection>`.',
    ]);
  });

  test('a configuration has one line per mistake', () => {
    const error = new HeadwaterError('CONFIG_INVALID', 'wrong', {
      details: { lines: ['f: a: b.', 'f: c: d.'] },
    });
    expect(errorLines(error)).toEqual(['✗ f: a: b.', '✗ f: c: d.']);
  });

  test('an unexpected one is one line too', () => {
    expect(errorLines(new Error('first\nsecond'))).toHaveLength(1);
  });
});

describe('streams', () => {
  test('colours only on a terminal and without NO_COLOR', () => {
    expect(outputOn(true).output.style('red', 'x')).toBe('\u001B[31mx\u001B[39m');
    expect(outputOn(true, { NO_COLOR: '1' }).output.style('red', 'x')).toBe('x');
    expect(outputOn(false).output.style('red', 'x')).toBe('x');
  });

  test('answers and notes do not mix', () => {
    const { stdout, stderr, output } = outputOn(false);
    output.json({ a: 1 });
    output.note('look');
    expect([stdout.text, stderr.text]).toEqual(['{"a":1}\n', 'look\n']);
  });

  test('progress is drawn over itself on a terminal, cut to its width, and nowhere else', () => {
    const terminal = outputOn(true);
    terminal.output.progress(['x'.repeat(60), 'second']);
    terminal.output.endProgress();
    expect(terminal.stderr.text).toBe(`${'x'.repeat(38)}…\nsecond\n\u001B[2A\u001B[J`);
    const pipe = outputOn(false);
    pipe.output.progress(['one']);
    expect(pipe.stderr.text).toBe('');
  });
});

test.each([
  [0, '0 s'],
  [89_000, '89 s'],
  [90_000, '2 min'],
  [119 * 60_000, '119 min'],
  [125 * 60_000, '2 h 5 min'],
  [180 * 60_000, '3 h'],
  [72 * 3_600_000, '3 d'],
])('%d ms are %s', (ms, words) => expect(ago(ms)).toBe(words));
