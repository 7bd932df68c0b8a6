/** Large files go through a bucket of Cloud Storage, and nothing stays in it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { bqemulatorMissing, openBigquery, startBqemulator } from '../support/bqemulator.ts';
import type { TestBigquery } from '../support/bqemulator.ts';
import { gcsMissing, startGcs, type BucketServer } from '../support/bucket-server.ts';
import { httpCut, type HttpCut } from '../support/http-cut.ts';
import { openBench, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, row, signal, T } from './warehouse-harness.ts';

const missing = (await bqemulatorMissing()) ?? (await gcsMissing());
if (missing !== undefined) process.stderr.write(`SKIPPED: BigQuery with a bucket, ${missing}\n`);
/** A Parquet file of a row has more, one of tombstones less than this. */
const BYTES_MIN = 1_000;
const listSchema = z.object({ items: z.array(z.object({ name: z.string() })).default([]) });

(missing !== undefined ? describe.skip : describe)('BigQuery with a bucket', () => {
  let root: string;
  let server: TestBigquery;
  let gcs: BucketServer;
  let bench: Bench;
  let seen: HttpCut;
  let sent: HttpCut;
  let warehouse: Warehouse;
  const open = (options: object = {}, now?: () => number): Promise<Warehouse> => {
    const bucket = { bucket: gcs.bucket, bucketEndpoint: sent.endpoint, bucketBytesMin: BYTES_MIN };
    return openBigquery(seen.endpoint, bench.folder, { ...bucket, ...options }, now);
  };
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'headwater-bucket-'));
    [server, gcs, bench] = await Promise.all([startBqemulator(root), startGcs(root), openBench()]);
    const calm = { at: 0, side: 'request', forEver: false } as const;
    [seen, sent] = await Promise.all([httpCut(server.endpoint, calm), httpCut(gcs.url, calm)]);
    warehouse = await open();
  }, 90_000);
  afterAll(async () => {
    await warehouse.close();
    await Promise.all([seen.close(), sent.close(), bench.close()]);
    await Promise.all([server.stop(), gcs.stop()]);
    await rm(root, { recursive: true, force: true });
  });
  const objects = async (): Promise<string[]> => {
    const answer = await fetch(`${gcs.url}/storage/v1/b/${gcs.bucket}/o`);
    return listSchema.parse(await answer.json()).items.map(({ name }) => name);
  };
  const uploads = (to: HttpCut): number =>
    to.requests.filter((request) => request.startsWith('POST /upload/')).length;

  test('a large file is loaded from the bucket, a small one is sent itself; the proof finds every row', async () => {
    await warehouse.migrate('crm', NAME, EVOLVE);
    const csv = Array.from({ length: 200 }, (_, at) => row(String(at), 1, `name ${at}`));
    const tombstones = [{ id: '1000', deletedAt: T(9) }];
    const request = await bench.batch(NAME, { csv, tombstones }, { window: windowOf('w1'), id: 'b1' });
    expect((await warehouse.load(request, signal)).inserted).toBe(201);
    expect(await warehouse.verify(request)).toEqual({ present: 201, missing: 0 });
    expect([uploads(sent), uploads(seen), await objects()]).toEqual([1, 1, []]);
  });

  test('a load that fails leaves nothing in the bucket either, and lands when it is tried again', async () => {
    const csv = Array.from({ length: 200 }, (_, at) => row(String(at), 2, `later ${at}`));
    const request = await bench.batch(NAME, { csv }, { window: windowOf('w2'), id: 'b2' });
    const controller = new AbortController();
    const [before, asked] = [uploads(sent), seen.requests.length];
    const isLoading = (): boolean =>
      uploads(sent) > before && /^POST .*\/jobs$/.test(seen.requests.slice(asked).at(-1) ?? '');
    const stop = setInterval(() => isLoading() && controller.abort(new Error('stop')), 1);
    await expect(warehouse.load(request, controller.signal)).rejects.toThrow('stop');
    clearInterval(stop);
    expect(await objects()).toEqual([]);
    expect((await warehouse.load(request, signal)).updated).toBe(200);
    expect(await objects()).toEqual([]);
  });

  test('check writes into it and cleans up; a bucket that is not there has its grant told', async () => {
    const good = await warehouse.check();
    expect(good.find(({ check }) => check === 'bucket')).toMatchObject({ ok: true });
    expect(await objects()).toEqual([]);
    const other = await open({ bucket: 'nowhere' });
    const [, bad] = await other.check();
    expect([bad?.check, bad?.ok, bad?.remedy]).toEqual([
      ...[
        'bucket',
        false,
        expect.stringMatching(/^gcloud storage buckets add-iam-policy-binding gs:\/\/nowhere /),
      ],
    ]);
    await other.migrate('crm', NAME, EVOLVE);
    const csv = Array.from({ length: 200 }, (_, at) => row(String(at), 1, 'x'));
    const request = await bench.batch(NAME, { csv }, { window: windowOf('w3'), id: 'b3' });
    expect(await code(other.load(request, signal))).toBe('WAREHOUSE_REJECTED');
    await other.close();
  });

  test('what a killed worker left in it goes a day later', async () => {
    const put = async (): Promise<void> => {
      const name = 'headwater-bigquery%2Fleft.parquet';
      const url = `${gcs.url}/upload/storage/v1/b/${gcs.bucket}/o?uploadType=media&name=${name}`;
      await fetch(url, { method: 'POST', body: 'left' });
    };
    await put();
    await warehouse.prune(T(0), 1);
    expect(await objects()).toEqual(['headwater-bigquery/left.parquet']);
    const later = Date.now() + 25 * 3_600_000;
    const tomorrow = await open({}, () => later);
    await tomorrow.prune(T(0), 1);
    await tomorrow.close();
    expect(await objects()).toEqual([]);
  });
});
