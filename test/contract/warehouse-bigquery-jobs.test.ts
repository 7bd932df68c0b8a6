/** What an emulator hides: jobs that are made twice, that fail, that are not heard of, that come too often. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { HeadwaterError } from '../../rules/errors.ts';
import { openClient, told } from '../../warehouses/bigquery/client.ts';
import type { Client } from '../../warehouses/bigquery/client.ts';
import { bigqueryConfigSchema } from '../../warehouses/bigquery/config.ts';
import { checkService } from '../../warehouses/bigquery/check.ts';
import { inTurn, labelsOf, once } from '../../warehouses/bigquery/jobs.ts';
import { startFakeBigquery } from '../support/fake-bigquery.ts';
import type { FakeBigquery } from '../support/fake-bigquery.ts';

let folder: string;
let fake: FakeBigquery;
let client: Client;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-bigquery-'));
  await writeFile(join(folder, 'rows.parquet'), 'not read by a fake');
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  fake = await startFakeBigquery();
  const config = bigqueryConfigSchema.parse({
    ...{ kind: 'bigquery', project: 'fake-project', location: 'EU', endpoint: fake.endpoint },
  });
  client = await openClient(config, {
    ...{ now: Date.now, log: () => undefined, tempDirectory: join(folder, 'spill') },
    ...{ memoryMbMax: 200, threads: 1 },
  });
});
afterEach(async () => {
  await client.close();
  await fake.close();
});

const failure = (work: () => Promise<unknown>): Promise<HeadwaterError> =>
  told('loading', work).then(
    () => Promise.reject(new Error('it did not fail')),
    (error: HeadwaterError) => error,
  );
const ids = () => fake.jobs.map(({ id }) => id);
const script = (id: string) => client.script(['SELECT 1'], { id });
const load = (id: string, signal?: AbortSignal) => {
  const destinationTable = { datasetId: 'd', tableId: 't' };
  const configuration = { load: { destinationTable } };
  return client.jobs.load({ id, configuration, signal }, join(folder, 'rows.parquet'));
};

test('I2: a job whose answer was lost is found again and not run twice', async () => {
  const fields = [{ name: 'n', type: 'INTEGER' }];
  fake.plan = [{ answer: 'lost', fields, rows: [['7']] }];
  const { rows, repeated } = await script('merge_0');
  expect([rows, repeated, ids()]).toEqual([[{ n: '7' }], false, ['merge_0']]);
  fake.plan = [{ answer: 'lost' }];
  expect((await load('load_0')).repeated).toBe(false);
  expect(ids()).toEqual(['merge_0', 'load_0']);
});

test('I2: of a job that is there already the outcome counts, as long as what it did is there', async () => {
  await once('merge', script, () => Promise.resolve(true));
  const again = await once('merge', script, () => Promise.resolve(true));
  expect([again.repeated, ids()]).toEqual([true, ['merge_0']]);
  // Put back in time, or dropped: the next generation does it again.
  const anew = await once('merge', script, () => Promise.resolve(false));
  expect([anew.repeated, ids()]).toEqual([false, ['merge_0', 'merge_1']]);
});

test('a job that failed has used its id up; whether to try again depends on why', async () => {
  const hold = () => Promise.resolve(true);
  for (const [reason, expected] of [
    ['backendError', 'WAREHOUSE_UNAVAILABLE'],
    ['jobInternalError', 'WAREHOUSE_UNAVAILABLE'],
    ['quotaExceeded', 'WAREHOUSE_UNAVAILABLE'],
    ['rateLimitExceeded', 'WAREHOUSE_UNAVAILABLE'],
    ['invalidQuery', 'WAREHOUSE_REJECTED'],
    ['accessDenied', 'WAREHOUSE_REJECTED'],
  ] as const) {
    fake.plan = [{ error: { reason, message: `${reason} happened` } }];
    expect([reason, (await failure(() => once(reason, script, hold))).code]).toEqual([reason, expected]);
    await once(reason, script, hold);
    expect(ids().filter((id) => id.startsWith(reason))).toEqual([`${reason}_0`, `${reason}_1`]);
  }
});

test('what the service refuses because it came too often is sent again; what it does not allow is not', async () => {
  fake.plan = [
    { refusal: { status: 403, reason: 'rateLimitExceeded' } },
    { refusal: { status: 503, reason: 'backendError' } },
  ];
  await script('busy_0');
  expect(ids()).toEqual(['busy_0']);
  fake.plan = [{ refusal: { status: 403, reason: 'accessDenied' } }];
  const denied = await failure(() => script('denied_0'));
  expect(denied.code).toBe('WAREHOUSE_REJECTED');
  expect(denied.remedy).toContain('headwater check');
  expect(fake.plan).toEqual([]);
});

test('a transaction that another one overtook is tried again; rows that match twice are not', async () => {
  const message = 'Transaction is aborted due to concurrent update against table p:d.lock_1';
  fake.plan = [{ error: { reason: 'invalidQuery', message } }];
  await inTurn(() => once('turn', script, () => Promise.resolve(true)));
  expect(ids()).toEqual(['turn_0', 'turn_1']);
  const twice = 'UPDATE/MERGE must match at most one source row for each target row';
  fake.plan = [{ error: { reason: 'invalidQuery', message: twice } }];
  const error = await failure(() => inTurn(() => script('twice_0')));
  expect(error.code).toBe('WAREHOUSE_REJECTED');
});

test('an abort cancels the job, and nobody is left waiting for it', async () => {
  const controller = new AbortController();
  fake.plan = [{ waits: 1_000 }];
  const running = client.script(['SELECT 1'], { id: 'long_0', signal: controller.signal });
  setTimeout(() => controller.abort(new Error('stop')), 150);
  await expect(running).rejects.toThrow('stop');
  expect(fake.jobs[0]?.cancelled).toBe(true);
  await expect(load('never_0', controller.signal)).rejects.toThrow('stop');
  expect(ids()).toEqual(['long_0']);
});

test('I5: a message of the service that may hold a value is not repeated, one about names is', async () => {
  const told5 = async (message: string, reason = 'invalidQuery') => {
    fake.plan = [{ error: { reason, message } }];
    return (await failure(() => client.rows('SELECT 1'))).message;
  };
  expect(await told5('Bad int64 value: jane@example.com')).toBe('loading: error invalidQuery');
  expect(await told5("Error while reading data, error message: Could not parse 'Jane'", 'invalid')).toBe(
    'loading: error invalid',
  );
  expect(await told5('Unrecognized name: nmae at [1:8]')).toContain('nmae');
});

test('jobs carry who asked for them, in the letters that a label may have', async () => {
  const labels = labelsOf({ connection: 'crm', object: 'Contact__C', run: `0199-${'x'.repeat(90)}` });
  await client.script(['SELECT 1'], { id: 'labelled_0', labels });
  expect(fake.jobs[0]?.labels).toEqual({
    app: 'headwater',
    connection: 'crm',
    object: 'contact__c',
    run: `0199-${'x'.repeat(58)}`,
  });
});

test('check prints the grant that is missing as a command, and asks no more where nothing answers', async () => {
  const denied = { refusal: { status: 403, reason: 'accessDenied' } };
  fake.plan = [{}, denied];
  const results = await checkService(client);
  expect(results.map(({ check, ok }) => [check, ok])).toEqual([
    ['bigquery', true],
    ['dataset _headwater', false],
    ['dataset _headwater_staging', true],
    ['dataset golden', true],
  ]);
  expect(results[1]?.remedy).toBe(
    'gcloud projects add-iam-policy-binding fake-project --member=nobody --role=roles/bigquery.user',
  );
  fake.plan = [denied];
  const [only, ...more] = await checkService(client);
  expect([only?.ok, only?.remedy, more]).toEqual([
    false,
    expect.stringContaining('roles/bigquery.jobUser'),
    [],
  ]);
  expect(fake.jobs).toEqual([]);
});
