import { describe, expect, test } from '@jest/globals';
import type { Cursor } from '../../schemas/page.ts';
import type { ExtractContext } from '../../sources/source.ts';
import { readPages } from './read-pages.ts';
import { BULK, REST, ROWS, connect, failure, first, idle, sandbox, worldOf } from './salesforce-fixture.ts';
import { load } from './source-suite.ts';

describe('Bulk', () => {
  test('ten result pages, each with a header that is not a row, and the job is deleted at the end', async () => {
    const source = connect({ thresholds: BULK });
    const loaded = await load(worldOf(source), await first(source));
    expect(loaded.pages.map((page) => page.rows?.length)).toEqual([undefined, ...Array(10).fill(100)]);
    expect(new Set(loaded.ids).size).toBe(ROWS);
    expect(loaded.ids).not.toContain('Id');
    expect(sandbox.stats.of('DELETE bulk.job')).toBe(1);
  });

  test.each([{ truncateAfterBytes: 5000 }, { reset: true } as const])(
    'a page cut by %j is no success',
    async (action) => {
      const source = connect({ thresholds: BULK });
      const request = await first(source);
      sandbox.faults.add({ match: { path: '/results', nth: 4 }, action });
      const cursors: Cursor[] = [];
      const plan = await source.plan(request);
      const slice = plan.slices[0]!;
      const ids: string[] = [];
      const read = async (after: ExtractContext['after']): Promise<void> => {
        for await (const page of readPages(source.extract(request, slice, { ...idle(), after }))) {
          cursors.push(page.cursor);
          ids.push(...(page.rows ?? []).map((row) => row['Id'] ?? ''));
        }
      };
      if ('reset' in action) {
        // One stale socket is retried inside, since nothing had been answered yet.
        await read(undefined);
      } else {
        expect((await failure(read(undefined))).code).toBe('SOURCE_PROTOCOL');
        expect(cursors).toHaveLength(4);
        await read(cursors.at(-1));
      }
      expect(ids).toHaveLength(ROWS);
      expect(new Set(ids).size).toBe(ROWS);
      expect(sandbox.stats.of('POST bulk.jobs')).toBe(1);
    },
  );

  test('a page that ends early but cleanly has fewer rows than it announced', async () => {
    const source = connect({ thresholds: BULK });
    const request = await first(source);
    sandbox.faults.add({ match: { path: '/results', nth: 2 }, action: { lastRowDropped: true } });
    const slice = (await source.plan(request)).slices[0]!;
    const pages = [];
    for await (const page of readPages(source.extract(request, slice, idle()))) pages.push(page);
    expect(pages[2]?.rowsSent).toBe(100);
    expect(pages[2]?.rows).toHaveLength(99);
  });

  test.each([
    ['a job that expires between pages', { expireJob: true } as const, 'JOB_LOST'],
    ['a job that fails', { failJob: true, message: 'UNKNOWN_EXCEPTION: sorry' } as const, 'JOB_LOST'],
    [
      'a job that fails on a hidden field',
      { failJob: true, message: "INVALID_FIELD: No such column 'Title' on entity" } as const,
      'SOURCE_REJECTED',
    ],
  ])('%s', async (_name, action, code) => {
    const source = connect({ thresholds: BULK });
    const request = await first(source);
    sandbox.faults.add({ match: { path: /jobs\/query\/\w+$/, method: 'GET', nth: 1 }, action });
    expect((await failure(load(worldOf(source), request))).code).toBe(code);
    // The slice restarts with a new job.
    expect((await load(worldOf(source), request)).ids).toHaveLength(ROWS);
  });

  test('the job is known before it is waited for, and abandon ends it', async () => {
    sandbox.behaviour.bulkJobMs = 60_000;
    const source = connect({ thresholds: BULK });
    const request = await first(source);
    const slice = (await source.plan(request)).slices[0]!;
    const control = new AbortController();
    const waits: string[] = [];
    const reason = new Error('cancelled');
    const context = {
      ...idle(),
      signal: control.signal,
      onWait: (what: string) => {
        waits.push(what);
        if (waits.length === 3) control.abort(reason);
      },
    };
    const pages = source.extract(request, slice, context)[Symbol.asyncIterator]();
    const cursor = (await pages.next()).value?.cursor();
    expect(sandbox.stats.of('bulk.job')).toBe(0);
    await expect(pages.next()).rejects.toBe(reason);
    expect(waits[0]).toMatch(/^bulk job 750\w+ of Contact is UploadComplete$/);
    await source.abandon(cursor ?? {});
    expect(sandbox.stats.of('PATCH bulk.job')).toBe(1);
    await source.abandon(cursor ?? {});
    const after = failure(load(worldOf(source), request, { after: cursor }));
    expect((await after).code).toBe('JOB_LOST');
  });

  test('an object that Bulk refuses is read by REST, and so is everything above the job allowance', async () => {
    const source = connect({ thresholds: BULK });
    const log = await load(worldOf(source), await first(source, 'Log__b'));
    expect(log.ids).toHaveLength(30);
    expect(log.pages.map((page) => page.format)).toEqual(['json', 'json']);
    sandbox.behaviour.bulkQueryJobsMax = 0;
    expect((await load(worldOf(source), await first(source))).ids).toHaveLength(ROWS);
  });
});

