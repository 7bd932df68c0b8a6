/** Redshift through the Data API: what is lost, throttled, cancelled or refused between a worker and the service. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { boundSql } from '../../warehouses/redshift/data-api.ts';
import type { HeadwaterError } from '../../rules/errors.ts';
import type { LoadRequest, Warehouse } from '../../warehouses/warehouse.ts';
import type { FakeDataApi, FakeOptions } from '../support/fake-redshift-data.ts';
import { httpCut, type Cut } from '../support/http-cut.ts';
import { redshiftMissing, startRedshift, throughDataApi, type TestRedshift } from '../support/redshift.ts';
import { field, openBench, schemaOf, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, row, signal } from './warehouse-harness.ts';
import { prepareReplay, PROVEN, replayBatches, stateOf } from './warehouse-replay.ts';

const missing = await redshiftMissing();
/** Of a session whose worker is gone. */
const KEEP_ALIVE_MS = 1_500;
/** Each cut is three loads of some hundred requests: few of them by default, and behind the request, which is the hard side. */
const EVERY = process.env['HEADWATER_TEST_ALL'] === '1';
const STRIDE = EVERY ? 23 : 60;
const CUT_MS_MAX = 240_000;

let server: TestRedshift;
let bench: Bench;
let api: FakeDataApi;
let requests: [LoadRequest, LoadRequest];
let fault: FakeOptions['fault'];
const sent: string[] = [];
/** Sessions that were given up. */
let ended = 0;

const open = (url: string, endpoint = api.endpoint, config: object = {}): Promise<Warehouse> =>
  server.open(url, join(bench.folder, 'spill'), { config: { ...throughDataApi({ endpoint }), ...config } });

/** One load through a proxy that cuts, then a replay by somebody else. */
async function attempt(url: string, cut: Cut) {
  const name = `${cut.side}_${cut.at}_${cut.forEver ? 'dead' : 'once'}`;
  const direct = await open(url);
  const request = await prepareReplay(direct, requests, name);
  const proxy = await httpCut(api.endpoint, cut);
  const through = await open(url, proxy.endpoint);
  const outcome = await through.load(request, signal).then(
    () => 'loaded',
    (error: HeadwaterError) => error.code,
  );
  await through.close();
  await proxy.close();
  await direct.load(request, signal);
  const proof = await direct.verify(request);
  await direct.close();
  return { outcome, proof, state: await stateOf(url, name), requests: proxy.requests.length };
}

async function cuts(forEver: boolean): Promise<void> {
  const url = await server.newDatabase();
  const calm = await attempt(url, { at: 0, side: 'request', forEver: false });
  expect([calm.outcome, calm.requests > 60]).toEqual(['loaded', true]);
  const outcomes: string[] = [];
  for (const side of EVERY ? (['request', 'answer'] as const) : (['answer'] as const)) {
    for (let at = side === 'request' ? 3 : 5; at <= calm.requests; at += STRIDE) {
      const { outcome, proof, state } = await attempt(url, { at, side, forEver });
      expect([side, at, proof]).toEqual([side, at, PROVEN]);
      expect([side, at, state]).toEqual([side, at, calm.state]);
      outcomes.push(outcome);
    }
  }
  expect(new Set(outcomes)).toEqual(new Set([forEver ? 'WAREHOUSE_UNAVAILABLE' : 'loaded']));
  expect(await server.objects()).toEqual([]);
}

