/** What an assistant is told stays what it is, whatever values and errors hold. */
import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { HeadwaterError } from '../../../../rules/errors.ts';
import { failureOf } from '../../../../servers/mcp/failure.ts';
import { quoted } from '../../../../servers/mcp/propose-change.ts';
import { valueText } from '../../../../servers/mcp/text.ts';
import { Problem } from '../../../../servers/problem.ts';

const TOOL = { name: 'read_profile', unknown: 'Find it again.' };

test('a value is one quoted line without anything unseen, and means the same', () => {
  expect(valueText('a\u2028b\u202ec\u{e0041}')).toBe(String.raw`"a\u2028b\u202ec\udb40\udc41"`);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 25 }), (value) => {
      const text = valueText(value);
      expect(text).toMatch(/^"[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*"$/u);
      expect(JSON.parse(text)).toBe(value);
    }),
  );
  expect(valueText('x'.repeat(1_000)).length).toBeLessThan(220);
});

test('what a model proposed stays one word of a shell', () => {
  const texts = [`'; touch /tmp/x; echo '`, '$(id) `id` "a" \\ !! *', "a'b''c", 'a\nb', ''];
  const words = texts.map(quoted).join(' ');
  const script = `for one in ${words}; do printf '%s\\001' "$one"; done`;
  expect(execFileSync('sh', ['-c', script]).toString().split('\u0001').slice(0, -1)).toEqual(texts);
});

test('I5: an unexpected error is told and logged without its message', () => {
  const lines: string[] = [];
  const log = (level: string, message: string, fields?: Record<string, unknown>) =>
    void lines.push(JSON.stringify({ level, message, ...fields }));
  const { line, outcome } = failureOf(new TypeError('ann@example.org is no number'), TOOL, log);
  expect(line).toMatch(/^This is our defect; .* \(read_profile, [0-9a-f-]{36}, 500\) → Tell the person/);
  expect(outcome).toBe('500');
  const [, id = 'none'] = /, ([0-9a-f-]{36}),/.exec(line) ?? [];
  expect(lines).toEqual([expect.stringContaining(id)]);
  expect(lines[0]).toContain('words.test.ts');
  expect(line + lines.join('')).not.toContain('ann@');
});

test('what is away, what is too often and what has moved say when and where to ask again', () => {
  const told = (error: unknown) => failureOf(error, TOOL, () => undefined);
  const away = told(new HeadwaterError('LEDGER_UNAVAILABLE', 'ledger at 10.0.0.1 is away'));
  expect(away).toEqual({
    line: 'Something that is needed is away; come back in a moment (read_profile, 503) → Ask again in 5 s.',
    outcome: 'LEDGER_UNAVAILABLE',
  });
  const often = told(new Problem(429, 'This key asks too often.', { retryAfterMs: 1_200 }));
  expect(often.line).toBe('This key asks too often (read_profile, 429) → Ask again in 2 s.');
  const target = `p_${'a'.repeat(32)}`;
  const moved = new Problem(308, 'Moved.', { more: { location: `/v1/profiles/${target}` } });
  expect(told(moved).line).toBe(`Moved (read_profile, 308) → Ask again with profile_id ${target}.`);
});