describe('REST', () => {
  test('an expired cursor goes on after the last record, even among equal stamps', async () => {
    const at = sandbox.clock.now() - 3_600_000;
    sandbox.data.touchMany('Contact', 0.9, { at });
    const source = connect({ thresholds: REST });
    const request = await first(source);
    const slice = (await source.plan(request)).slices[0]!;
    const ids: string[] = [];
    for await (const page of readPages(source.extract(request, slice, idle()))) {
      ids.push(...(page.rows ?? []).map((row) => row['Id'] ?? ''));
      sandbox.expire.cursors();
    }
    expect(ids).toHaveLength(ROWS);
    expect(new Set(ids).size).toBe(ROWS);
  });

  test('a page that lost its last row fails the transport receipt', async () => {
    const source = connect({ thresholds: REST });
    const request = await first(source);
    sandbox.faults.add({ match: { path: '/query', after: 2, times: 1 }, action: { lastRowDropped: true } });
    expect((await failure(load(worldOf(source), request))).code).toBe('RECEIPT_TRANSPORT');
  });

  test('a body cut cleanly in mid-page is not JSON, hence no success', async () => {
    const source = connect({ thresholds: REST });
    const request = await first(source);
    const match = { path: '/query', after: 2, times: 1 };
    sandbox.faults.add({ match, action: { truncateAfterBytes: 3000, clean: true } });
    expect((await failure(load(worldOf(source), request))).code).toBe('SOURCE_PROTOCOL');
  });

  test('fields too long for one URI are read in groups and joined by id, with every digit', async () => {
    for (let n = 0; n < 300; n++) {
      sandbox.data.addField('Log__b', {
        name: `Very_Long_Custom_Field_Name_Number_${n}__c`,
        type: n % 7 === 0 ? 'double' : 'string',
        precision: 18,
        scale: 2,
        filled: true,
      });
    }
    const source = connect({ thresholds: REST });
    const loaded = await load(worldOf(source), await first(source, 'Log__b'));
    expect(loaded.ids).toHaveLength(30);
    for await (const truth of sandbox.data.truth('Log__b')) {
      const row = loaded.byId.get(truth.Id) ?? {};
      expect(row['Very_Long_Custom_Field_Name_Number_299__c']).toBe(
        truth.values['Very_Long_Custom_Field_Name_Number_299__c'],
      );
      expect(row['Event__c']).toBe(truth.values['Event__c']);
    }
  });

  test('a wide object that Bulk can read goes by Bulk, whatever its size', async () => {
    for (let n = 0; n < 400; n++) {
      sandbox.data.addField('Account', {
        name: `Very_Long_Custom_Field_Name_Number_${n}__c`,
        type: 'string',
      });
    }
    const source = connect({ thresholds: REST });
    expect((await source.plan(await first(source, 'Account'))).slices[0]?.api).toBe('bulk');
  });
});

