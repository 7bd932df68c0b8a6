import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { BUCKET_OPTIONS, type Bucket } from '../../buckets/bucket.ts';
import { s3Bucket } from '../../buckets/s3.ts';
import { Transfers } from '../../buckets/transfers.ts';
import { dropLeftOver } from '../../buckets/upload.ts';
import { openBucketStage } from '../../stores/stage/bucket.ts';
import type { Stage } from '../../stores/stage/stage.ts';
import { s3Missing, startS3, type BucketServer } from '../support/bucket-server.ts';
import { faultProxy, type Fault, type FaultProxy } from '../support/fault-proxy.ts';

const missing = await s3Missing();
if (missing !== undefined) console.warn(`SKIPPED: uploads in parts to S3, ${missing}`);
const suite = typeof missing === 'string' ? describe.skip : describe;

/** The least that S3 takes for a part that is not the last. */
const PART_BYTES = 5 * 1024 ** 2;
const CONTENT = randomBytes(2 * PART_BYTES + 1_000);
/** All that the emulator lists was begun then. */
const BEGUN_MS = Date.parse('2010-11-10T20:48:33Z');
const HOUR_MS = 3_600_000;

type Request = { method: string; path: string };
const isBegin = ({ method, path }: Request) => method === 'POST' && /[?&]uploads/.test(path);
const isPart = ({ method, path }: Request) => method === 'PUT' && path.includes('partNumber=');
const isFinish = ({ method, path }: Request) => method === 'POST' && path.includes('uploadId=');
const isDrop = ({ method, path }: Request) => method === 'DELETE' && path.includes('uploadId=');

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function* content(bytes: Uint8Array = CONTENT): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(bytes);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

