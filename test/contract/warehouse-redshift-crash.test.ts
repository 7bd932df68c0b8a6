import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { LoadRequest, Warehouse } from '../../warehouses/warehouse.ts';
import { redshiftMissing, startRedshift, type TestRedshift } from '../support/redshift.ts';
import { openBench, type Bench } from './warehouse-fixture.ts';
import { signal } from './warehouse-harness.ts';
import { prepareReplay, PROVEN, replayBatches, stateOf, temporaryTables } from './warehouse-replay.ts';

const missing = await redshiftMissing();
const PROGRAM = fileURLToPath(new URL('warehouse-redshift-crash-child.ts', import.meta.url));
/** Each step is a process of a second or two, so some of them by default: the first, the last, and one in so many. */
const STRIDE = process.env['HEADWATER_TEST_ALL'] === '1' ? 4 : 9;
const AT_ONCE = 2;
/** A day later: what a killed process left in the bucket is old. */
const LATER_MS = 25 * 3_600_000;

let server: TestRedshift;
let bench: Bench;

async function killed(): Promise<void> {
  const url = await server.newDatabase();
  const requests = await replayBatches(bench);
  const folder = join(bench.folder, 'killed');
  const warehouse = await server.open(url, folder, { now: () => Date.now() + LATER_MS });
  const calm = await load(url, await prepareReplay(warehouse, requests, 'calm'), { at: 0, afterMs: 0 });
  const wanted = await stateOf(url, 'calm');
  const steps = Number(calm.told);
  expect([calm.ended, steps > 40]).toEqual(['0', true]);
  const places = Array.from({ length: steps }, (_, step) => step + 1).filter(
    (at) => at % STRIDE === 1 % STRIDE || at > steps - 2,
  );
  const deaths = places.flatMap((at) => [
    { at, afterMs: 0 },
    { at, afterMs: 4 },
  ]);
  for (let from = 0; from < deaths.length; from += AT_ONCE) {
    const part = deaths.slice(from, from + AT_ONCE);
    await Promise.all(part.map((death) => attempt(url, warehouse, { requests, wanted, death })));
  }
  expect(await temporaryTables(url)).toEqual([]);
  await warehouse.prune('2000-01-01T00:00:00.000Z', 10);
  expect(await server.objects()).toEqual([]);
  await warehouse.close();
  // Files of dead processes go with the next start.
  const next = await server.open(url, folder);
  expect(readdirSync(join(folder, 'spill'))).toHaveLength(1);
  await next.close();
}

interface Death {
  /** The statement, from 1; 0: none. */
  at: number;
  afterMs: number;
}

async function attempt(
  url: string,
  warehouse: Warehouse,
  { requests, wanted, death }: { requests: [LoadRequest, LoadRequest]; wanted: unknown; death: Death },
): Promise<void> {
  const name = `step_${death.at}_${death.afterMs}`;
  const request = await prepareReplay(warehouse, requests, name);
  const { ended } = await load(url, request, death);
  // The last statements may be over before the signal comes.
  if (death.afterMs === 0) expect([name, ended]).toEqual([name, 'SIGKILL']);
  await warehouse.load(request, signal);
  expect([name, await warehouse.verify(request)]).toEqual([name, PROVEN]);
  expect([name, await stateOf(url, name)]).toEqual([name, wanted]);
}

async function load(
  url: string,
  request: LoadRequest,
  { at, afterMs }: Death,
): Promise<{ ended: string; told: string }> {
  const folder = join(bench.folder, 'killed');
  const args = [PROGRAM, url, server.s3.url, folder, String(at), String(afterMs), JSON.stringify(request)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let told = '';
  child.stdout.on('data', (part: Buffer) => (told += part.toString('utf8')));
  const ended = await new Promise<string>((resolve) =>
    child.once('close', (code, reason) => resolve(reason ?? String(code))),
  );
  return { ended, told };
}

if (missing !== undefined) process.stderr.write(`SKIPPED: Redshift under SIGKILL, ${missing}\n`);
const suite = missing !== undefined ? describe.skip : describe;

suite('on Postgres behind a driver', () => {
  beforeAll(async () => {
    [server, bench] = await Promise.all([startRedshift(), openBench()]);
  }, 60_000);
  afterAll(async () => {
    await bench.close();
    await server.stop();
  });
  test(
    'I2: a process that is killed at any statement of a load, or just behind it: the load is there once after a replay',
    killed,
    600_000,
  );
});