describe('sessions, limits and refusals', () => {
  test.each([BULK, REST])(
    'a token that expires in mid-extract is refreshed once for all readers',
    async (thresholds) => {
      const source = connect({ thresholds });
      const request = await first(source);
      const plan = await source.plan(request);
      sandbox.stats.reset();
      let expired = false;
      const readers = Array.from({ length: 6 }, async () => {
        const ids: string[] = [];
        let page = 0;
        for await (const one of readPages(source.extract(request, plan.slices[0]!, idle()))) {
          ids.push(...(one.rows ?? []).map((row) => row['Id'] ?? ''));
          page++;
          if (page === 2 && !expired) {
            expired = true;
            sandbox.expire.tokens();
          }
        }
        return ids.length;
      });
      expect(await Promise.all(readers)).toEqual(Array(6).fill(ROWS));
      expect(sandbox.stats.of('POST oauth.token')).toBe(1);
    },
  );

  test.each([
    [429, { 'retry-after': '7' }, 'SOURCE_THROTTLED', 7000],
    [503, { 'retry-after': 'date' }, 'SOURCE_THROTTLED', 90_000],
    [503, {}, 'SOURCE_UNAVAILABLE', undefined],
    [500, {}, 'SOURCE_UNAVAILABLE', undefined],
  ])('%d %j is %s after %s ms', async (status, headers: Record<string, string>, code, ms) => {
    const source = connect({ thresholds: REST });
    const request = await first(source);
    const wait =
      headers['retry-after'] === 'date'
        ? { 'retry-after': new Date(Math.ceil(sandbox.clock.now() / 1000) * 1000 + 90_000).toUTCString() }
        : headers;
    sandbox.faults.add({ match: { path: '/query' }, action: { status, headers: wait } });
    const error = await failure(load(worldOf(source), request));
    expect(error.code).toBe(code);
    if (ms === undefined) expect(error.retryAfterMs).toBeUndefined();
    else expect(Math.abs((error.retryAfterMs ?? 0) - ms)).toBeLessThanOrEqual(1500);
    expect(sandbox.stats.of('rest.queryAll')).toBe(1);
  });

  test('the daily limit ends as QUOTA_EXHAUSTED, and the quota was reported on the way', async () => {
    const source = connect({ thresholds: REST });
    const request = await first(source);
    expect(await source.quota()).toEqual({ used: 3, limit: 100_000 });
    sandbox.behaviour.apiRequestsMax = 4;
    expect((await failure(load(worldOf(source), request))).code).toBe('QUOTA_EXHAUSTED');
    expect(source.quotas()).toBeGreaterThan(2);
  });

  test('a field hidden since describe is named, and the next description leaves it out', async () => {
    const source = connect({ thresholds: REST });
    const request = await first(source);
    sandbox.data.hideField('Contact', 'Title');
    const error = await failure(load(worldOf(source), request));
    expect(error.code).toBe('SOURCE_REJECTED');
    expect(error.details['field']).toBe('Title');
    const again = await first(source);
    expect(again.schema.fields.map((field) => field.name)).not.toContain('Title');
    expect(again.schema.hash).not.toBe(request.schema.hash);
    expect((await load(worldOf(source), again)).ids).toHaveLength(ROWS);
  });

  test('an unknown object is OBJECT_UNKNOWN, a wrong secret AUTH_FAILED without the secret', async () => {
    expect((await failure(connect().describe('Nope__c'))).code).toBe('OBJECT_UNKNOWN');
    const auth = {
      grant: 'client_credentials',
      clientId: sandbox.clientId,
      clientSecret: 'wrong-secret',
    } as const;
    const source = connect({ auth });
    const error = await failure(source.describe('Contact'));
    expect(error.code).toBe('AUTH_FAILED');
    expect(error.message).not.toContain('wrong-secret');
    expect(await source.check()).toMatchObject([{ check: 'token', ok: false }]);
  });

  test('check names what is wrong with the version, the objects and the calls', async () => {
    const objects = ['Contact', 'Nope__c', 'ContactChangeEvent'];
    expect(await connect({ apiVersion: '12.0' }).check()).toMatchObject([
      { ok: true },
      { check: 'API version', ok: false },
    ]);
    sandbox.behaviour.apiRequestsMax = 500;
    const lines = await connect({ objects }).check();
    expect(lines.find((line) => line.check === 'objects')?.detail).toBe(
      'unknown or hidden from this user: Nope__c; not queryable: ContactChangeEvent',
    );
    expect(lines.find((line) => line.check === 'calls per day')).toMatchObject({ ok: false });
  });
});