async function cancelled(): Promise<void> {
  const url = await server.newDatabase();
  const warehouse = await open(url);
  await warehouse.migrate('crm', NAME, EVOLVE);
  const request = await bench.batch(NAME, { csv: [row('1', 1, 'a')] }, { window: windowOf('w1'), id: 'b1' });
  const other = new Client({ connectionString: url });
  await other.connect();
  await other.query('BEGIN; LOCK _headwater.writer');
  const controller = new AbortController();
  const loading = warehouse.load(request, controller.signal);
  await sleep(1_500);
  const started = performance.now();
  controller.abort(new Error('stop'));
  await expect(loading).rejects.toThrow('stop');
  expect(performance.now() - started).toBeLessThan(5_000);
  expect(api.operations).toContain('CancelStatement');
  const waiting = await other.query(
    "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LOCK _headwater.writer%' AND state = 'active' AND pid <> pg_backend_pid()",
  );
  expect(waiting.rows).toEqual([]);
  await other.query('ROLLBACK');
  await other.end();
  expect((await warehouse.load(request, signal)).inserted).toBe(1);
  await warehouse.close();
}

async function throttled(): Promise<void> {
  const url = await server.newDatabase();
  const warehouse = await open(url);
  await warehouse.migrate('crm', NAME, EVOLVE);
  const request = await bench.batch(NAME, { csv: [row('1', 1, 'a')] }, { window: windowOf('w1'), id: 'b1' });
  let left = 0;
  const failing =
    (type: string, status = 400): FakeOptions['fault'] =>
    () => {
      left -= 1;
      return left < 0 ? undefined : { status, type, message: 'Jane Canary' };
    };
  const outcome = async (type: string, times: number, status?: number): Promise<string> => {
    left = times;
    fault = failing(type, status);
    const told = await warehouse.load(request, signal).then(
      (receipt) => `${receipt.inserted} ${receipt.alreadyApplied}`,
      (error: HeadwaterError) => `${error.code}: ${error.message}`,
    );
    fault = undefined;
    return told;
  };
  expect(await outcome('ActiveStatementsExceededException', 40)).toBe(
    'WAREHOUSE_UNAVAILABLE: loading batch b1: Redshift does not answer (the Data API: ActiveStatementsExceededException (08006))',
  );
  // I5: the service's words may quote a statement.
  expect(await outcome('ValidationException', 40)).toBe(
    'WAREHOUSE_REJECTED: loading batch b1: the Data API: ValidationException (0A000)',
  );
  expect(await outcome('ThrottlingException', 2)).toBe('1 false');
  expect(await outcome('InternalServerException', 2, 500)).toBe('1 true');
  await warehouse.close();
}

