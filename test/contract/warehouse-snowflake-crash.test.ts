/** I2: wherever a worker that loads into Snowflake is killed, the batch is there once after a replay by another one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { LoadRequest, Warehouse } from '../../warehouses/warehouse.ts';
import { fakesnowMissing, openSnowflake, startFakesnow, type TestSnowflake } from '../support/fakesnow.ts';
import { startWire } from '../support/snowflake-wire.ts';
import { openBench, type Bench } from './warehouse-fixture.ts';
import { signal } from './warehouse-harness.ts';
import { prepareReplay, PROVEN, replayBatches } from './warehouse-replay.ts';

const missing = await fakesnowMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED: crashes of loads into Snowflake, ${missing}\n`);
const PROGRAM = fileURLToPath(new URL('warehouse-snowflake-crash-child.ts', import.meta.url));
/** What changes something there; behind any other statement all is as it was before it. */
const CHANGES = /^(?:CREATE TRANSIENT|PUT|COPY|UPDATE|MERGE|INSERT|COMMIT|DROP)/;
/** Processes at once: each starts in a second or two. */
const AT_ONCE = 4;
/** Of the emulator: how long the lock of a killed worker stays. */
const IDLE_MS = 1_000;

(missing !== undefined ? describe.skip : describe)('a load into Snowflake', () => {
  let server: TestSnowflake;
  let bench: Bench;
  let requests: [LoadRequest, LoadRequest];
  beforeAll(async () => {
    [server, bench] = await Promise.all([startFakesnow({ idleMs: IDLE_MS }), openBench()]);
    requests = await replayBatches(bench);
  }, 60_000);
  afterAll(async () => {
    await server.stop();
    await bench.close();
  });

  /** Rows and facts without times of loading: what all that took the same batches have in common. */
  async function stateOf(warehouse: Warehouse): Promise<unknown> {
    const select = async (sql: string) => (await warehouse.query(sql, 100)).rows;
    return {
      rows: await select(
        'SELECT id, name, _deleted, _version, _confirmed_at, _hash, _window FROM crm.contact ORDER BY id',
      ),
      facts: await select(
        'SELECT batch, attempt, inserted, updated, unchanged, stale, replaced_by FROM _headwater.batches ORDER BY batch',
      ),
      aside: await select('SELECT record, field, value FROM _headwater.quarantine ORDER BY 1'),
    };
  }

  /** A process that is killed when its n-th statement is done and it has not heard of it; 0: never. Then a replay. */
  async function attempt(killAt: number) {
    const database = `CRASH_${killAt}`;
    const direct = await openSnowflake(server.url, bench.folder, { database, connectionsMax: 2 });
    const request = await prepareReplay(direct, requests, 'crm');
    const wire = await startWire(server.url);
    const child = spawn(process.execPath, [
      PROGRAM,
      wire.url,
      database,
      bench.folder,
      JSON.stringify(request),
    ]);
    let said = '';
    child.stderr.on('data', (part: Buffer) => (said += part.toString('utf8')));
    const ended = once(child, 'close');
    let done = 0;
    wire.gate = async (_, side) => {
      if (side === 'request') return;
      done += 1;
      if (done !== killAt) return;
      child.kill('SIGKILL');
      await ended;
    };
    const [exit] = await ended;
    if (killAt === 0 && exit !== 0) throw new Error(said);
    const statements = wire.statements.map(({ sql }) => sql);
    await wire.stop();
    const again = await direct.load(request, signal);
    const proof = await direct.verify(request);
    const state = await stateOf(direct);
    await direct.close();
    return { statements, killed: child.signalCode === 'SIGKILL', again, proof, state };
  }

  test('is there once after its process was killed behind any statement that changes something', async () => {
    const calm = await attempt(0);
    const commit = calm.statements.indexOf('COMMIT') + 1;
    expect([calm.killed, commit > 15, calm.again.alreadyApplied]).toEqual([false, true, true]);
    const steps = calm.statements.flatMap((sql, at) => (CHANGES.test(sql) ? [at + 1] : []));
    expect(steps.length).toBeGreaterThan(12);
    for (let from = 0; from < steps.length; from += AT_ONCE) {
      const some = steps.slice(from, from + AT_ONCE);
      const results = await Promise.all(some.map(attempt));
      for (const [index, { killed, again, proof, state }] of results.entries()) {
        const at = some[index] ?? 0;
        const told = [at, killed, again.alreadyApplied, proof, state];
        expect(told).toEqual([at, true, at >= commit, PROVEN, calm.state]);
      }
    }
  }, 180_000);
});
