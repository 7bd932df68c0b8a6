/** A source that misbehaves: what recovers does, what does not is said, and nothing is ever green over missing rows. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { SandboxOptions } from '../../sandbox/salesforce/options.ts';
import { lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

const REST = { thresholds: { restPageRows: 200, bulkRowsMin: 100_000 } };
const BULK = { thresholds: { bulkRowsMin: 20, bulkPageRowsMax: 200 } };
const ROWS = 600;

let temporal: TestTemporal;
let pipeline: Pipeline;

beforeAll(async () => {
  temporal = await withTemporal();
}, 120_000);
afterAll(() => temporal.stop());
afterEach(() => pipeline.close());

async function open(connection: Record<string, unknown> = REST, sandbox: SandboxOptions = {}): Promise<void> {
  pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: ROWS }, ...sandbox },
    connection,
  });
  await pipeline.start();
  pipeline.pass();
}

async function expectLanded(): Promise<void> {
  const end = await pipeline.sync();
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  expect(lineOf(end).verdict).toBe('proven');
  expect(await pipeline.oracle('Contact')).toEqual([]);
}

describe('what passes by itself', () => {
  test('storms of 503 and 429 with Retry-After', async () => {
    await open();
    const busy = { 'retry-after': '1' };
    pipeline.sandbox.faults.add({
      match: { path: '/updated', times: 1 },
      action: { status: 503, headers: busy },
    });
    pipeline.sandbox.faults.add({
      match: { path: '/describe', times: 1 },
      action: { status: 429, headers: busy },
    });
    pipeline.sandbox.faults.add({
      match: { path: '/queryAll', after: 2, times: 2 },
      action: { status: 503, headers: busy },
    });
    pipeline.sandbox.faults.add({
      match: { path: '/queryAll', after: 3, times: 1 },
      action: { status: 500 },
    });
    await expectLanded();
    // A page that is staged is not read again: three pages, four refusals, the counts.
    expect(pipeline.sandbox.stats.of('rest.queryAll')).toBeLessThanOrEqual(14);
  });

  test('a token that expires between two pages is renewed once', async () => {
    await open();
    pipeline.sandbox.faults.add({ match: { path: '/queryAll', nth: 3 }, action: { expireToken: true } });
    await expectLanded();
    expect(pipeline.sandbox.stats.of('POST oauth.token')).toBe(2);
  });

  test.each([
    ['cut in the middle', { truncateAfterBytes: 3_000 }],
    ['cut as if all were well', { truncateAfterBytes: 3_000, clean: true }],
    ['reset', { reset: true as const }],
    ['reset after the work', { resetAfterWork: true as const }],
  ])('an answer that is %s', async (_, action) => {
    await open();
    pipeline.sandbox.faults.add({ match: { path: '/queryAll', nth: 3 }, action });
    await expectLanded();
  });

  test('a bulk job that expires, and one that fails', async () => {
    await open(BULK);
    pipeline.sandbox.faults.add({ match: { path: '/results', nth: 2 }, action: { expireJob: true } });
    await expectLanded();
    pipeline.sandbox.data.touchMany('Contact', 0.5);
    pipeline.pass();
    pipeline.sandbox.faults.add({ match: { path: /jobs\/query\/\w+$/, nth: 1 }, action: { failJob: true } });
    expect((await pipeline.sync()).outcome).toBe('ok');
    expect(await pipeline.oracle('Contact')).toEqual([]);
  });

  test('an answer of bulk that is cut as if all were well', async () => {
    await open(BULK);
    pipeline.sandbox.faults.add({
      match: { path: '/results', nth: 2 },
      action: { truncateAfterBytes: 5_000, clean: true },
    });
    await expectLanded();
  });
});

describe('bad rows', () => {
  test('one poison record is set aside with its reason, the others land', async () => {
    await open();
    const { data } = pipeline.sandbox;
    data.setRaw('Contact', 7, 'Birthdate', 'not a date');
    pipeline.pass();
    const end = await pipeline.sync();
    expect([end.outcome, lineOf(end).quarantined, lineOf(end).inserted]).toEqual(['ok', 1, ROWS - 1]);
    const rows = await pipeline.rows('SELECT record, field, reason FROM _headwater.quarantine');
    expect(rows).toEqual([{ record: data.idOf('Contact', 7), field: 'Birthdate', reason: 'not a date' }]);
    data.setRaw('Contact', 7, 'Birthdate', '2001-02-03');
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    expect(await pipeline.oracle('Contact')).toEqual([]);
  });

  test('more than a hundredth and more than a hundred stop the object; the table stays as it was', async () => {
    await open();
    await expectLanded();
    const held = await pipeline.rows(
      'SELECT count(*)::INTEGER AS n, max(_loaded_at)::VARCHAR AS at FROM crm.contact',
    );
    for (let row = 0; row < 150; row += 1) pipeline.sandbox.data.setRaw('Contact', row, 'Birthdate', 'soon');
    pipeline.pass();
    const end = await pipeline.sync();
    expect(end.outcome).toBe('TOO_MANY_BAD_ROWS');
    expect(end.message).not.toContain('soon');
    expect(
      await pipeline.rows('SELECT count(*)::INTEGER AS n, max(_loaded_at)::VARCHAR AS at FROM crm.contact'),
    ).toEqual(held);
    for (let row = 0; row < 150; row += 1) pipeline.sandbox.data.setRaw('Contact', row, 'Birthdate', null);
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    expect(await pipeline.oracle('Contact')).toEqual([]);
  });
});

describe('never green over missing rows', () => {
  test.each([
    ['no rows with 200', REST, '/queryAll', { emptyOk: true as const }],
    ['the last row of each page dropped', REST, '/queryAll', { lastRowDropped: true as const }],
    ['no rows with 200, no lists of ids either', REST, '/query', { emptyOk: true as const }],
    ['no rows with 200 by bulk', BULK, '/results', { emptyOk: true as const }],
    ['the last row of each page dropped by bulk', BULK, '/results', { lastRowDropped: true as const }],
  ])('%s', async (_, connection, path, action) => {
    await open(connection);
    // The count before the read is honest; what is read is not.
    pipeline.sandbox.faults.add({ match: { path: new RegExp(`${path}(?!.*count\\()`, 'i') }, action });
    const handle = await pipeline.begin({ tuning: { heartbeatMs: 2_000, retryMs: 10 } });
    const end = await Promise.race([pipeline.ended(handle), sleep(4_000).then(() => undefined)]);
    expect(pipeline.sandbox.faults.list()[0]?.used).toBeGreaterThan(0);
    // What could be fetched by id after all has landed; anything else must not count as covered.
    if (end?.outcome === 'ok') expect(await pipeline.oracle('Contact')).toEqual([]);
    else expect(await pipeline.ledger((ledger) => ledger.coverage('crm', 'Contact'))).toEqual([]);
    pipeline.sandbox.faults.clear();
    // A run still open may heal by itself, or its last attempt was on the way when the fault was cleared.
    const late = end === undefined ? await pipeline.ended(handle) : undefined;
    const healed = late?.outcome === 'ok' ? late : await pipeline.sync();
    expect([healed.outcome, healed.message]).toEqual(['ok', '']);
    expect(await pipeline.oracle('Contact')).toEqual([]);
  });
});

describe('empty to rows, ids and counts alike, while another list names changes', () => {
  test.each([
    ['REST', REST],
    ['bulk', BULK],
  ])('by %s, the window is refused and the table stays as it was; the next run lands it', async (_, how) => {
    await open(how);
    await expectLanded();
    const { data, faults, stats } = pipeline.sandbox;
    const covered = await pipeline.ledger((ledger) => ledger.coverage('crm', 'Contact'));
    // Deletions that are told change nothing: they are no rows.
    data.delete('Contact', 1);
    data.touchMany('Contact', 0.5);
    pipeline.pass(3_600_000);
    for (const path of ['/query', '/results']) faults.add({ match: { path }, action: { emptyOk: true } });
    const end = await pipeline.sync();
    expect([end.outcome, end.message]).toEqual([
      'RECEIPT_SOURCE',
      expect.stringContaining('names 300 changed'),
    ]);
    expect(await pipeline.ledger((ledger) => ledger.coverage('crm', 'Contact'))).toEqual(covered);
    expect(await pipeline.rows('SELECT 1 FROM crm.contact WHERE _deleted')).toEqual([]);
    faults.clear();
    expect((await pipeline.sync()).outcome).toBe('ok');
    expect(await pipeline.oracle('Contact')).toEqual([]);
    pipeline.pass(3_600_000);
    stats.reset();
    expect((await pipeline.sync()).run).toMatchObject({ outcome: 'ok', idle: 1 });
    expect(stats.apiRequests).toBeLessThanOrEqual(2);
  });

  test('a change in the minute of the window, after it or before it, is no contradiction', async () => {
    await open();
    await expectLanded();
    const { data, clock, stats } = pipeline.sandbox;
    // The next window's reading starts at 20 seconds past, ten minutes earlier; the list starts with the full minute.
    const minuteMs = Math.ceil(clock.now() / 60_000) * 60_000 + 3_600_000;
    data.update('Contact', 1, { LastName: 'Before' }, { at: minuteMs - 600_000 + 10_000 });
    clock.set(minuteMs + 20_000);
    expect((await pipeline.sync()).outcome).toBe('ok');
    clock.advance(630_000);
    data.update('Contact', 2, { LastName: 'After' }, { at: clock.now() + 20_000 });
    stats.reset();
    const end = await pipeline.sync();
    expect([end.outcome, end.message, lineOf(end).rows]).toEqual(['ok', '', 0]);
    expect(stats.of('rest.updated')).toBe(2);
    clock.advance(3_600_000);
    expect((await pipeline.sync()).outcome).toBe('ok');
    expect(await pipeline.oracle('Contact')).toEqual([]);
  });
});

describe('the daily quota', () => {
  test('the run ends deferred and the next one resumes the same window', async () => {
    await open();
    await expectLanded();
    pipeline.sandbox.data.touchMany('Contact', 1);
    pipeline.pass();
    pipeline.sandbox.behaviour.apiRequestsMax = pipeline.sandbox.stats.apiRequests + 5;
    const end = await pipeline.sync();
    expect(end.outcome).toBe('deferred');
    const [left] = await pipeline.ledger((ledger) => ledger.openWindows('crm'));
    pipeline.sandbox.behaviour.apiRequestsMax = 100_000;
    // What another process of the connection has learned meanwhile.
    await pipeline.ledger((ledger) => ledger.reportQuota('crm', { used: 100, limit: 100_000 }, Date.now()));
    const next = await pipeline.sync();
    expect([next.outcome, next.message]).toEqual(['ok', '']);
    if (left !== undefined) expect(next.run?.objects.map((line) => line.window)).toContain(left.id);
    expect(await pipeline.oracle('Contact')).toEqual([]);
  });

  test('a limit that only an answer tells is deferred, too', async () => {
    await open();
    const body = JSON.stringify([
      { errorCode: 'REQUEST_LIMIT_EXCEEDED', message: 'TotalRequests Limit exceeded.' },
    ]);
    pipeline.sandbox.faults.add({ match: { path: '/queryAll' }, action: { status: 403, body } });
    expect((await pipeline.sync()).outcome).toBe('deferred');
    pipeline.sandbox.faults.clear();
    await expectLanded();
  });
});

describe('a schema that moves', () => {
  test('fields are added, hidden, removed, renamed and retyped', async () => {
    await open();
    await expectLanded();
    const { data } = pipeline.sandbox;
    data.addField('Contact', { name: 'Loyalty__c', type: 'string', filled: true });
    data.addField('Contact', { name: 'Points__c', type: 'int' });
    data.removeField('Contact', 'Title');
    data.hideField('Contact', 'Phone');
    data.retypeField('Contact', 'Visits__c', 'string', { length: 40 });
    data.touchMany('Contact', 1);
    data.update('Contact', 3, { Visits__c: 'many', Points__c: '7' });
    pipeline.pass();
    const end = await pipeline.sync();
    expect([end.outcome, end.message]).toEqual(['ok', '']);
    const differing = (await pipeline.oracle('Contact')).filter((line) => !/ phone differs$/.test(line));
    expect(differing).toEqual([]);
    const changes = await pipeline.rows(
      `SELECT "column", change, action FROM _headwater.schema_changes WHERE change <> 'create_table' ORDER BY ALL`,
    );
    expect(
      changes.map((row) => `${String(row['change'])} ${String(row['column'])} ${String(row['action'])}`),
    ).toEqual(
      expect.arrayContaining([
        'add_column loyalty__c applied',
        'add_column points__c applied',
        'remove_column title kept',
        'remove_column phone kept',
      ]),
    );
  });

  test('a hidden object fails by name, the others land; it comes back by itself', async () => {
    pipeline = await openPipeline(temporal, {
      sandbox: { objects: { Contact: 200, Account: 40 } },
      connection: { objects: ['Contact', 'Account'], ...REST },
    });
    await pipeline.start();
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    pipeline.sandbox.data.hideObject('Account');
    pipeline.sandbox.living.run(60);
    pipeline.pass();
    const end = await pipeline.sync();
    expect(end.outcome).toBe('PARTIAL');
    expect(end.message).toMatch(/Account (OBJECT_UNKNOWN|PERMISSION_DENIED)/);
    expect(await pipeline.oracle('Contact')).toEqual([]);
    pipeline.sandbox.data.hideObject('Account', false);
    pipeline.pass();
    expect((await pipeline.sync()).outcome).toBe('ok');
    expect(await pipeline.oracle('Account')).toEqual([]);
  });
});