suite('a file that goes to S3 in parts', () => {
  let server: BucketServer;
  let proxy: FaultProxy;
  let root: string;
  let prefix: string;
  let count = 0;

  beforeAll(async () => {
    server = await startS3();
    proxy = await faultProxy(server.url);
    root = await mkdtemp(join(tmpdir(), 'stage-parts-'));
  }, 60_000);
  afterAll(async () => {
    await proxy.close();
    await server.stop();
    await rm(root, { recursive: true });
  });
  beforeEach(() => {
    proxy.on(() => undefined);
    prefix = `test-${(count += 1)}/`;
  });

  const connect = (endpoint: string): Bucket =>
    s3Bucket(
      {
        ...{ kind: 's3', bucket: server.bucket, endpoint, region: 'us-east-1', forcePathStyle: true },
        login: { accessKeyId: 'test', secretAccessKey: 'test' },
      },
      { ...BUCKET_OPTIONS, parts: { aboveBytes: PART_BYTES, bytesMin: PART_BYTES } },
    );
  const machine = async (now: () => number = Date.now): Promise<Stage> =>
    await openBucketStage({
      bucket: connect(proxy.url),
      ...{ prefix, path: join(root, String((count += 1))), now },
    });
  const unfinished = async () =>
    await all(connect(server.url).parts?.unfinished(prefix) ?? Readable.from([]));
  const objects = async () => await all(connect(server.url).list(prefix));
  /** The fault for the first so many requests of a kind, or for each. */
  const fault = (matches: (request: Request) => boolean, what: Fault, times = Infinity) => {
    let left = times;
    proxy.on((request) => (matches(request) && (left -= 1) >= 0 ? what : undefined));
  };
  const write = async (stage: Stage, signal?: AbortSignal) =>
    await stage.write('w_1/0/rows', 'parquet', content(), { ...(signal && { signal }) });
  const readBack = async (key: string) => await readFile(await (await machine()).path(key));

  test('each part goes with its own sum, and what is read back is the whole', async () => {
    const { key } = await write(await machine());
    const sums = proxy.seen.filter(isPart).map(({ headers }) => headers['x-amz-content-sha256']);
    const parts = [0, 1, 2].map((at) => CONTENT.subarray(at * PART_BYTES, (at + 1) * PART_BYTES));
    expect(sums.sort()).toEqual(parts.map(sha256).sort());
    expect(proxy.seen.filter(isFinish)).toMatchObject([{ headers: { 'if-none-match': '*' } }]);
    const head = await connect(server.url).head(`${prefix}windows/${key}`);
    expect(head).toEqual({ bytes: CONTENT.length, sha256: sha256(CONTENT) });
    expect((await readBack(key)).equals(CONTENT)).toBe(true);
    expect(await unfinished()).toEqual([]);
  });

  test('I2: the same key completed twice is one object, and no part stays', async () => {
    const one = await write(await machine());
    expect(await write(await machine())).toEqual(one);
    expect(proxy.seen.filter(isFinish).map(({ status }) => status)).toEqual([200, 412]);
    // At once: the emulator lets both through, the service one.
    const both = await Promise.all([write(await machine()), write(await machine())]);
    expect(both).toEqual([one, one]);
    expect(await objects()).toHaveLength(1);
    expect(await unfinished()).toEqual([]);
  });

  test('I2: bytes of somebody else under our key are never taken for ours', async () => {
    const { key } = await write(await machine());
    const bucket = connect(server.url);
    await bucket.remove(`${prefix}windows/${key}`);
    const other = { bytes: 5, sha256: sha256(Buffer.from('other')) };
    await bucket.put(`${prefix}windows/${key}`, {
      ...other,
      open: () => Readable.from([Buffer.from('other')]),
    });
    await expect(write(await machine())).rejects.toMatchObject({ code: 'STAGE_REFUSED' });
    expect(await unfinished()).toEqual([]);
  });

  test('a part that fails is sent again by itself', async () => {
    fault(isPart, { answer: 503 }, 2);
    const { key } = await write(await machine());
    expect(proxy.seen.filter(isPart)).toHaveLength(3 + 2);
    expect(proxy.seen.filter(isBegin)).toHaveLength(1);
    expect((await readBack(key)).equals(CONTENT)).toBe(true);
  });

  test('a line that breaks within a part: the object is whole', async () => {
    fault(isPart, { cut: 'request', after: 100_000 }, 2);
    const { key } = await write(await machine());
    expect((await readBack(key)).equals(CONTENT)).toBe(true);
  });

  test('a part that never gets through: STAGE_UNAVAILABLE, nothing shows and no part stays', async () => {
    const second = (request: Request) => isPart(request) && request.path.includes('partNumber=2');
    fault(second, { answer: 500 });
    await expect(write(await machine())).rejects.toMatchObject({ code: 'STAGE_UNAVAILABLE' });
    expect(proxy.seen.filter(second)).toHaveLength(4);
    expect(await objects()).toEqual([]);
    expect(await unfinished()).toEqual([]);
  });

  test('a refused part ends the upload at once', async () => {
    fault(isPart, { answer: 403 });
    await expect(write(await machine())).rejects.toMatchObject({ code: 'STAGE_REFUSED' });
    expect(proxy.seen.filter(isPart).length).toBeLessThanOrEqual(3);
    expect(await unfinished()).toEqual([]);
  });

  test('an answer to the completion that is lost: the next try finds it done', async () => {
    fault(isFinish, { cut: 'answer', after: 0 }, 1);
    const { key } = await write(await machine());
    expect(proxy.seen.filter(isPart)).toHaveLength(3);
    expect((await readBack(key)).equals(CONTENT)).toBe(true);
    expect(await unfinished()).toEqual([]);
  });

  test('a service without conditions on a completion is asked for the object first', async () => {
    fault(isFinish, { answer: 501 }, 1);
    const { key } = await write(await machine());
    expect((await readBack(key)).equals(CONTENT)).toBe(true);
    fault(isFinish, { answer: 501 });
    await write(await machine());
    expect(proxy.seen.filter(isFinish)).toHaveLength(1);
    expect(await unfinished()).toEqual([]);
  });

  test('an aborted upload ends with the reason of the abort, and no part stays', async () => {
    const abort = new AbortController();
    proxy.on((request) => {
      if (isPart(request)) abort.abort(new Error('cancelled'));
      return undefined;
    });
    await expect(write(await machine(), abort.signal)).rejects.toThrow('cancelled');
    expect(proxy.seen.filter(isDrop)).toHaveLength(1);
    expect(await objects()).toEqual([]);
    expect(await unfinished()).toEqual([]);
  });

  test('what a worker leaves that dies between two parts goes after a day, and not before', async () => {
    // From its second part on nothing of it reaches the service, as of a killed process.
    let parts = 0;
    proxy.on((request) => {
      if (isPart(request)) parts += 1;
      return parts > 1 ? { answer: 503 } : undefined;
    });
    await expect(write(await machine())).rejects.toMatchObject({ code: 'STAGE_UNAVAILABLE' });
    expect(await unfinished()).toHaveLength(1);
    proxy.on(() => undefined);
    const line = { bucket: connect(proxy.url), transfers: new Transfers() };
    expect(await dropLeftOver(line, `${prefix}windows/`, BEGUN_MS + 23 * HOUR_MS)).toBe(0);
    expect(await unfinished()).toHaveLength(1);
    const next = await machine();
    const { key } = await write(next);
    expect(await next.usage()).toMatchObject([{ window: 'w_1', bytes: CONTENT.length }]);
    expect(await unfinished()).toEqual([]);
    expect((await readBack(key)).equals(CONTENT)).toBe(true);
  });

  test('a sweep without the right to list uploads holds nobody up', async () => {
    const stage = await machine();
    fault(({ method, path }) => method === 'GET' && path.includes('uploads'), { answer: 403 });
    expect(await stage.usage()).toEqual([]);
    expect(proxy.seen.some(({ path }) => path.includes('uploads'))).toBe(true);
  });
});
