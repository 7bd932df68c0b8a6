import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import type { FakeDataApi } from '../support/fake-redshift-data.ts';
import {
  emptyRedshifts,
  redshiftMissing,
  startRedshift,
  throughDataApi,
  type TestRedshift,
} from '../support/redshift.ts';
import { OF_USER } from '../support/redshift-driver.ts';
import { warehouseLaws } from './warehouse-laws-suite.ts';
import { warehouseSuite } from './warehouse-suite.ts';

/** Each statement is two requests or three, and waits for the first to be done. */
const missing =
  process.env['HEADWATER_TEST_ALL'] === '1'
    ? await redshiftMissing()
    : 'takes more than a minute; `npm run test:all` runs it';

if (missing !== undefined) process.stderr.write(`SKIPPED: Redshift through the Data API, ${missing}\n`);
const suite = missing !== undefined ? describe.skip : describe;

suite('on a fake of the Data API over Postgres behind a driver', () => {
  let server: TestRedshift;
  let api: FakeDataApi;
  let folder: string;
  beforeAll(async () => {
    [server, folder] = await Promise.all([startRedshift(), mkdtemp(join(tmpdir(), 'headwater-data-api-'))]);
    api = await server.dataApi(folder);
  }, 60_000);
  afterAll(async () => {
    await api.stop();
    await server.stop();
    await rm(folder, { recursive: true });
  });

  const open = emptyRedshifts(
    () => server,
    () => throughDataApi(api),
  );
  const fixture = { open, sql: (statement: string) => `${statement} ${OF_USER}` };
  warehouseSuite('redshift', fixture);
  warehouseLaws('redshift', fixture, { runs: 1 });
});
