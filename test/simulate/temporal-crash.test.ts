/** The Temporal server is killed in mid-run and comes back with the same database file: the run goes on, schedules are kept. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { applySchedules } from '../../cli/schedules.ts';
import { startTemporalServer, type TemporalServer } from '../../cli/dev/temporal-server.ts';
import { lineOf, openPipeline, type Pipeline } from '../support/pipeline.ts';
import { temporalCliPath } from '../support/temporal.ts';

let home: string;
let server: TemporalServer;
let pipeline: Pipeline;

async function startServer(ports: { port: number; uiPort: number }): Promise<TemporalServer> {
  return startTemporalServer({ home, binaryPath: await temporalCliPath(), ...ports });
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'headwater-temporal-'));
  server = await startServer({ port: 0, uiPort: 0 });
  const { address, namespace, uiUrl, env } = server;
  pipeline = await openPipeline(
    { address, namespace, uiUrl, env, stop: () => server.stop() },
    { sandbox: { objects: { Contact: 1_500 } }, connection: { thresholds: { restPageRows: 200 } } },
  );
  await pipeline.start();
}, 120_000);

afterAll(async () => {
  await pipeline.close();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

test('a run outlives its server', async () => {
  await applySchedules(pipeline.client, pipeline.loaded.config);
  // Each page takes a while, so that the server dies between two of them.
  pipeline.sandbox.faults.add({ match: { path: '/queryAll' }, action: { delayMs: 250 } });
  const handle = await pipeline.begin();
  const deadline = Date.now() + 20_000;
  while (pipeline.sandbox.stats.of('rest.queryAll') < 3) {
    if (Date.now() > deadline) throw new Error('the extract never began');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  process.kill(server.pid, 'SIGKILL');
  await server.ended;
  server = await startServer({ port: server.port, uiPort: server.uiPort });
  const end = await pipeline.ended(handle);
  expect([end.outcome, end.message]).toEqual(['ok', '']);
  expect(lineOf(end)).toMatchObject({ verdict: 'proven', inserted: 1_500 });
  expect(await pipeline.oracle('Contact')).toEqual([]);
  const schedule = await pipeline.client.schedule.getHandle('sync/crm').describe();
  expect(schedule.state.paused).toBe(false);
}, 90_000);
