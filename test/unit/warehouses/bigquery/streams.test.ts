/** Which rows go by the Storage Write API, and in what parts. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { bigqueryConfigSchema } from '../../../../warehouses/bigquery/config.ts';
import { goesByStream, openStreams, partsOf } from '../../../../warehouses/bigquery/stream-rows.ts';

test.each([
  [{ rows: 0, bytes: 0 }, false],
  [{ rows: 1, bytes: 100 }, true],
  [{ rows: 10_000, bytes: 9_000_000 }, true],
  [{ rows: 10_001, bytes: 100 }, false],
  [{ rows: 1, bytes: 9_000_001 }, false],
])('a few small rows are streamed, all others loaded: %j', (batch, streamed) => {
  expect(goesByStream(batch)).toBe(streamed);
});

test('I2: each row is in one part, in order, and no part is larger than an append may be', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 3_000_000 })), (sizes) => {
      const parts = partsOf(sizes.map((hw_bytes, n) => ({ n, hw_bytes })));
      expect(parts.flat()).toEqual(sizes.map((_, n) => ({ n })));
      for (const part of parts) {
        const bytes = part.reduce((sum, { n }) => sum + (sizes[Number(n)] ?? 0), 0);
        expect(part.length === 1 || bytes <= 2_000_000).toBe(true);
      }
    }),
  );
});

test('a NULL does not travel; an empty text, a zero and a no do', () => {
  const row = { a: null, b: '', c: 0, d: false };
  expect(partsOf([{ ...row, hw_bytes: 1 }])).toEqual([[{ b: '', c: 0, d: false }]]);
});

test('only where the configuration wants it, and never to Google when the other API is elsewhere', () => {
  const context = { now: () => 0, log: () => undefined, tempDirectory: '', memoryMbMax: 1, threads: 1 };
  const opened = (options: object): boolean =>
    openStreams(
      bigqueryConfigSchema.parse({ kind: 'bigquery', project: 'a-project', ...options }),
      context,
    ) !== undefined;
  const endpoint = 'http://127.0.0.1:1';
  expect(opened({})).toBe(true);
  expect(opened({ storageWrite: false })).toBe(false);
  expect(opened({ endpoint })).toBe(false);
  expect(opened({ endpoint, writeEndpoint: endpoint })).toBe(true);
});

test('after a failure it rests for ten minutes', () => {
  let nowMs = 0;
  const told: unknown[] = [];
  const config = bigqueryConfigSchema.parse({ kind: 'bigquery', project: 'a-project' });
  const context = {
    tempDirectory: '',
    memoryMbMax: 1,
    threads: 1,
    log: (...words: unknown[]) => told.push(words),
  };
  const streams = openStreams(config, { ...context, now: () => nowMs });
  streams?.failed('status 7');
  nowMs = 599_999;
  expect([streams?.isAwake(), told.length]).toEqual([false, 1]);
  nowMs = 600_000;
  expect(streams?.isAwake()).toBe(true);
});
