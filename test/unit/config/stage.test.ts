import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parseConfig } from '../../../config/parse-config.ts';
import type { Config } from '../../../config/schema.ts';
import { stagePlace, stageWords } from '../../../config/stage.ts';
import { KINDS } from './kinds.ts';

const parse = (stage: unknown) =>
  parseConfig(
    { connections: {}, warehouse: { kind: 'duckdb', path: 'w.duckdb' }, stage },
    { file: 'f.ts', home: '/home', kinds: KINDS },
  );

function config(stage: unknown): Config {
  const parsed = parse(stage);
  if (parsed.ok) return parsed.config;
  throw new Error(parsed.lines.join('\n'));
}

const secret = (name: string) => ({ $secret: { env: name } });

test('a folder below the home is the default', () => {
  expect(stagePlace(config({}), {})).toEqual({ kind: 'disk', path: '/home/stage' });
  expect(stageWords(config({ path: '/big' }))).toBe('/big');
});

test('a bucket of S3: the login of the machine, or keys that are read when they are needed', () => {
  const plain = config({
    kind: 's3',
    bucket: 'acme-stage',
    region: 'eu-central-1',
    prefix: 'headwater/prod',
  });
  expect(plain.stage).toMatchObject({ keepMs: 7 * 86_400_000, bytesMax: 10e9, path: '/home/stage' });
  expect(stagePlace(plain, {})).toEqual({
    ...{ kind: 's3', path: '/home/stage', bucket: 'acme-stage', prefix: 'headwater/prod/' },
    ...{ region: 'eu-central-1', forcePathStyle: false, endpoint: undefined, login: undefined },
  });
  expect(stageWords(plain)).toBe('s3://acme-stage/headwater/prod/');
  const keyed = config({
    ...{ kind: 's3', bucket: 'acme-stage', endpoint: 'http://127.0.0.1:9000', forcePathStyle: true },
    ...{ accessKeyId: secret('S3_KEY'), secretAccessKey: secret('S3_SECRET') },
  });
  expect(JSON.stringify(keyed)).not.toContain('hunter2');
  expect(stagePlace(keyed, { S3_KEY: 'id', S3_SECRET: 'hunter2' })).toMatchObject({
    ...{ endpoint: 'http://127.0.0.1:9000', prefix: '' },
    login: { accessKeyId: 'id', secretAccessKey: 'hunter2' },
  });
  expect(() => stagePlace(keyed, { S3_KEY: 'id' })).toThrow(
    expect.objectContaining({ code: 'SECRET_MISSING' }),
  );
});

test('I5: a key of a service account that cannot be read is not repeated', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stage-key-'));
  const key = { $secret: { file: join(folder, 'key.json') } };
  const gcs = config({ kind: 'gcs', bucket: 'acme-stage', key });
  writeFileSync(join(folder, 'key.json'), '{"type":"service_account"}');
  expect(stagePlace(gcs, {})).toMatchObject({
    kind: 'gcs',
    key: { type: 'service_account' },
    anonymous: false,
  });
  writeFileSync(join(folder, 'key.json'), '{"private_key": hunter2');
  expect(() => stagePlace(gcs, {})).toThrow(
    'stage.key: the value of this secret is no JSON of a service account',
  );
  rmSync(folder, { recursive: true });
});

test.each<[unknown, string]>([
  [{ kind: 's3' }, 'f.ts: stage.bucket: is missing. Write text.'],
  [{ kind: 's3', bucket: 's3://acme' }, 'is no name of a bucket. Write it without s3:// or gs://.'],
  [{ kind: 'gcs', bucket: 'acme', region: 'x' }, 'f.ts: stage.region: is unknown.'],
  [{ kind: 'gcs', bucket: 'acme', prefix: '../x' }, 'is no prefix of keys.'],
  [
    { kind: 's3', bucket: 'acme', accessKeyId: 'AKIAHUNTER2' },
    "is no secret. Write env('NAME') or file('path').",
  ],
  [{ kind: 's3', bucket: 'acme', accessKeyId: secret('K') }, 'f.ts: stage.secretAccessKey: is missing.'],
  [{ kind: 'ftp' }, "Write 'disk', 's3' or 'gcs'."],
  [{ bucket: 'acme' }, 'f.ts: stage.bucket: is unknown.'],
])('%j is refused in one line', (stage, line) => {
  const parsed = parse(stage);
  if (parsed.ok) throw new Error('it was taken');
  expect(parsed.lines).toHaveLength(1);
  expect(parsed.lines[0]).toContain(line);
  expect(parsed.lines[0]).not.toContain('HUNTER2');
});
