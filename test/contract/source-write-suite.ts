import { describe, expect, test } from '@jest/globals';
import type { Source, WriteReceipt } from '../../sources/source.ts';

export interface WriteHarness {
  name: string;
  object: string;
  /** Two text fields by the source's names, and one that nobody may write. */
  text: string;
  other: string;
  readOnly: string;
  record(): string;
  connect(): Source;
  /** What the source really holds. */
  truth(field: string): unknown;
  /** Somebody changes the record there. */
  change(values: Record<string, string>): void;
  now(): string;
  advance(ms: number): void;
  /** A rule that takes only values of this pattern in `text`; a trigger that writes them in capitals. */
  rule(matches: string): void;
  trigger(): void;
  /** The next write answers 503, or is done and its answer lost. */
  fail(how: 'unavailable' | 'answer lost'): void;
  /** Writes that arrived. */
  writes(): number;
  /** The codes of the vendor. */
  codes: { readOnly: string; rule: string; gone: string };
  remove(): void;
}

/** What `Source.write` promises, whatever the source. */
export function sourceWriteSuite(harness: WriteHarness): void {
  const write = async (
    values: Record<string, unknown>,
    unlessChangedSince: string | null = null,
    record = harness.record(),
  ): Promise<WriteReceipt> => {
    const source = harness.connect();
    const schema = await source.describe(harness.object);
    if (source.write === undefined) throw new Error('this source cannot write');
    const request = { schema, record, values, unlessChangedSince };
    return await source.write(request, new AbortController().signal);
  };

  describe(`${harness.name}: writing one record`, () => {
    test('what was written is there, and was read back with its new stamp; the former values come along', async () => {
      harness.advance(5_000);
      const was = harness.truth(harness.text);
      const receipt = await write({ [harness.text]: 'Chief' }, harness.now());
      expect(receipt).toMatchObject({ outcome: 'written', adjusted: [], former: { [harness.text]: was } });
      expect(harness.truth(harness.text)).toBe('Chief');
      expect(receipt.outcome === 'written' && receipt.stamp <= harness.now()).toBe(true);
    });

    test('the same again writes nothing, whatever the precondition says', async () => {
      const first = await write({ [harness.text]: 'Chief' });
      const before = harness.writes();
      const again = await write({ [harness.text]: 'Chief' }, '2000-01-01T00:00:00.000Z');
      expect(again).toMatchObject({ outcome: 'written', former: null });
      expect(first.outcome === 'written' && again.outcome === 'written' && again.stamp === first.stamp).toBe(
        true,
      );
      expect(harness.writes()).toBe(before);
    });

    test('nothing is written when somebody changed the record first', async () => {
      const seen = harness.now();
      harness.advance(5_000);
      harness.change({ [harness.other]: 'News' });
      const before = harness.writes();
      const receipt = await write({ [harness.text]: 'Chief' }, seen);
      expect(receipt.outcome).toBe('moved');
      expect(harness.writes()).toBe(before);
      expect(harness.truth(harness.text)).not.toBe('Chief');
      const stamp = receipt.outcome === 'moved' ? receipt.stamp : '';
      expect((await write({ [harness.text]: 'Chief' }, stamp)).outcome).toBe('written');
      expect(harness.truth(harness.other)).toBe('News');
    });

    test('null empties a field', async () => {
      await write({ [harness.text]: 'Chief' });
      harness.advance(2_000);
      expect(await write({ [harness.text]: null })).toMatchObject({ outcome: 'written', adjusted: [] });
      expect(harness.truth(harness.text) ?? '').toBe('');
    });

    test("a rule's refusal tells code and field, and a field that nobody may write too", async () => {
      harness.rule('^[A-Z]');
      const { codes, text, readOnly } = harness;
      expect(await write({ [text]: 'chief' })).toEqual({ outcome: 'refused', code: codes.rule, field: text });
      expect(await write({ [readOnly]: '2026-01-01T00:00:00.000Z' })).toEqual({
        outcome: 'refused',
        code: codes.readOnly,
        field: readOnly,
      });
      expect((await write({ nonsense: 'x' })).outcome).toBe('refused');
      expect(harness.truth(text)).not.toBe('chief');
    });

    test('what a trigger makes of the value is told', async () => {
      harness.trigger();
      expect(await write({ [harness.text]: 'chief' })).toMatchObject({
        outcome: 'written',
        adjusted: [harness.text],
      });
      expect(harness.truth(harness.text)).toBe('CHIEF');
    });

    test('a record that is gone, and an id that is none', async () => {
      const record = harness.record();
      harness.remove();
      expect(await write({ [harness.text]: 'Chief' }, null, record)).toEqual({
        outcome: 'refused',
        code: harness.codes.gone,
        field: null,
      });
      expect((await write({ [harness.text]: 'Chief' }, null, '../../x')).outcome).toBe('refused');
    });

    test('what passes is thrown, to be tried again, and then writes once', async () => {
      harness.fail('unavailable');
      await expect(write({ [harness.text]: 'Chief' })).rejects.toMatchObject({ retryable: true });
      expect(await write({ [harness.text]: 'Chief' })).toMatchObject({ outcome: 'written' });
      expect(harness.truth(harness.text)).toBe('Chief');
    });

    test('a write whose answer was lost is found done', async () => {
      harness.fail('answer lost');
      await expect(write({ [harness.text]: 'Chief' })).rejects.toMatchObject({ retryable: true });
      const before = harness.writes();
      expect(await write({ [harness.text]: 'Chief' }, '2000-01-01T00:00:00.000Z')).toMatchObject({
        outcome: 'written',
      });
      expect(harness.writes()).toBe(before);
    });
  });
}