async function values(): Promise<void> {
  const url = await server.newDatabase();
  const warehouse = await open(url);
  const sql =
    "SELECT 9007199254740993 AS n, 7 AS small, NULL AS none, '' AS empty, 0.10 AS d, n.a FROM (SELECT true AS a) AS n";
  const { columns, rows } = await warehouse.query(sql, 10);
  expect(rows).toEqual([['9007199254740993', 7, null, '', '0.10', true]]);
  expect(columns.slice(0, 2)).toEqual([
    { name: 'n', type: 'bigint' },
    { name: 'small', type: 'integer' },
  ]);
  await warehouse.migrate('crm', NAME, EVOLVE);
  const csv = [row('Zanarycorvinho', 1, 'b'), row("it's :p1", 1, 'c'), row('3', 1, null)];
  await warehouse.load(await bench.batch(NAME, { csv }, { window: windowOf('w1'), id: 'b1' }), signal);
  sent.length = 0;
  const records = ['Zanarycorvinho', "it's :p1", ''];
  const held = await warehouse.audit?.held('crm', NAME, records);
  expect(held?.map(({ record }) => record).toSorted()).toEqual(['Zanarycorvinho', "it's :p1"]);
  const about = {
    records: [{ connection: 'crm', object: 'Contact', table: 'contact', key: 'id', records }],
    texts: [],
    own: [],
  };
  expect(await warehouse.purge(about, { dryRun: false })).toEqual([{ table: 'crm.contact', rows: 2 }]);
  // I5: values are parameters, never the text of a statement.
  expect(sent.filter((text) => /Zanary|it's/.test(text))).toEqual([]);
  expect(sent.some((text) => text.includes(':p1'))).toBe(true);
  await warehouse.close();
}

async function tooLong(): Promise<void> {
  const warehouse = await open(await server.newDatabase());
  const wide = schemaOf(Array.from({ length: 1_000 }, (_, at) => field(`${'a field '.repeat(14)}${at}`)));
  const told = await warehouse
    .migrate('crm', wide, EVOLVE)
    .catch((error: HeadwaterError) => [error.code, error.message]);
  expect(told).toEqual([
    'WAREHOUSE_REJECTED',
    expect.stringMatching(/a statement of \d+ bytes; the Data API takes 102400/),
  ]);
  expect(await code(warehouse.count('crm', 'contact'))).toBe('no error');
  await warehouse.close();
}

async function refused(): Promise<void> {
  const url = await server.newDatabase();
  const stranger = await open(url, api.endpoint, { accessKeyId: 'forbidden' });
  const [mine] = await stranger.check();
  expect(mine).toMatchObject({ check: 'data api', ok: false });
  expect(mine?.detail).toMatch(/AccessDeniedException/);
  expect(mine?.remedy).toMatch(/redshift-data:ExecuteStatement.*redshift-serverless:GetCredentials/);
  await stranger.close();
  const lost = await open(url, api.endpoint, { dataApi: { workgroup: 'nowhere', endpoint: api.endpoint } });
  expect((await lost.check())[0]?.detail).toMatch(/Redshift endpoint doesn't exist in this region/);
  await lost.close();
  const fine = await open(url);
  expect((await fine.check()).filter(({ ok }) => !ok)).toEqual([]);
  ended = 0;
  await fine.close();
  // A database has a limited number of sessions: none is kept for nobody.
  expect(ended).toBeGreaterThan(0);
}

if (missing !== undefined) process.stderr.write(`SKIPPED: the Data API under faults, ${missing}\n`);
const suite = missing !== undefined ? describe.skip : describe;

suite('on a fake of the Data API over Postgres behind a driver', () => {
  beforeAll(async () => {
    [server, bench] = await Promise.all([startRedshift(), openBench()]);
    requests = await replayBatches(bench);
    api = await server.dataApi(join(bench.folder, 'api'), {
      keepAliveMsMax: KEEP_ALIVE_MS,
      fault: (operation, request) => {
        if (request.SessionKeepAliveSeconds === 0) ended += 1;
        sent.push(...(request.Sqls ?? [request.Sql ?? '']));
        return fault?.(operation, request);
      },
    });
  }, 60_000);
  afterAll(async () => {
    await api.stop();
    await bench.close();
    await server.stop();
  });
  test(
    'I2: a request that is lost, on its way there or back, is sent again and runs once',
    () => cuts(false),
    CUT_MS_MAX,
  );
  test(
    'I2: a worker that is gone after any request: its locks end with its session, and the replay lands once',
    () => cuts(true),
    CUT_MS_MAX,
  );
  test('a load that is stopped cancels its statement at once', cancelled, 30_000);
  test(
    'a service that is busy is asked again, in the end by the next try; its words are not told',
    throttled,
    30_000,
  );
  test('values go and come back exactly, and never stand in a statement', values, 30_000);
  test('a statement that is too long for the service is told before anything lands', tooLong, 30_000);
  test('check tells what the worker may not, and prints the policy', refused, 30_000);
});

test('names and texts in quotes keep their dollars; NULL and the empty text are words', () => {
  expect(
    boundSql(`SELECT '$1', "a$1" FROM t WHERE a = $2 AND b = $1 AND c IN ($3, $4)`, ['x', 7, null, '']),
  ).toEqual({
    Sql: `SELECT '$1', "a$1" FROM t WHERE a = :p2 AND b = :p1 AND c IN (NULL, '')`,
    Parameters: [
      { name: 'p2', value: '7' },
      { name: 'p1', value: 'x' },
    ],
  });
});
