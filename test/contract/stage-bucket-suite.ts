import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { BUCKET_OPTIONS, type Bucket, type BucketOptions } from '../../buckets/bucket.ts';
import { openBucketStage, probeBucket } from '../../stores/stage/bucket.ts';
import type { Stage } from '../../stores/stage/stage.ts';
import type { BucketServer } from '../support/bucket-server.ts';
import { faultProxy, type FaultProxy } from '../support/fault-proxy.ts';
import { stageSuite } from './stage-suite.ts';

export interface BucketHarness {
  name: string;
  start: () => Promise<BucketServer>;
  /** `bucket` of the server at `url`. */
  connect: (url: string, bucket: string, options?: BucketOptions) => Bucket;
  /** Requests that write an object, as the proxy sees them. */
  writes: (request: { method: string; path: string }) => boolean;
  /** Requests that read the bytes of an object below `windows/`. */
  reads: (request: { method: string; path: string }) => boolean;
  /** The emulator refuses, or tells of, a body that does not have its sum. */
  comparesSums: boolean;
}

const BYTES = 200_000;
const content = (seed: string) => Buffer.from(`X${seed.repeat(BYTES)}`).subarray(0, BYTES);

async function* chunks(...parts: (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(Buffer.from(part));
}

function upload(text: string): { bytes: number; sha256: string; open: () => Readable } {
  const bytes = Buffer.from(text);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { bytes: bytes.length, sha256, open: () => Readable.from([bytes]) };
}

/** What a stage in a bucket must do beyond the suite of every stage: with a line that breaks and machines that share it. */
export function stageBucketSuite(harness: BucketHarness): void {
  let server: BucketServer;
  let proxy: FaultProxy;
  let root: string;
  let count = 0;
  let nowMs = Date.now();
  const folder = () => join(root, String((count += 1)));
  const newPrefix = () => `test-${(count += 1)}/`;

  beforeAll(async () => {
    server = await harness.start();
    proxy = await faultProxy(server.url);
    root = await mkdtemp(join(tmpdir(), 'stage-bucket-'));
  }, 60_000);
  afterAll(async () => {
    await proxy.close();
    await server.stop();
    await rm(root, { recursive: true });
  });

  const machine = async (prefix: string): Promise<Stage> =>
    await openBucketStage({
      bucket: harness.connect(proxy.url, server.bucket),
      ...{ prefix, path: folder(), now: () => nowMs },
    });

  stageSuite({
    name: harness.name,
    create: () => {
      proxy.on(() => undefined);
      const prefix = newPrefix();
      return Promise.resolve({ open: async () => await machine(prefix), destroy: () => Promise.resolve() });
    },
  });

  describe(`${harness.name}: machines and faults`, () => {
    let prefix: string;
    let here: Stage;
    let there: Stage;
    beforeEach(async () => {
      proxy.on(() => undefined);
      prefix = newPrefix();
      [here, there] = [await machine(prefix), await machine(prefix)];
    });
    const first = (matches: BucketHarness['writes'], times: number) => {
      let left = times;
      return (request: { method: string; path: string }) => matches(request) && (left -= 1) >= 0;
    };

    test('what one machine has written, another reads; it is fetched once', async () => {
      const { key } = await here.write('w_1/0/page-0', 'csv', chunks(content('a')), {});
      proxy.on(() => undefined);
      const paths = await Promise.all([there.path(key), there.path(key), there.path(key)]);
      expect(new Set(paths).size).toBe(1);
      expect(await readFile(paths[0] ?? '')).toEqual(content('a'));
      expect(proxy.seen.filter(harness.reads)).toHaveLength(1);
    });

    test('I2: create-only, the same content from two machines is one object, written once', async () => {
      const [one, two] = await Promise.all([
        here.write('w_1/0/page-0', 'csv', chunks(content('a')), {}),
        there.write('w_1/0/page-0', 'csv', chunks(content('a')), {}),
      ]);
      expect(two).toEqual(one);
      const statuses = proxy.seen.filter(harness.writes).map(({ status }) => status);
      expect(statuses.sort()).toEqual([200, 412]);
    });

    test('I2: bytes of somebody else under our key are never taken for ours', async () => {
      const { key } = await here.write('w_1/0/page-0', 'csv', chunks('mine'), {});
      const bucket = harness.connect(server.url, server.bucket);
      await bucket.remove(`${prefix}windows/${key}`);
      await bucket.put(`${prefix}windows/${key}`, upload('other'));
      await expect(here.write('w_1/0/page-0', 'csv', chunks('mine'), {})).rejects.toMatchObject({
        code: 'STAGE_REFUSED',
      });
      await expect(there.path(key)).rejects.toMatchObject({ code: 'STAGE_UNAVAILABLE' });
    });

    test('a service that is busy is asked again; one that stays so is STAGE_UNAVAILABLE', async () => {
      const busy = first(harness.writes, 2);
      proxy.on((request) => (busy(request) ? { answer: 503 } : undefined));
      const { key } = await here.write('w_1/0/page-0', 'csv', chunks(content('a')), {});
      expect(proxy.seen.filter(harness.writes)).toHaveLength(3);
      proxy.on(() => ({ answer: 503 }));
      await expect(there.path(key)).rejects.toMatchObject({ code: 'STAGE_UNAVAILABLE', retryable: true });
      expect(proxy.seen).toHaveLength(4);
      await expect(here.write('w_1/0/page-1', 'csv', chunks('b'), {})).rejects.toMatchObject({
        code: 'STAGE_UNAVAILABLE',
      });
    });

    test('a line that breaks while reading: what is handed out is whole', async () => {
      const { key } = await here.write('w_1/0/page-0', 'csv', chunks(content('a')), {});
      const cut = first(harness.reads, 2);
      proxy.on((request) => (cut(request) ? { cut: 'answer', after: 70_000 } : undefined));
      expect(await readFile(await there.path(key))).toEqual(content('a'));
      expect(proxy.seen.filter(harness.reads)).toHaveLength(3);
    });

    test('a line that breaks while writing: half an object never shows', async () => {
      const cut = first(harness.writes, 1);
      proxy.on((request) => (cut(request) ? { cut: 'request', after: 70_000 } : undefined));
      const { key } = await here.write('w_1/0/page-0', 'csv', chunks(content('a')), {});
      expect(proxy.seen.filter(harness.writes).length).toBeGreaterThanOrEqual(2);
      expect(await readFile(await there.path(key))).toEqual(content('a'));
    });

    test('an answer that is lost: the next try finds the object there', async () => {
      const cut = first(harness.writes, 1);
      proxy.on((request) => (cut(request) ? { cut: 'answer', after: 0 } : undefined));
      const { key } = await here.write('w_1/0/page-0', 'csv', chunks(content('a')), {});
      expect(await readFile(await there.path(key))).toEqual(content('a'));
      expect(proxy.seen.filter(harness.writes).at(-1)?.status).toBe(412);
    });

    test('a changed byte while reading is noticed, and never handed out', async () => {
      const { key } = await here.write('w_1/0/page-0', 'csv', chunks(content('a')), {});
      const change = first(harness.reads, 1);
      proxy.on((request) => (change(request) ? { change: 'answer' } : undefined));
      expect(await readFile(await there.path(key))).toEqual(content('a'));
      proxy.on((request) => (harness.reads(request) ? { change: 'answer' } : undefined));
      const third = await machine(prefix);
      await expect(third.path(key)).rejects.toMatchObject({ code: 'STAGE_UNAVAILABLE' });
    });

    test('the sum goes with what is written', async () => {
      const { key, sha256 } = await here.write('w_1/0/page-0', 'csv', chunks(content('a')), {});
      const sent = proxy.seen.find(harness.writes)?.headers['x-amz-content-sha256'];
      // The emulator of S3 does not compare the sum that is signed; the service itself does.
      if (!harness.comparesSums) expect(sent).toBe(sha256);
      expect(await harness.connect(server.url, server.bucket).head(`${prefix}windows/${key}`)).toEqual({
        ...{ bytes: BYTES, sha256 },
      });
    });

    if (harness.comparesSums)
      test('a changed byte while writing is noticed: what is stored is what was meant', async () => {
        const change = first(harness.writes, 1);
        proxy.on((request) => (change(request) ? { change: 'request' } : undefined));
        const { key } = await here.write('w_1/0/page-0', 'csv', chunks(content('a')), {});
        expect(proxy.seen.filter(harness.writes).length).toBeGreaterThanOrEqual(2);
        expect(await readFile(await there.path(key))).toEqual(content('a'));
      });

    test('a copy that nobody asks for leaves the disk, and is fetched again when somebody does', async () => {
      const { key } = await here.write('w_1/0/page-0', 'csv', chunks('a'), {});
      const path = await here.path(key);
      nowMs += 3 * 3_600_000;
      await here.write('w_2/0/page-0', 'csv', chunks('b'), {});
      await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await readFile(await here.path(key), 'utf8')).toBe('a');
    });

    test('I5: what one machine removes leaves the others’ copies at their next sweep', async () => {
      const { key } = await here.write('w_1/0/page-0', 'csv', chunks('a'), {});
      const path = await there.path(key);
      await here.remove('w_1');
      expect(await there.exists(key)).toBe(false);
      nowMs += 10 * 60_000;
      expect(await there.usage()).toEqual([]);
      await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(there.path(key)).rejects.toMatchObject({ code: 'STAGE_MISSING' });
    });

    test('an aborted upload ends at once and leaves nothing', async () => {
      const abort = new AbortController();
      proxy.on((request) => {
        if (harness.writes(request)) abort.abort(new Error('cancelled'));
        return undefined;
      });
      const write = here.write('w_1/0/p', 'csv', chunks(content('a')), { signal: abort.signal });
      await expect(write).rejects.toThrow('cancelled');
    });

    test('more objects than one page of a listing are all counted and all removed', async () => {
      const bucket = harness.connect(server.url, server.bucket, { ...BUCKET_OPTIONS, pageObjectsMax: 10 });
      const stage = await openBucketStage({ bucket, prefix, path: folder(), now: () => nowMs });
      const keys = Array.from({ length: 25 }, (_, index) => `${prefix}windows/w_1/0/p-${index}`);
      await Promise.all(keys.map((key) => bucket.put(key, upload('a'))));
      expect(await stage.usage()).toMatchObject([{ window: 'w_1', bytes: 25 }]);
      await stage.remove('w_1');
      expect(await stage.usage()).toEqual([]);
    });

    test('a bucket that is not there is STAGE_REFUSED, and one that is passes the probe without a trace', async () => {
      const refused = { code: 'STAGE_REFUSED', retryable: false };
      await expect(probeBucket(harness.connect(server.url, 'none'), '')).rejects.toMatchObject(refused);
      const bucket = harness.connect(server.url, server.bucket);
      await probeBucket(bucket, prefix);
      for await (const object of bucket.list(prefix)) expect(object.key).toBe('nothing');
    });

    test('nothing unfinished stays in the folder of the copies', async () => {
      const path = folder();
      const bucket = harness.connect(proxy.url, server.bucket);
      const stage = await openBucketStage({ bucket, prefix, path, now: () => nowMs });
      proxy.on((request) => (harness.writes(request) ? { answer: 403 } : undefined));
      await expect(stage.write('w_1/0/p', 'csv', chunks('a'), {})).rejects.toMatchObject({
        code: 'STAGE_REFUSED',
      });
      const left = await readdir(join(path, 'tmp'), { recursive: true, withFileTypes: true });
      expect(left.filter((entry) => entry.isFile())).toEqual([]);
    });
  });
}
