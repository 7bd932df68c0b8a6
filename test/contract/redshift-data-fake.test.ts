/** The fake that the warehouse for Redshift is tried on does what Amazon's own client and its description of the Data API expect. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { s3Python } from '../support/bucket-server.ts';
import { redshiftMissing, startRedshift } from '../support/redshift.ts';

const missing = await redshiftMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED: the judge of the Data API, ${missing}\n`);
const when = missing !== undefined ? test.skip : test;
const JUDGE = 'test/support/redshift-data-judge.py';

when(
  'boto3 takes its answers, and is refused what the service refuses',
  async () => {
    const [server, folder] = await Promise.all([
      startRedshift(),
      mkdtemp(join(tmpdir(), 'headwater-judge-')),
    ]);
    const api = await server.dataApi(folder);
    const database = new URL(await server.newDatabase()).pathname.slice(1);
    const { stdout } = await promisify(execFile)(s3Python(), [JUDGE, api.endpoint, database]);
    const row = (text: object, none: boolean) => [
      ...[{ longValue: 9_007_199_254_740_993n }, text, { booleanValue: none }],
      ...[{ stringValue: '1.50' }, { doubleValue: 0.5 }],
    ];
    // Python reads and writes whole numbers of any size; JavaScript would round them.
    const told: unknown = JSON.parse(stdout, (key, value: unknown, context?: { source?: string }) =>
      key === 'longValue' ? BigInt(context?.source ?? 0) : value,
    );
    expect(told).toEqual({
      ...{ batch: 'FINISHED', inserted: 2, 'has answer': true, 'rolled back': 'FAILED' },
      rows: [row({ stringValue: "it's :n" }, false), row({ isNull: true }, true)],
      types: [
        ['n', 'int8'],
        ['t', 'varchar'],
        ['none', 'bool'],
        ['d', 'numeric'],
        ['f', 'float8'],
      ],
      'same token, same statement': true,
      'same token, another statement': 'ValidationException',
      pages: [50, 50, 20],
      ...{ busy: 'ValidationException', cancelled: 'ABORTED', 'cancelled twice': 'ValidationException' },
      failed: 'ERROR: relation "nowhere" does not exist',
      'two statements': 'FAILED',
      'no answer': 'ResourceNotFoundException',
      unknown: 'ResourceNotFoundException',
      'too long': 'ValidationException',
      'session and database': 'ValidationException',
      'unused parameter': 'ValidationException',
      '41 statements': 'ValidationException',
      'no right': 'AccessDeniedException',
      nowhere: 'ValidationException',
    });
    await api.stop();
    await server.stop();
    await rm(folder, { recursive: true });
  },
  60_000,
);
