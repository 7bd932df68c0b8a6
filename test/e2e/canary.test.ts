/** I5: a planted secret and a planted personal value are in no place that is not made for them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startTemporalServer, type TemporalServer } from '../../cli/dev/temporal-server.ts';
import { openPipeline, type Pipeline } from '../support/pipeline.ts';
import { temporalCliPath } from '../support/temporal.ts';

const SECRET = 'canary-secret-7Qm2xV9sLk4T';
const PERSON = 'Zanarycorvinho';
const EMAIL = 'canary.person@zanarycorvinho.example';
const CANARIES = [SECRET, PERSON, EMAIL];
/** Made to hold records: the warehouse, the staged files, what DuckDB spills. */
const HOLDS_RECORDS = /^(?:warehouse\.duckdb|stage\/|spill\/)/;

let temporalHome: string;
let server: TemporalServer;
let pipeline: Pipeline;

beforeAll(async () => {
  temporalHome = mkdtempSync(join(tmpdir(), 'headwater-temporal-'));
  server = await startTemporalServer({
    home: temporalHome,
    binaryPath: await temporalCliPath(),
    port: 0,
    uiPort: 0,
  });
  const { address, namespace, uiUrl, env } = server;
  pipeline = await openPipeline(
    { address, namespace, uiUrl, env, stop: () => server.stop() },
    {
      sandbox: { objects: { Contact: 400, Account: 20 }, clientSecret: SECRET },
      connection: { objects: ['Contact', 'Account'] },
    },
  );
  await pipeline.start();
}, 120_000);

afterAll(async () => {
  await pipeline.close();
  await server.stop();
  rmSync(temporalHome, { recursive: true, force: true });
});

/** `<file>: <canary>` for each canary in each file; the files of the server are read while it runs, its log of writes too. */
function found(folder: string, leaveOut?: RegExp): string[] {
  const lines: string[] = [];
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name);
    if (leaveOut?.test(name) === true || !statSync(path).isFile()) continue;
    const bytes = readFileSync(path);
    for (const canary of CANARIES) if (bytes.includes(canary)) lines.push(`${name}: ${canary}`);
  }
  return lines;
}

async function expectSilence(): Promise<void> {
  expect(found(pipeline.home, HOLDS_RECORDS)).toEqual([]);
  expect(found(temporalHome)).toEqual([]);
  expect(readdirSync(temporalHome).filter((name) => name.startsWith('temporal.db'))).not.toEqual([]);
  expect(process.argv.join(' ')).not.toContain(SECRET);
}

test('after good runs', async () => {
  const { data } = pipeline.sandbox;
  data.update('Contact', 3, { LastName: PERSON, Email: EMAIL });
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  data.update('Contact', 3, { FirstName: PERSON });
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  const rows = await pipeline.rows(`SELECT email FROM crm.contact WHERE last_name = '${PERSON}'`);
  expect(rows).toEqual([{ email: EMAIL }]);
  await expectSilence();
});

test('after a record is set aside, and after too many are', async () => {
  const { data } = pipeline.sandbox;
  data.setRaw('Contact', 4, 'Birthdate', `born by ${PERSON}`);
  pipeline.pass();
  expect((await pipeline.sync()).outcome).toBe('ok');
  for (let row = 10; row < 150; row += 1) data.setRaw('Contact', row, 'Birthdate', `${EMAIL} ${row}`);
  pipeline.pass();
  expect((await pipeline.sync()).run?.objects).toContainEqual(
    expect.objectContaining({ code: 'TOO_MANY_BAD_ROWS' }),
  );
  await expectSilence();
});

test('after answers that break off inside a record, and that quote the secret', async () => {
  const { data, faults } = pipeline.sandbox;
  // Stamps of their own put these rows first in the next read.
  for (let row = 200; row < 230; row += 1) data.update('Contact', row, { LastName: PERSON, Email: EMAIL });
  pipeline.pass();
  for (const truncateAfterBytes of [900, 1_500, 2_300])
    faults.add({
      match: { path: '/queryAll', after: 1, times: 1 },
      action: { truncateAfterBytes, clean: true },
    });
  faults.add({
    match: { path: '/queryAll', after: 4, times: 1 },
    action: {
      status: 200,
      body: `{"totalSize":1,"done":true,"records":[{"Id":"${PERSON}","Email":"${EMAIL}"`,
    },
  });
  await pipeline.sync({ tuning: { heartbeatMs: 2_000, retryMs: 10 } });
  faults.clear();
  await expectSilence();
  pipeline.sandbox.expire.tokens();
  const refused = JSON.stringify({ error: 'invalid_client', error_description: `client_secret=${SECRET}` });
  faults.add({ match: { path: '/services/oauth2/token' }, action: { status: 400, body: refused } });
  await pipeline.stop();
  await pipeline.start();
  expect((await pipeline.sync()).outcome).toBe('AUTH_FAILED');
  await expectSilence();
});

test('the canaries would be found', () => {
  expect(found(pipeline.home).some((line) => line.endsWith(PERSON))).toBe(true);
});
