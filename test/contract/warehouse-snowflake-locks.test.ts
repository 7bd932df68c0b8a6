/** Two workers on one table of Snowflake: the row of its lock, on an emulator with the locks that the documentation tells of. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { HeadwaterError } from '../../rules/errors.ts';
import type { LoadRequest, Warehouse } from '../../warehouses/warehouse.ts';
import { fakesnowMissing, openSnowflake, startFakesnow, type TestSnowflake } from '../support/fakesnow.ts';
import { startWire, type SnowflakeWire } from '../support/snowflake-wire.ts';
import { openBench, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, none, row, signal, tally } from './warehouse-harness.ts';

const missing = await fakesnowMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED: two workers on Snowflake, ${missing}\n`);
/** Of the emulator: longer than any wait below but that of a dead worker. */
const IDLE_MS = 3_000;
const TRIES_MAX = 20;

(missing !== undefined ? describe.skip : describe)('two workers on one table', () => {
  let server: TestSnowflake;
  let bench: Bench;
  let wire: SnowflakeWire;
  let made = 0;
  beforeAll(async () => {
    [server, bench] = await Promise.all([startFakesnow({ idleMs: IDLE_MS }), openBench()]);
    wire = await startWire(server.url);
  }, 60_000);
  afterAll(async () => {
    await wire.stop();
    await server.stop();
    await bench.close();
  });

  /** `slow` goes through the wire. Both start with rows 1 and 2. */
  async function two(options: Record<string, unknown> = {}): Promise<{ slow: Warehouse; quick: Warehouse }> {
    const database = `LOCKS_${Date.now()}_${made++}`;
    const slow = await openSnowflake(wire.url, bench.folder, { database, ...options });
    const quick = await openSnowflake(server.url, bench.folder, { database, ...options });
    await slow.migrate('crm', NAME, EVOLVE);
    const rows = { csv: [row('1', 1, 'old'), row('2', 1, 'kept')] };
    await slow.load(await bench.batch(NAME, rows, { window: windowOf('w0'), id: 'b0' }), signal);
    return { slow, quick };
  }

  const batch = (id: string, csv: (string | null)[][]): Promise<LoadRequest> =>
    bench.batch(NAME, { csv }, { window: windowOf(`w_${id}`), id });
  const rowsOf = async (warehouse: Warehouse): Promise<unknown> =>
    (await warehouse.query('SELECT id, name, _version, _hash FROM crm.contact ORDER BY id', 100)).rows;
  const select = async (warehouse: Warehouse, sql: string): Promise<unknown[]> =>
    (await warehouse.query(sql, 100)).rows.flat();
  const batchesOf = (warehouse: Warehouse) =>
    select(warehouse, 'SELECT batch FROM _headwater.batches ORDER BY batch');

  /** Holds the first such statement of the slow worker until it is let go. */
  function held(start: string): { reached: Promise<void>; letGo: () => void } {
    let letGo = (): void => undefined;
    const going = new Promise<void>((done) => (letGo = done));
    const reached = new Promise<void>((done) => {
      wire.gate = async (sql, side) => {
        if (side !== 'request' || !sql.startsWith(start)) return;
        wire.gate = () => Promise.resolve();
        done();
        await going;
      };
    });
    return { reached, letGo };
  }

  test('I2: the second waits, sees what the first wrote, and each row is counted once', async () => {
    const { slow, quick } = await two();
    const older = await batch('b1', [row('1', 2, 'first'), row('3', 2, 'first'), row('4', 2, 'first')]);
    const newer = await batch('b2', [row('1', 3, 'second'), row('3', 1, 'second'), row('5', 2, 'second')]);
    const gate = held('MERGE INTO');
    const first = slow.load(older, signal).then(tally);
    await gate.reached;
    let done = false;
    const second = quick.load(newer, signal).then((receipt) => {
      done = true;
      return tally(receipt);
    });
    await sleep(500);
    expect(done).toBe(false);
    gate.letGo();
    expect(await first).toEqual({ ...none, inserted: 2, updated: 1 });
    expect(await second).toEqual({ ...none, inserted: 1, updated: 1, stale: 1 });
    expect(await select(quick, 'SELECT name FROM crm.contact ORDER BY id')).toEqual([
      'second',
      'kept',
      'first',
      'first',
      'second',
    ]);
    await Promise.all([slow.close(), quick.close()]);
  }, 30_000);

  test('who waits for too long is told to come again, leaves nothing behind, and lands then', async () => {
    const { slow, quick } = await two({ lockWaitMsMax: 1_000 });
    const gate = held('INSERT INTO "_HEADWATER"."BATCHES"');
    const first = slow.load(await batch('b1', [row('1', 2, 'first')]), signal).then(tally);
    await gate.reached;
    const request = await batch('b2', [row('1', 3, 'second')]);
    const refused = await quick.load(request, signal).catch((error: HeadwaterError) => error);
    expect(refused).toMatchObject({ code: 'WAREHOUSE_UNAVAILABLE', retryable: true });
    const left = "SELECT count(*) FROM INFORMATION_SCHEMA.TABLES WHERE table_name LIKE 'LOAD%'";
    expect(await select(quick, left)).toEqual(['1']);
    gate.letGo();
    expect(await first).toEqual({ ...none, updated: 1 });
    expect(tally(await quick.load(request, signal))).toEqual({ ...none, updated: 1 });
    expect([await batchesOf(quick), await select(quick, left)]).toEqual([['b0', 'b1', 'b2'], ['0']]);
    await Promise.all([slow.close(), quick.close()]);
  }, 30_000);

  test('I2: of one batch by two at once, one lands and the other finds it', async () => {
    const { slow, quick } = await two();
    const request = await batch('b1', [row('1', 2, 'new'), row('9', 2, 'more')]);
    const gate = held('MERGE INTO');
    const first = slow.load(request, signal);
    await gate.reached;
    const second = quick.load(request, signal);
    await sleep(500);
    gate.letGo();
    const receipts = await Promise.all([first, second]);
    const told = { ...none, inserted: 1, updated: 1 };
    expect(receipts.map(({ alreadyApplied }) => alreadyApplied)).toEqual([false, true]);
    for (const receipt of receipts) expect(tally(receipt)).toMatchObject(told);
    expect(await batchesOf(quick)).toEqual(['b0', 'b1']);
    await Promise.all([slow.close(), quick.close()]);
  }, 30_000);

  test('I2: the lock of a worker that is gone is given to who waits; if it comes back it does no harm', async () => {
    const { slow, quick } = await two({ lockWaitMsMax: 20_000 });
    const gate = held('MERGE INTO');
    const lost = await batch('b1', [row('1', 2, 'first'), row('3', 2, 'first')]);
    const first = code(slow.load(lost, signal));
    await gate.reached;
    const second = await quick.load(await batch('b2', [row('1', 3, 'second')]), signal);
    expect(tally(second)).toEqual({ ...none, updated: 1 });
    gate.letGo();
    expect(await first).toBe('WAREHOUSE_UNAVAILABLE');
    await slow.load(lost, signal);
    expect(await batchesOf(quick)).toEqual(['b0', 'b1', 'b2']);
    expect(await select(quick, 'SELECT name FROM crm.contact ORDER BY id')).toEqual([
      'second',
      'kept',
      'first',
    ]);
    await Promise.all([slow.close(), quick.close()]);
  }, 30_000);

  test('I1: whoever lands first, the rows are the same', async () => {
    const requests = await Promise.all(
      Array.from({ length: 6 }, (_, at) =>
        batch(
          `b${at + 1}`,
          Array.from({ length: 8 }, (__, n) => row(String(n), ((at * 5 + n * 3) % 7) + 1, `${at} ${n}`)),
        ),
      ),
    );
    const calm = await two();
    for (const request of requests) await calm.quick.load(request, signal);
    const { slow, quick } = await two({ lockWaitMsMax: 1_000 });
    const persistently = async (warehouse: Warehouse, request: LoadRequest): Promise<void> => {
      for (let tries = 1; ; tries += 1) {
        const error = await warehouse.load(request, signal).then(
          () => undefined,
          (failed: HeadwaterError) => failed,
        );
        if (error === undefined) return;
        if (!error.retryable || tries >= TRIES_MAX) throw error;
      }
    };
    await Promise.all(requests.map((request, at) => persistently(at % 2 === 0 ? slow : quick, request)));
    expect(await rowsOf(quick)).toEqual(await rowsOf(calm.quick));
    expect(await batchesOf(quick)).toHaveLength(7);
    await Promise.all([slow, quick, calm.slow, calm.quick].map((warehouse) => warehouse.close()));
  }, 60_000);
});
