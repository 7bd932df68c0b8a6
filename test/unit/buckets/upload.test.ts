import { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Bucket, BucketParts } from '../../../buckets/bucket.ts';
import { Transfers } from '../../../buckets/transfers.ts';
import { putWhole } from '../../../buckets/upload.ts';

const MIB = 1024 ** 2;
const COUNT_MAX = 10_000;
/** S3, Multipart upload limits: the largest object. */
const OBJECT_BYTES_MAX = 5 * 1024 ** 4;

/** Takes parts of files that no test could hold, and keeps only where each begins and ends. */
function counting(limits: { aboveBytes: number; bytesMin: number; countMax: number }): {
  bucket: Bucket;
  sent: { number: number; from: number; until: number }[];
  atOnceMax: () => number;
  tags: string[];
} {
  const sent: { number: number; from: number; until: number }[] = [];
  const tags: string[] = [];
  let now = 0;
  let most = 0;
  const parts: BucketParts = {
    ...limits,
    begin: () => Promise.resolve('upload'),
    send: async (_, number, { from, until }) => {
      now += 1;
      most = Math.max(most, now);
      await Promise.resolve();
      sent.push({ number, from, until });
      now -= 1;
      return `tag-${number}`;
    },
    finish: (_, all) => {
      tags.push(...all);
      return Promise.resolve('created');
    },
    drop: () => Promise.reject(new Error('nothing to drop')),
    unfinished: () => Readable.from([]),
  };
  const bucket: Bucket = {
    ...{ place: 'nowhere', parts },
    put: (_, { bytes }) => {
      sent.push({ number: 0, from: 0, until: bytes });
      return Promise.resolve('created');
    },
    head: () => Promise.resolve(null),
    get: () => Promise.resolve(null),
    list: () => Readable.from([]),
    remove: () => Promise.resolve(),
    close: () => undefined,
  };
  return { bucket, sent, atOnceMax: () => most, tags };
}

test('parts of a file of any size: no gap, no overlap, at most 10,000, at most four at once, tags in order', async () => {
  const size = fc.oneof(
    fc.integer({ min: 0, max: 300 * MIB }),
    // A few of the largest: ten thousand parts each.
    fc.constantFrom(OBJECT_BYTES_MAX, COUNT_MAX * 16 * MIB, COUNT_MAX * 16 * MIB + 1),
  );
  await fc.assert(
    fc.asyncProperty(size, async (bytes) => {
      const limits = { aboveBytes: 64 * MIB, bytesMin: 16 * MIB, countMax: COUNT_MAX };
      const { bucket, sent, atOnceMax, tags } = counting(limits);
      const upload = { bytes, sha256: '', open: () => Readable.from([]) };
      expect(await putWhole({ bucket, transfers: new Transfers() }, 'k', upload)).toBe('created');
      sent.sort((a, b) => a.number - b.number);
      expect(sent.length).toBeLessThanOrEqual(COUNT_MAX);
      expect(sent.length === 1).toBe(bytes <= limits.aboveBytes);
      const ends = [0, ...sent.map(({ until }) => until)];
      expect(sent.every(({ from }, index) => from === ends[index])).toBe(true);
      expect(ends.at(-1)).toBe(bytes);
      if (sent.length === 1) return;
      expect(sent.slice(0, -1).every(({ from, until }) => until - from >= limits.bytesMin)).toBe(true);
      expect(tags.join()).toBe(sent.map(({ number }) => `tag-${number}`).join());
      expect(atOnceMax()).toBe(Math.min(4, sent.length));
    }),
    { numRuns: 40 },
  );
});
