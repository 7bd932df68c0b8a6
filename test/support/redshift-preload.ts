/** Loaded before a worker: each of its clients of pg speaks to Postgres as if it were Redshift. */
import { tmpdir } from 'node:os';
import { Client } from 'pg';
import { redshiftDriver } from './redshift-driver.ts';

const driver = redshiftDriver({ s3: process.env['HEADWATER_TEST_S3'] ?? '', folder: tmpdir() });
Reflect.set(Client.prototype, 'query', Reflect.get(driver.prototype, 'query'));
